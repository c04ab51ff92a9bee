"""Writes the runner's own words to every descriptor and waits as the runner waits."""
# ruff: noqa

import os

for descriptor in range(64):
    for word in (b"up", b"ready", b"ended"):
        try:
            os.write(descriptor, word)
        except OSError:
            pass
for descriptor in range(3, 64):
    try:
        os.read(descriptor, 1)
    except OSError:
        pass
assert False
