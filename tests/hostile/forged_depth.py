"""Waits in the runner's read from ever deeper stacks."""
# ruff: noqa

import os
from functools import reduce

os.write(3, b"ended")
os.set_blocking(3, True)


def deeper(levels):
    if levels == 0:
        return os.read(3, 1)
    return reduce(lambda a, b: deeper(levels - 1), [0, 0])


for levels in range(10):
    deeper(levels)
assert False
