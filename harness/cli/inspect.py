"""`harness inspect`: all that a stored cell was made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ResultsOption
from harness.cli.streams import json_for_output
from harness.results.damage import AGAIN, in_words
from harness.results.inspection import find
from harness.results.records import Failure, Score, to_json
from harness.results.store import Store


def inspect(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="model/task, or the beginning of a key.")],
    results: ResultsOption = Path("results"),
    items: Annotated[int, typer.Option("--items", min=0, help="Show so many per-item results.")] = 0,
) -> None:
    """Show everything a stored cell was made of, as JSON; the traceback of a failed one."""
    store = Store(results)
    for one, cells in find(store, cell):
        print(json_for_output(to_json(one)), end="")
        if len(cells) > 1:
            print(f"one record, measured once for: {', '.join(cells)}", file=sys.stderr)
        lost = store.lost(one) if isinstance(one, Score) else {}
        if lost:
            print(f"{cells[0]}: {in_words(lost)}; {AGAIN}", file=sys.stderr)
        if isinstance(one, Failure):
            print(one.traceback, file=sys.stderr, end="")
        table = store.items_of(one) if items and not lost and isinstance(one, Score) else None
        if table is not None:
            print(table.slice(0, items).to_pandas().to_string(max_colwidth=60))
