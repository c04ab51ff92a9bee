"""The texts of a step, in the order that its loss wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grace.config.schema import TrainConfig
from grace.data.table import Row


class TextBatch(NamedTuple):
    """The texts of some rows."""

    texts: list[str]
    """Queries, then their positives, then all negatives."""
    queries: int
    """How many rows there are."""
    step: int = 0
    epoch: int = 0


def texts_of(rows: Sequence[Row], config: TrainConfig, *, step: int = 0, epoch: int = 0) -> TextBatch:
    """Return the texts of `rows`; where rows are single texts, each is its own positive.

    Args:
        rows: of this process.
        config: says whether negatives of the rows' own are read.
        step, epoch: 0-based.
    """
    queries = [row.query for row in rows]
    positives = [row.query if row.positive is None else row.positive for row in rows]
    use_negatives = config.objective != "simcse" and config.infonce.hard_negatives
    negatives = [text for row in rows for text in row.negatives] if use_negatives else []
    return TextBatch([*queries, *positives, *negatives], len(queries), step, epoch)
