"""`harness compare`: two models on the same items, from results on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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
from harness.comparison.compare import Asked, Comparison
from harness.comparison.compare import compare as compare_models
from harness.comparison.flips import MOST, Flips, flips
from harness.digests import write_atomically
from harness.errors import ExitCode, InputError
from harness.report import comparison_files, flips_files
from harness.wording import listing
from harness.writing import refuse, saying


class Format(StrEnum):
    """How a comparison is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"


WRITERS: dict[Format, Callable[[Any], str]] = {
    Format.TABLE: comparison_files.text,
    Format.MARKDOWN: comparison_files.as_markdown,
    Format.CSV: comparison_files.as_csv,
    Format.LATEX: comparison_files.as_latex,
}
FLIPS_WRITERS: dict[Format, Callable[[Any], str]] = {
    Format.TABLE: flips_files.text,
    Format.MARKDOWN: flips_files.as_markdown,
}


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
    shows_flips: Annotated[
        bool, typer.Option("--flips", help="Show the items that moved most instead, with what each model made of them.")
    ] = False,
    items: Annotated[
        int | None, typer.Option("-n", min=1, help=f"With --flips: so many items a task [{MOST}].")
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="With --flips: leave the texts of the data out.")
    ] = False,
) -> None:
    """Compare two models task by task: paired difference, 95% interval, p-value, win/tie/loss; runs nothing."""
    refuse({}, {"--out": out})
    _refuse_useless(form, items, shows_flips=shows_flips, no_texts=no_texts)
    asked = Asked(suite, results, names_of(tasks), limit, override or (), sources_of(hub, offline))
    found: Flips | Comparison
    if shows_flips:
        found = flips(a, b, asked=asked, most=items or MOST, with_texts=not no_texts)
        plain, written = flips_files.as_json(found), FLIPS_WRITERS[form](found)
    else:
        found = compare_models(a, b, **asked._asdict())
        plain, written = comparison_files.as_json(found), WRITERS[form](found)
    text = f"{json.dumps(plain, indent=1, ensure_ascii=False)}\n" if as_json else written
    if out is None:
        print(json_for_output(text) if as_json else text, end="")
    else:
        with saying(f"--out {out}"):
            write_atomically(out, text.encode("utf-8", "backslashreplace"))
    raise typer.Exit(ExitCode.CELLS_FAILED if found.failed else ExitCode.OK)


def _refuse_useless(form: Format, items: int | None, *, shows_flips: bool, no_texts: bool) -> None:
    """Raise InputError for options that would do nothing."""
    needs = {"-n": items is not None, "--no-texts": no_texts}
    problems = [f"{name} is for the items that moved: add --flips" for name, is_there in needs.items() if is_there]
    if not shows_flips and problems:
        raise InputError(problems)
    if shows_flips and form not in FLIPS_WRITERS:
        known = listing([*FLIPS_WRITERS, "--json"])
        raise InputError([f"--flips --format {form}: items with their texts are no table; expected {known}"])
