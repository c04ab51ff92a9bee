"""What the commands `harness` and `grace` have in common: the application, its --version, and how a run of it ends."""

from __future__ import annotations

import ast
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from harness.cli.streams import settled_streams
from harness.errors import ExitCode, HarnessError, InputError
from harness.writing import OF_THE_MACHINE, in_words

_SETTINGS: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


def application(name: str, about: str, commands: Iterable[str]) -> typer.Typer:
    """Return a typer application that imports a command's file when that command is typed, and none for `--help`.

    Args:
        name: what is typed.
        about: said above the list of commands.
        commands: `module:function`, a command each under the function's name, in the order of the list.
    """
    references = {one.partition(":")[2]: one for one in commands}

    class Commands(TyperGroup):
        """The commands as the list shows them; the one that is typed is loaded."""

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Return name, command and arguments, with the real command in place of its line in the list."""
            typed, command, rest = super().resolve_command(ctx, args)
            return typed, command and _loaded(references[str(command.name)]), rest

    app = typer.Typer(name=name, help=about, cls=Commands, no_args_is_help=True, **_SETTINGS)
    app.callback(invoke_without_command=True)(_options)
    for command, reference in references.items():
        app.command(command, help=_docstring(reference))(_line)
    return app


def _line() -> None:
    """Stand in the list for a command that is not loaded."""


def _loaded(reference: str) -> Any:
    single = typer.Typer(**_SETTINGS)
    single.command()(resolve_name(reference))
    return get_command(single)


def _docstring(reference: str) -> str:
    """Return a function's docstring from its source, so that listing a command costs no import of what it imports."""
    module, _, function = reference.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return ast.get_docstring(found) or ""


def run_app(app: typer.Typer) -> int:
    """Run a typer application and return the exit code; bugs keep their traceback."""
    with settled_streams() as output, _terminated_as_interrupted():
        code = _ended(app)
        with suppress(HarnessError):  # of standard output, which was held back until now
            output.flush()
        if output.failure is not None and code != ExitCode.ENVIRONMENT:
            print(f"error: {output.failure}", file=sys.stderr)
            code = int(ExitCode.ENVIRONMENT)
    return code


def _ended(app: typer.Typer) -> int:
    try:
        app()
    except InputError as error:  # as they are, so that each begins with file:line:column
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except SystemExit as leave:  # typer's own end: --help, typer.Exit, wrong usage (2), Ctrl-C (130)
        return leave.code if isinstance(leave.code, int) else int(ExitCode.OK)
    except KeyboardInterrupt:  # while one was being answered
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        where = error.filename or "a file"
        print(f"error: {where}: cannot be written ({in_words(error)}); make room and run it again", file=sys.stderr)
        return int(ExitCode.ENVIRONMENT)
    return int(ExitCode.OK)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM, and SIGHUP where it is not ignored, end a command as Ctrl-C does: by its own way out."""

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        print(version("encoder-verdict"))
        raise typer.Exit
