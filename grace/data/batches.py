"""Which rows a step trains on: a function of (seed, step) alone, so a resumed run sees the batches it would have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batch(NamedTuple):
    """The rows of one step."""

    indices: NDArray[np.int64]
    """(batch size,), each row at most once."""
    epoch: int
    """0-based pass over the data."""


def batch_of(step: int, *, rows: int, size: int, seed: int) -> Batch:
    """Return the batch of `step`.

    Args:
        step: 0-based.
        rows: in the data; at least `size`.
        size: rows a step.
        seed: of the order; each epoch has its own. What is left at an epoch's end and fills no batch is left out.
    """
    steps_per_epoch = rows // size
    epoch, place = divmod(step, steps_per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return Batch(order[place * size : (place + 1) * size], epoch)
