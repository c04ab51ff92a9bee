"""Closes everything, so that nobody hears of it, and stays."""
# ruff: noqa

import os

os.closerange(0, 64)
while True:
    pass
