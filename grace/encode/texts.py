"""Texts from a file: JSON lines, CSV, parquet, or one text a line; problems are named with their lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.wording import did_you_mean, listing

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
        raise InputError([f"{path}: one text a line has no columns; take --column away, or say --format jsonl or csv"])
    readers: dict[str, Callable[[Path, str, list[str]], list[str]]] = {
        "jsonl": _json_lines,
        "csv": _csv,
        "parquet": _parquet,
        "lines": lambda file, _, problems: list(_lines(file, problems)),
    }
    problems: list[str] = []
    try:
        texts = readers[form](path, column or "text", problems)
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise InputError(problems[:MOST_PROBLEMS] + ([f"... and {more} more"] if more > 0 else []))
    if not texts:
        raise InputError([f"{path}: holds no text"])
    return texts


def _format(path: Path, kind: str | None) -> str:
    if kind is not None and kind not in FORMATS:
        raise InputError([f"--format {kind!r}: expected {listing(FORMATS)}{did_you_mean(kind, FORMATS)}"])
    if not path.is_file():
        raise InputError([f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}"])
    found = kind or SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise InputError([f"{path}: the ending {path.suffix!r} says nothing; give --format {listing(FORMATS)}"])
    return found


def _lines(path: Path, problems: list[str]) -> Iterator[str]:
    r"""Yield the lines of a file without their `\n` or `\r\n`; only these end a line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                problems.append(f"{path}:{number}: not UTF-8 at byte {error.start + 1} of the line")
                yield ""
            else:
                yield text.removesuffix("\n").removesuffix("\r")


def _json_lines(path: Path, column: str, problems: list[str]) -> list[str]:
    texts = []
    for number, line in enumerate(_lines(path, problems), start=1):
        if not line.strip():
            continue  # a blank line holds no object, as in every reader of JSON lines
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"{where}: not JSON: {error}")
            continue
        if not isinstance(row, dict):
            problems.append(f"{where}: expected an object, got {type(row).__name__}")
        elif column not in row:
            problems.append(f"{where}: {_no_column(column, list(row))}")
        else:
            texts.append(_text(row[column], where, column, problems))
    return texts


def _csv(path: Path, column: str, problems: list[str]) -> list[str]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader((f"{line}\n" for line in _lines(path, problems)), strict=True)
    texts: list[str] = []
    try:
        head = next(reader, None)
        if head is None:
            return []
        if column not in head:
            problems.append(f"{path}:1: {_no_column(column, head)}")
            return []
        place, began = head.index(column), reader.line_num + 1
        for row in reader:
            if row and len(row) != len(head):
                problems.append(f"{path}:{began}: {len(row)} fields, the head has {len(head)}")
            elif row:
                texts.append(row[place])
            began = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"{path}:{reader.line_num}: not CSV: {error}")
    return texts


def _parquet(path: Path, column: str, problems: list[str]) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError([f"{path}: not parquet: {error}"]) from error
    if column not in file.schema_arrow.names:
        raise InputError([f"{path}: {_no_column(column, file.schema_arrow.names)}"])
    values = file.read(columns=[column]).column(0).to_pylist()
    return [_text(value, f"{path}: row {number}", column, problems) for number, value in enumerate(values, start=1)]


def _text(value: Any, where: str, column: str, problems: list[str]) -> str:
    if isinstance(value, str):
        return value
    got = "null" if value is None else f"{type(value).__name__} {value!r:.40}"
    problems.append(f"{where}: {column!r} is no text but {got}")
    return ""


def _no_column(column: str, there: list[str]) -> str:
    return f"no column {column!r}{did_you_mean(column, there)}; it has: {listing(there) or 'none'}; see --column"
