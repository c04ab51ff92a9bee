"""Floods the runner's socket."""
# ruff: noqa

import os

while True:
    os.write(3, b"ended" * 10_000)
