"""Overflows the stack of C."""
# ruff: noqa

import sys

sys.setrecursionlimit(10**9)
nest = []
for _ in range(10**5):
    nest = [nest]
repr(nest)
