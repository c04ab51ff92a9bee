"""A training that somebody started leaves with them, also where they are gone before it can look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.training.starting import STARTED_BY

TRAINING = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.{on_sigint})
signal.signal(signal.SIGTERM, signal.default_int_handler)
from grace.run.alone import leave_with_parent
{waits}
try:
    leave_with_parent()
    print("began", os.environ.get("{variable}"), flush=True)
    time.sleep({seconds})
except KeyboardInterrupt:
    print("left", flush=True)
"""


def training(*, seconds: float = 30, waits: str = "", on_sigint: str = "default_int_handler") -> list[str]:
    """Return the command of a process that would train for so long."""
    code = TRAINING.format(seconds=seconds, waits=waits, on_sigint=on_sigint, variable=STARTED_BY)
    return [sys.executable, "-c", code]


def of_parent(number: int) -> dict[str, str]:
    """Return the environment in which a process is said to be started by another."""
    return {**os.environ, STARTED_BY: str(number)}


def test_it_stays_while_they_are_there():
    """And hands the name on to nobody that it starts itself."""
    done = subprocess.run(
        training(seconds=2.5), env=of_parent(os.getpid()), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "began None\n"


def test_it_leaves_where_they_were_gone_before_it_looked():
    """It has another parent by then, which it would wait for to the end of its training."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(training(), env=of_parent(gone.pid), capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.endswith("left\n")


@pytest.mark.parametrize("on_sigint", ["default_int_handler", "SIG_IGN"])
@pytest.mark.parametrize("is_named", [True, False])
def test_it_leaves_when_they_are_killed(tmp_path: Path, on_sigint: str, is_named: bool):
    """While it trains, and, where they are named, while it is still starting; where Ctrl-C is ignored as well."""
    said, begun = tmp_path / "said", tmp_path / "begun"
    late = f"while os.getppid() == int(os.environ['{STARTED_BY}']): time.sleep(0.02)" if is_named else ""
    start = (
        "import os, subprocess, sys, time\n"
        f"named = {{'{STARTED_BY}': str(os.getpid())}} if {is_named} else {{}}\n"
        f"subprocess.Popen({training(waits=late, on_sigint=on_sigint)!r}, env={{**os.environ, **named}},"
        f" stdout=open({str(said)!r}, 'w'))\n"
        f"open({str(begun)!r}, 'w').close()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", start])
    awaited = begun if is_named else said
    while not awaited.exists() or (not is_named and "began" not in said.read_text()):
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while "left" not in said.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
