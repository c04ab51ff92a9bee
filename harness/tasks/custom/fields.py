"""What files of a custom task hold, and how one cell of them is checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.row_files import RefusedJsonError, json_value
from harness.wording import display_path, short

SUFFIXES = (".jsonl", ".csv", ".parquet")
MOST_PROBLEMS = 20
"""So many bad rows are named; the rest are counted."""
LARGEST_GRADE = 1_000_000
"""Of a judgement: pytrec_eval reserves memory for every grade up to the largest."""
WRITTEN_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
"""As CSV has them: Python itself would take 1_000 and digits of other scripts too."""
Cell = Literal["text", "text or none", "number", "label", "texts", "numbers", "binary", "grade"]

Columns = dict[str, Cell]
"""Column -> what its cells hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row and where it stands."""

    line: int
    """1-based line of the file at which it begins (JSONL, CSV) or row (parquet)."""
    values: dict[str, Any]
    lines: int = 1
    """How many lines it takes; more than one only in CSV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the entry of a custom task says of its data."""

    skip_unjudged_queries: bool = False
    """Retrieval: leave out queries without a relevant document, which are an error otherwise."""
    ignore_identical_ids: bool = False
    """Retrieval: leave the document of a query's own id out of its ranking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The checked rows of a custom task, and where they came from."""

    rows: dict[str, list[Row]]
    """File, without its suffix -> its rows."""
    paths: dict[str, Path]
    options: Options


def check_cell(row: Row, name: str, cell: Cell, shown: str, problems: list[str]) -> None:
    """Put the checked value of a cell into its row; where it is not what the column holds, say so in `problems`.

    Args:
        row: to be changed.
        name, cell: the column and what it holds.
        shown: the file, for messages.
        problems: gets an entry.
    """
    value = row.values.get(name)
    checked = _CHECKS[cell](value)
    if checked is None:
        problems.append(f"{shown}:{row.line}: {name}: expected {_WANTED[cell]}, got {short(value)}")
    else:
        row.values[name] = checked


def check_row(stem: str, row: Row, shown: str, problems: list[str]) -> None:
    """Say what is wrong with a row whose cells are right by themselves: a document without title and text."""
    text = row.values.get("text")
    if stem == "corpus" and isinstance(text, str) and not document_text(row.values.get("title"), text):
        problems.append(f"{shown}:{row.line}: text: expected text that is not empty, or a title, got {short(text)}")


def document_text(title: Any, text: str) -> str:
    """Return a document as mteb has it encoded: title and text, joined with a space."""
    return f"{title or ''} {text}".strip()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _text_or_none(value: Any) -> str | None:
    return "" if value is None else value if isinstance(value, str) else None


def _label(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    return str(value) if isinstance(value, int) or (isinstance(value, str) and value.strip()) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or (isinstance(value, str) and not WRITTEN_NUMBER.fullmatch(value)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _binary(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number in (0.0, 1.0) else None


def _grade(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= LARGEST_GRADE and number == int(number) else None


def _list_of(check: Callable[[Any], Any]) -> Callable[[Any], list[Any] | None]:
    def checked(value: Any) -> list[Any] | None:
        if isinstance(value, str):  # a CSV cell
            try:
                value = json_value(value)
            except (json.JSONDecodeError, RefusedJsonError):
                return None
        if not isinstance(value, list):
            return None
        items = [check(item) for item in value]
        return None if any(item is None for item in items) else items

    return checked


_CHECKS: dict[Cell, Callable[[Any], Any]] = {
    "text": _text,
    "text or none": _text_or_none,
    "label": _label,
    "number": _number,
    "binary": _binary,
    "grade": _grade,
    "texts": _list_of(_text),
    "numbers": _list_of(_number),
}
_WANTED: dict[Cell, str] = {
    "text": "text that is not empty",
    "text or none": "text",
    "label": "text or a whole number",
    "number": "a finite number",
    "binary": "0 or 1",
    "grade": f"a whole number from 0 (not relevant) to {LARGEST_GRADE}",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
}


def place_of(path: Path, row: Row) -> str:
    """Return `file:line` of a row, for messages."""
    return f"{display_path(path)}:{row.line}"
