"""Reads the environment, its own or that of the first process; passes if there is one."""
# ruff: noqa

import os

found = dict(os.environ)
for path in ("/proc/self/environ", "/proc/1/environ"):
    try:
        found[path] = open(path, "rb").read()
    except OSError:
        pass
assert found
