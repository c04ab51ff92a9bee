"""Forks in every process, forever."""
# ruff: noqa

import os

while True:
    os.fork()
