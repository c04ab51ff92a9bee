"""The list of commands: each is there, and none is loaded to be listed."""

from __future__ import annotations

import inspect
from pkgutil import resolve_name

import pytest
from suites_support import python

from grace.cli import app as grace_app
from harness.cli import app as harness_app
from harness.cli.shell import _docstring


@pytest.mark.parametrize("reference", [*harness_app.COMMANDS, *grace_app.COMMANDS])
def test_a_command_is_a_function_with_a_line_to_say(reference: str) -> None:
    """What the list shows, read from the source, is the function's own docstring."""
    command = resolve_name(reference)
    assert inspect.isfunction(command)
    assert _docstring(reference) == inspect.getdoc(command) != ""


@pytest.mark.parametrize("package", ["harness", "grace"])
def test_listing_commands_imports_none_of_them(package: str) -> None:
    """`--help` answers at once: of our own, the ground and the shell alone."""
    run = f"import sys; from {package}.cli import app; sys.argv[1:] = ['--help']; code = app.run_app(app.app)"
    done = python(f"{run}; print(*(name for name in sys.modules if name.startswith(('harness.', 'grace.'))))")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    shell = {"harness.cli", *(f"harness.cli.{name}" for name in ("interrupted", "shell", "streams"))}
    assert loaded == shell | {"harness.errors", "harness.writing"} | {f"{package}.cli", f"{package}.cli.app"}
