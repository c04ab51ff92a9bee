"""Ctrl-C before a command has begun and after it has ended, for both programs."""

from __future__ import annotations

import signal

import pytest
from suites_support import python

HEARD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""Shells start what runs in the background with the signal ignored, and children inherit that."""
AT_AN_IMPORT = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
sys.argv = [{program!r}, *{arguments!r}]
from {program}.cli.app import main
main()
"""
AT_THE_END = """
import atexit, os, sys
atexit.register(os.kill, os.getpid(), {number})
sys.argv = [{program!r}, "--version"]
from {program}.cli.app import main
main()
"""


@pytest.mark.parametrize(
    ("program", "name", "arguments"),
    [
        ("harness", "typer", ["--help"]),
        ("harness", "harness.cli.streams", ["ls"]),
        ("harness", "harness.tasks.catalogue", ["ls", "--tasks"]),
        ("grace", "harness.cli.shell", ["--help"]),
        ("grace", "grace.cli.encode", ["encode", "x"]),
        ("grace", "grace.config.load", ["train", "x.yaml", "--out", "x"]),
    ],
)
def test_while_libraries_are_imported(program: str, name: str, arguments: list[str]) -> None:
    """What is first of all, what both programs share, what one command needs: 130, in silence."""
    code = AT_AN_IMPORT.format(program=program, name=name, arguments=arguments, number=int(signal.SIGINT))
    done = python(HEARD + code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("program", ["harness", "grace"])
def test_while_libraries_tidy_up(program: str) -> None:
    """The command has said everything; no traceback follows."""
    done = python(HEARD + AT_THE_END.format(program=program, number=int(signal.SIGINT)))
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout
