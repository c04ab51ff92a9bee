"""`harness compare`: two models on the same items, from results on disk."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    HubOption,
    JsonOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    TasksOption,
    names_of,
    sources_of,
)
from harness.cli.streams import json_for_output
from harness.comparison.compare import compare as compare_models
from harness.digests import write_atomically
from harness.errors import ExitCode
from harness.report import comparison_files
from harness.writing import refuse, saying


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
    results: ResultsOption = Path("results"),
    tasks: TasksOption = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The suite's cells of that limit.")] = None,
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: SetOption = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two models task by task: paired difference, 95% interval, p-value, win/tie/loss; runs nothing."""
    refuse({}, {"--out": out})
    found = compare_models(
        a,
        b,
        suite=suite,
        results=results,
        tasks=names_of(tasks),
        limit=limit,
        overrides=override or (),
        sources=sources_of(hub, offline),
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
        print(json_for_output(text) if as_json else text, end="")
    else:
        with saying(f"--out {out}"):
            write_atomically(out, text.encode("utf-8", "backslashreplace"))
    raise typer.Exit(ExitCode.CELLS_FAILED if found.failed else ExitCode.OK)
