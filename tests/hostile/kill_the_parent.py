"""Kills its parent, the first process and the harness; passes if it was not refused."""
# ruff: noqa

import os
import signal

for pid in (os.getppid(), 1, int("@PARENT@")):
    os.kill(pid, signal.SIGKILL)
