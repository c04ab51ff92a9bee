"""Texts from a file: JSON lines, CSV, parquet, or one text a line; problems are named with their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.row_files import FileRow, csv_rows, json_rows, lines, parquet_rows
from harness.wording import did_you_mean, display_path, first_lines, listing

FORMATS = ("jsonl", "csv", "parquet", "lines")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "lines"}
MOST_PROBLEMS = 20
"""Problems shown; the rest is counted."""


def read_texts(path: Path, *, column: str | None = None, kind: str | None = None) -> list[str]:
    """Return the texts of a file, in order, empty ones included.

    Args:
        path: the file.
        column: of JSON lines, CSV and parquet, where the text is; None: `text`. Lines have none.
        kind: one of `FORMATS`; None: by the file's ending.

    Raises:
        InputError: with `file:line: what` for each problem, the first 20 of them.
    """
    form = _format(path, kind)
    if form == "lines" and column is not None:
        raise InputError(
            [f"{display_path(path)}: one text a line has no columns; take --column away, or say --format jsonl or csv"]
        )
    readers: dict[str, Callable[[Path, str, list[str]], list[str]]] = {
        "jsonl": _objects,
        "csv": _csv,
        "parquet": _parquet,
        "lines": lambda file, _, problems: [line for _, line in lines(file, problems)],
    }
    problems: list[str] = []
    try:
        texts = readers[form](path, column or "text", problems)
    except OSError as error:
        raise InputError([f"{display_path(path)}: cannot be read: {error.strerror or error}"]) from error
    if problems:
        raise InputError(first_lines(problems, most=MOST_PROBLEMS))
    if not texts:
        raise InputError([f"{display_path(path)}: holds no text"])
    return texts


def _format(path: Path, kind: str | None) -> str:
    if kind is not None and kind not in FORMATS:
        raise InputError([f"--format {kind!r}: expected {listing(FORMATS)}{did_you_mean(kind, FORMATS)}"])
    if not path.is_file():
        raise InputError([f"{display_path(path)}: {'is a folder, not a file' if path.is_dir() else 'no such file'}"])
    found = kind or SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise InputError(
            [f"{display_path(path)}: the ending {path.suffix!r} says nothing; give --format {listing(FORMATS)}"]
        )
    return found


def _objects(path: Path, column: str, problems: list[str]) -> list[str]:
    texts = []
    for row in json_rows(path, problems):
        if column in row.values:
            texts.append(_text(row.values[column], row.place, column, problems))
        else:
            problems.append(f"{row.place}: {_no_column(column, list(row.values))}")
    return texts


def _csv(path: Path, column: str, problems: list[str]) -> list[str]:
    return _columns(csv_rows(path, problems), path, column, problems)


def _parquet(path: Path, column: str, problems: list[str]) -> list[str]:
    return _columns(parquet_rows(path, problems, only=column), path, column, problems)


def _columns(rows: Iterable[FileRow], path: Path, column: str, problems: list[str]) -> list[str]:
    """Return the texts of rows that all have the same columns."""
    texts = []
    for row in rows:
        if column not in row.values:
            problems.append(f"{display_path(path)}: {_no_column(column, list(row.values))}")
            break
        texts.append(_text(row.values[column], row.place, column, problems))
    return texts


def _text(value: Any, where: str, column: str, problems: list[str]) -> str:
    if isinstance(value, str):
        return value
    got = "null" if value is None else f"{type(value).__name__} {value!r:.40}"
    problems.append(f"{where}: {column!r} is no text but {got}")
    return ""


def _no_column(column: str, there: list[str]) -> str:
    return f"no column {column!r}{did_you_mean(column, there)}; it has: {listing(there) or 'none'}; see --column"
