"""The texts of an `lm_nll` file: JSON lines, one column of which holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import InputError
from harness.row_files import json_rows
from harness.tasks.custom.fields import MOST_PROBLEMS
from harness.wording import did_you_mean, display_path, first_lines, listing


def read_texts(path: Path, column: str) -> list[str]:
    """Return the texts of a file, in order, empty ones included.

    Raises:
        InputError: it cannot be read, has no rows, or rows without a text in `column`; with file and line.
    """
    problems: list[str] = []
    texts = []
    try:
        for row in json_rows(path, problems):
            text = row.values.get(column)
            if isinstance(text, str):
                texts.append(text)
            else:
                near = did_you_mean(column, row.values)
                problems.append(f"{row.place}: no text in {column!r}; it has: {listing(row.values) or 'nothing'}{near}")
    except OSError as error:
        problems.append(f"{display_path(path)}: cannot be read: {error.strerror or error}")
    if problems or not texts:
        raise InputError(first_lines(problems, most=MOST_PROBLEMS) or [f"{display_path(path)}: no rows"])
    return texts


def texts_remarks(texts: Sequence[str]) -> tuple[str, ...]:
    """Return what must be known of the texts before a likelihood of them is believed, a line each."""
    again, empty = len(texts) - len(set(texts)), sum(not text for text in texts)
    found = []
    if again:
        found.append(f"{again} of {len(texts)} texts are there before and count again")
    if empty:
        found.append(f"{empty} of {len(texts)} texts are empty and have no token to score")
    return tuple(found)
