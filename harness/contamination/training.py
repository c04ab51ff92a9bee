"""The texts of training files, one by one: JSON lines, CSV, text with one a line (each gzipped too), parquet.

Every column that holds a text, or a list of texts, is read (query, positive, negatives, ...), unless columns are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.contamination.words import words_of
from harness.errors import InputError
from harness.row_files import FileRow, csv_rows, json_rows, lines, parquet_rows
from harness.wording import did_you_mean, display_path, first_lines, listing

MOST_PROBLEMS = 10
SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".txt", ".txt.gz", ".parquet")


def _text_rows(path: Path, problems: list[str]) -> Iterator[FileRow]:
    for number, line in lines(path, problems):
        yield FileRow(f"{display_path(path)}:{number}", {"text": line}, number)


_READERS = {".jsonl": json_rows, ".csv": csv_rows, ".txt": _text_rows, ".parquet": parquet_rows}


def check_files(files: Sequence[Path]) -> None:
    """Raise InputError with every file that is not there, or is none of those that can be read."""
    problems = [f"--training {one}: no such file" for one in files if not one.is_file()]
    problems += [
        f"--training {one}: the name ends in none of {listing(SUFFIXES)}"
        for one in files
        if one.is_file() and not one.name.lower().endswith(SUFFIXES)
    ]
    if problems:
        raise InputError(problems)


def check_texts(files: Sequence[Path], columns: Sequence[str] = ()) -> None:
    """Raise InputError with every file in which no text has a word; others are read as far as their first one."""
    where = f"in its {listing(columns)}" if columns else "in it"
    problems = [
        f"{display_path(one)}: no text {where}, so that nothing can be compared with it"
        for one in files
        if not any(words_of(text) for text in training_texts(one, columns))
    ]
    if problems:
        raise InputError(problems)


def training_texts(path: Path, columns: Sequence[str] = ()) -> Iterator[str]:
    """Yield the texts of a training file.

    Args:
        path: the file.
        columns: only these; all that hold texts where empty.

    Raises:
        InputError: rows that cannot be read, or lack a column, after the last one; with file and line.
    """
    problems: list[str] = []
    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    try:
        for row in _READERS[f".{suffix}"](path, problems):
            for name in columns:
                if name not in row.values:
                    near = did_you_mean(name, row.values)
                    problems.append(
                        f"{row.place}: no column {name!r}; it has: {listing(row.values) or 'nothing'}{near}"
                    )
            for name, value in row.values.items():
                if not columns or name in columns:
                    yield from _texts(value)
            if len(problems) > MOST_PROBLEMS:
                break
    except OSError as error:
        problems.append(f"{display_path(path)}: cannot be read: {error.strerror or error}")
    if problems:
        raise InputError(first_lines(problems, most=MOST_PROBLEMS))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
