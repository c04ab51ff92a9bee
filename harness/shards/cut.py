"""Where a long list of texts or questions is cut into shards: the same on every machine, from the list alone.

A shard is what a killed process loses at most. It holds `MAX_TEXTS` texts at most, and work of `MAX_WEIGHT` tokens.
Where a list is cut hangs on the texts and on how much is written about each, so that two tasks over one corpus, and all
models that read it alike, cut it at the same places.
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
LEAST_FILL = 0.5
"""A shard that ends before it is full is at least so full."""
END_CHANCE = 8.0
"""Ends that are drawn in as many texts as fill a shard: of a hundred shards two come to be full."""
MEAN_FILL = 0.62
"""LEAST_FILL and the mean wait for an end, (1 - exp(-END_CHANCE / 2)) / END_CHANCE."""
ROUNDING = 1e-9
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
    """Return into about how many shards `cut_texts` cuts texts of so much work in all, each like the others."""
    if not texts:
        return 0
    full = texts * max(1 / max_texts, weight / texts / MAX_WEIGHT)
    return 1 if full <= 1 else max(2, round(full / MEAN_FILL))


def question_count(questions: int, *, max_questions: int = MAX_QUESTIONS) -> int:
    """Return into how many shards `cut_evenly` cuts so many questions."""
    return math.ceil(questions / max_questions)


def cut_texts(
    weights: Sequence[float] | NDArray[np.float64], draws: Sequence[int] | NDArray[np.uint64], *, max_texts: int
) -> list[tuple[int, int]]:
    """Return (start, stop) of each shard of a list of texts, in order, covering it without holes.

    A shard that is half full ends at the next text whose own digest says so. Two lists that differ by some texts are
    therefore cut alike before and after these (content-defined chunking: Muthitacharoen et al., SOSP 2001): corpora of
    two tasks that are nearly one share nearly all shards.

    Args:
        weights: (n,) work of each text, none negative.
        draws: (n,) of each text's digest, spread evenly over the integers below 2**64.
        max_texts: no shard is longer.
    """
    fill = np.maximum(1 / max_texts, np.asarray(weights, dtype=np.float64) / MAX_WEIGHT)
    upto = np.cumsum(fill)
    if not len(fill) or upto[-1] <= 1 + ROUNDING:
        return [(0, len(fill))] if len(fill) else []
    ends = np.flatnonzero(np.asarray(draws, dtype=np.uint64) / 2.0**64 < END_CHANCE * fill) + 1
    found, start, base = [], 0, 0.0
    while start < len(fill):
        half = int(np.searchsorted(upto, base + LEAST_FILL - ROUNDING)) + 1
        most = max(start + 1, int(np.searchsorted(upto, base + 1 + ROUNDING, side="right")))
        place = int(np.searchsorted(ends, half))
        stop = int(ends[place]) if place < len(ends) and ends[place] <= most else most
        found.append((start, stop))
        start, base = stop, float(upto[stop - 1])
    return found


def cut_evenly(count: int, *, most: int) -> list[tuple[int, int]]:
    """Return (start, stop) of shards of `most` questions at most, as long as each other."""
    borders = np.linspace(0, count, math.ceil(count / most) + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(borders)]
