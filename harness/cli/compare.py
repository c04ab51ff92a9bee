"""`harness compare`: two models on the same items, from results on disk."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.comparison.compare import compare as compare_models
from harness.errors import ExitCode, InputError
from harness.report import comparison_files
from harness.sources.places import Sources, go_offline


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A model, or FOLDER:MODEL for results in another folder.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The model it is compared with.")],
    suite: Annotated[
        str | None, typer.Option("--suite", help="Only this suite's cells; without: what is stored under both names.")
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Where results are kept.")] = Path("results"),
    tasks: Annotated[str, typer.Option("--tasks", help="Only these tasks, comma-separated.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The suite's cells of that limit.")] = None,
    hub: Annotated[
        Path | None, typer.Option("--hub", envvar="HARNESS_HUB", help="A local hub, looked up before the network.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network.")] = False,
    override: Annotated[
        list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value of the suite.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Compare two models task by task: paired difference, 95% interval, p-value, win/tie/loss; runs nothing."""
    if hub is not None and not hub.is_dir():
        raise InputError([f"--hub {hub}: no such folder; expected datasets/ORG/NAME and models/ORG/NAME below it"])
    if offline:
        go_offline()
    found = compare_models(
        a,
        b,
        suite=suite,
        results=results,
        tasks=tuple(name.strip() for name in tasks.split(",") if name.strip()),
        limit=limit,
        overrides=override or (),
        sources=Sources(hub=hub.resolve() if hub else None, offline=offline),
    )
    if as_json:
        text = json.dumps(comparison_files.as_json(found), indent=1, ensure_ascii=False) + "\n"
    else:
        writers = {
            Format.TABLE: comparison_files.text,
            Format.MARKDOWN: comparison_files.as_markdown,
            Format.CSV: comparison_files.as_csv,
            Format.LATEX: comparison_files.as_latex,
        }
        text = writers[form](found)
    if out is None:
        print(text, end="")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    raise typer.Exit(ExitCode.CELLS_FAILED if found.failed else ExitCode.OK)
