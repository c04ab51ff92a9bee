"""Writes gigabytes to standard error, below the interpreter."""
# ruff: noqa

import os

while True:
    os.write(2, bytes(1 << 16))
