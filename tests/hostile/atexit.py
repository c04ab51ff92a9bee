"""Sets the exit status in an exit handler."""
# ruff: noqa

import atexit
import os

atexit.register(os._exit, 0)
assert False
