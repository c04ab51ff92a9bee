"""The `harness` command: a file a command, each added here by one line.

What is slow to load (torch, engines, pandas) is imported by the functions that need it, so that `--help` answers at
once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.compare import compare
from harness.cli.doctor import doctor
from harness.cli.fetch import fetch
from harness.cli.gate import gate
from harness.cli.inspect import inspect
from harness.cli.plan import plan
from harness.cli.run import report, run
from harness.cli.suites import ls, schema, validate
from harness.errors import ExitCode, HarnessError, InputError

app = typer.Typer(
    name="harness",
    help="Is it a better text encoder, and what did it forget? Evaluate encoders on MTEB and general ability.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, report, plan, validate, ls, inspect, schema, fetch, doctor, compare, gate):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        print(version("encoder-verdict"))
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    sys.exit(run_app(app))


def run_app(application: typer.Typer) -> int:
    """Run a typer application and return the exit code; bugs keep their traceback."""
    try:
        application()
    except InputError as error:  # as they are, so that each begins with file:line:column
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except SystemExit as leave:  # typer's own end: --help, typer.Exit, wrong usage (2), Ctrl-C (130)
        return leave.code if isinstance(leave.code, int) else int(ExitCode.OK)
    return int(ExitCode.OK)
