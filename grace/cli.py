"""The `grace` command; training commands are added here as they are built."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="grace",
    help="Train the candidates that `harness` judges. This release has no training command yet: see CHANGELOG.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    """Run the command line."""
    app()
