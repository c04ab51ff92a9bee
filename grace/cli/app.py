"""The `grace` command: a file a command, each added here by one line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from grace.cli.encode import encode
from grace.cli.explain import explain
from grace.cli.export import export
from grace.cli.train import train
from harness.cli.app import run_app

app = typer.Typer(
    name="grace",
    help="Train the candidates that `harness` judges, look into them, and take them elsewhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (train, explain, encode, export):
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
