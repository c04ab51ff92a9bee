"""The texts of a step, in the order that its loss wants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.config.schema import TrainConfig
from grace.data.batches import batch_of
from grace.data.rows import TrainingData
from grace.data.table import Row

if TYPE_CHECKING:
    import torch


class TextBatch(NamedTuple):
    """The texts of some rows."""

    texts: list[str]
    """Queries, then their positives, then all negatives."""
    queries: int
    """How many rows there are."""
    step: int = 0
    epoch: int = 0


def texts_of(rows: Sequence[Row], config: TrainConfig, *, step: int = 0, epoch: int = 0) -> TextBatch:
    """Return the texts of `rows`; where rows are single texts, each is its own positive, but for distil.

    Args:
        rows: of this process.
        config: says whether negatives of the rows' own are read.
        step, epoch: 0-based.
    """
    queries = [row.query for row in rows]
    if config.objective == "distil" and all(row.positive is None for row in rows):
        return TextBatch(queries, len(queries), step, epoch)
    positives = [row.query if row.positive is None else row.positive for row in rows]
    use_negatives = config.objective != "simcse" and config.infonce.hard_negatives
    negatives = [text for row in rows for text in row.negatives] if use_negatives else []
    return TextBatch([*queries, *positives, *negatives], len(queries), step, epoch)


def visited_texts(data: TrainingData, config: TrainConfig, *, first: int, end: int | None) -> list[str]:
    """Return the distinct texts that steps read, in the order of the first visit; in that of the data where all are.

    Args:
        data: of the run.
        config: of the run.
        first, end: 0-based steps, the end not among them; None: nobody knows, and all texts are.
    """
    rows = len(data.rows)
    places: dict[int, None] = {}
    if end is not None and end - first < 2 * (rows // config.batch_size):
        for number in range(first, end):
            batch = batch_of(number, rows=rows, size=config.batch_size, seed=config.data.seed)
            places |= dict.fromkeys(int(index) for index in batch.indices)
    else:
        places = dict.fromkeys(range(rows))
    return list(dict.fromkeys(text for place in places for text in texts_of([data.rows[place]], config).texts))


def text_names(texts: Sequence[str], device: Any) -> torch.Tensor:
    """Return numbers that stand for texts, (n,) int64: equal texts, equal numbers, in every process."""
    import torch

    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    found = [int.from_bytes(one[:8], "big", signed=True) for one in digests]
    return torch.tensor(found, dtype=torch.int64, device=device)
