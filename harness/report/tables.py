"""A table as Markdown or CSV text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

MOST_ROWS = 60
"""Of a table that stands unfolded in report.md."""


def csv_text(header: tuple[str, ...], rows: list[list[object]]) -> str:
    """Return header and rows as CSV with plain line ends."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; `|` and line breaks in cells are escaped."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def folded(said: str, block: str, *, rows: int, most: int = MOST_ROWS) -> str:
    """Return a Markdown block of so many rows, of more than `most` folded under what it is."""
    if rows <= most:
        return block
    return f"<details><summary>{said}</summary>\n\n{block}\n\n</details>"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
