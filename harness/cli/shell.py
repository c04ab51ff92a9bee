"""What the commands `harness` and `grace` have in common: the application, its --version, and how a run of it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Annotated, Any

import typer

from harness.errors import ExitCode, HarnessError, InputError


def application(name: str, about: str, commands: Iterable[Callable[..., Any]]) -> typer.Typer:
    """Return a typer application.

    Args:
        name: what is typed.
        about: said above the list of commands.
        commands: functions, a command each under its own name, in the order of the list.
    """
    app = typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_options)
    for command in commands:
        app.command()(command)
    return app


def run_app(app: typer.Typer) -> int:
    """Run a typer application and return the exit code; bugs keep their traceback."""
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
    return int(ExitCode.OK)


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        print(version("encoder-verdict"))
        raise typer.Exit
