"""Lets signals raise exceptions while the failing check is being handled."""
# ruff: noqa

import os
import signal
import sys


def forge(*args):
    for descriptor in range(64):
        try:
            os.write(descriptor, b"ended")
        except OSError:
            pass
    while True:
        for descriptor in range(3, 64):
            try:
                os.read(descriptor, 1)
            except OSError:
                pass


def again(*args):
    raise KeyError


sys.excepthook = forge
signal.signal(signal.SIGALRM, again)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
while True:
    pass
