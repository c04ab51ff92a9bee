"""Where a long list of texts or questions is cut into shards: the same on every machine, from the list alone.

A shard is what a killed process loses at most. It holds `MAX_TEXTS` texts at most, and work of about `MAX_WEIGHT`
tokens; within that, shards weigh about the same. Where a list is cut hangs on the texts and on how much is written
about each, so that two tasks over one corpus, and all models that read it alike, cut it at the same places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_TEXTS = 32_768
MAX_QUESTIONS = 256
"""Of the ability axis; each has a prompt of a thousand tokens or so."""
MAX_WEIGHT = 8_000_000.0
"""Tokens read: minutes of a GPU; what is lost with a process that dies."""
CHARACTERS_PER_TOKEN = 4.0
WRITTEN_TOKEN = 20.0
"""A token that is written weighs as much as so many that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Consecutive texts or questions of one list of a cell."""

    part: str
    """Task, or part of an aggregate."""
    split: str
    subset: str
    role: str | None
    """In which its texts are encoded; None where they have none."""
    start: int
    """Of the list: the first that is in it."""
    stop: int
    """The first that is not."""
    ids: str
    """sha256 over the digests of what is in it, in order: what its file must have been made of."""
    weight: float
    """Work, in tokens read."""

    @property
    def name(self) -> str:
        """How it is called in messages."""
        role = f" {self.role}" if self.role else ""
        return f"{self.part} {self.split}/{self.subset}{role} [{self.start}:{self.stop}]"


def weight_of(characters: int, writes: int) -> float:
    """Return the work of a text of so many characters about which at most `writes` tokens are written."""
    return characters / CHARACTERS_PER_TOKEN + WRITTEN_TOKEN * writes


def shard_count(texts: int, weight: float, *, max_texts: int = MAX_TEXTS) -> int:
    """Return into how many shards a list of so many texts and so much work is cut, at least."""
    return max(1, math.ceil(texts / max_texts), math.ceil(weight / MAX_WEIGHT)) if texts else 0


def cut(weights: Sequence[float] | NDArray[np.float64], *, max_texts: int = MAX_TEXTS) -> list[tuple[int, int]]:
    """Return (start, stop) of each shard of a list, in order, covering it without holes.

    Args:
        weights: (n,) work of each text, none negative.
        max_texts: no shard is longer.
    """
    work = np.asarray(weights, dtype=np.float64)
    n = shard_count(len(work), float(work.sum()), max_texts=max_texts)
    if n <= 1:
        return [(0, len(work))] if len(work) else []
    even = work + (work.mean() or 1.0)  # so that texts without work are spread too
    upto = np.cumsum(even)
    wanted = upto[-1] * (np.arange(1, n) / n - 1e-12)  # a sum that is just reached is
    borders = np.unique([0, *(np.searchsorted(upto, wanted) + 1), len(work)])
    found = []
    for start, stop in pairwise(borders):
        pieces = math.ceil((stop - start) / max_texts)
        inner = np.linspace(start, stop, pieces + 1).astype(int)
        found += [(int(a), int(b)) for a, b in pairwise(inner)]
    return found
