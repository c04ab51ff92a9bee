"""Jumps in the runner from its handler to its end."""
# ruff: noqa

import sys


def trace(frame, event, arg):
    if event == "line" and frame.f_code.co_filename == "<sandbox>":
        frame.f_lineno = 14
    return trace


sys.settrace(trace)
sys._getframe().f_back.f_trace = trace
assert False
