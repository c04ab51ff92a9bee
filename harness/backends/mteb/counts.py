"""Counts of texts from the descriptive statistics that mteb's wheel ships, a column of texts at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Texts(NamedTuple):
    """How much there is to encode."""

    texts: int
    unique: int
    characters: int


def texts_in(statistics: Mapping[str, Any], *columns: str) -> Texts | None:
    """Return what the named columns hold together; None where the statistics lack a part."""
    known = [statistics[column] for column in columns if statistics.get(column)]
    if not known or not all("total_text_length" in column for column in known):
        return None
    return Texts(
        texts=sum(round(number_in(column)) for column in known),
        unique=sum(column["unique_texts"] for column in known),
        characters=sum(column["total_text_length"] for column in known),
    )


def number_in(column: Mapping[str, Any] | None) -> float:
    """Return how many texts a column holds, from their length together and their mean length."""
    if not column or not column["total_text_length"]:
        return 0.0
    return float(column["total_text_length"] / column["average_text_length"])


def as_row(items: int, texts: Texts | None, training: int = 0) -> list[int]:
    """Return the numbers in the catalogue's order; empty where the texts are unknown."""
    if texts is None:
        return []
    return [items, texts.texts, min(texts.unique, texts.texts), texts.characters, training]
