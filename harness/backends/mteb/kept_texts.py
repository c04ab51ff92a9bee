"""The beginnings of a task's texts, read from its data a batch at a time, in the places of its per-item results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.backends.mteb.loaded import streamed

TEXT_CHARACTERS, DOCUMENT_CHARACTERS = 300, 200
"""Longest text kept: of an item, and of a document."""


def texts_at(rows: Any, column: str, places: Iterable[int], *, most: int = TEXT_CHARACTERS) -> dict[int, str]:
    """Return place -> the beginning of the text there.

    Args:
        rows: a Dataset.
        column: that holds texts.
        places: rows of it.
        most: characters.
    """
    wanted = sorted(set(places))
    found = streamed(rows.select(wanted), (column,)) if wanted else ()
    return {place: str(text)[:most] for place, (text,) in zip(wanted, found, strict=True)}


def as_column(texts: Mapping[int, Any], rows: int) -> list[Any]:
    """Return what `texts` has of each row of the per-item results, None elsewhere."""
    return [texts.get(row) for row in range(rows)]
