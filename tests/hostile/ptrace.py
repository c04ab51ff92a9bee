"""Traces another process."""
# ruff: noqa

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
assert libc.ptrace(16, 1, 0, 0) == 0
