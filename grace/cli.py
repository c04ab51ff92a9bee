"""The `grace` command: each command stands in a `cli_*.py` of its own and is added here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from grace import cli_encode, cli_explain, cli_export, cli_train

app = typer.Typer(
    name="grace",
    help="Train the candidates that `harness` judges, look into them, and take them elsewhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(cli_train.train)
app.command()(cli_explain.explain)
app.command()(cli_encode.encode)
app.command()(cli_export.export)


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
    from harness.cli import run_app

    sys.exit(run_app(app))


if __name__ == "__main__":
    main()
