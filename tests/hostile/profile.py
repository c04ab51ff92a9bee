"""Raises from a profile function when the runner leaves."""
# ruff: noqa

import sys


def profile(frame, event, arg):
    raise KeyError


sys.setprofile(profile)
assert False
