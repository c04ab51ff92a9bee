"""What a set of rationales looks like: collapse, copying and cut-offs show here before they show in a score. Pure.

Nothing is kept of a text but numbers: sums, how many rationales have each length, 8 bytes a rationale to find
duplicates, and 8 bytes a word pair of as many rationales as `PAIRS_HELD` allows. A corpus of millions of documents
would fill the memory otherwise, after days of writing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS_HELD = 4_000_000
"""Word pairs held at most, 32 MB. Where there are more, distinct-2 is that of a sample of the rationales."""
WAITING = 65_536
"""Hashes of rationales that wait to be sorted in among the others."""
QUANTILES = (0, 0.25, 0.5, 0.75, 1)
RANKS = 2**64


class Tally:
    """Counts what rationales look like, one after the other."""

    def __init__(self, *, opens_thinking: bool = False) -> None:
        """Count from nothing; `opens_thinking`: whether the template has opened `<think>` before the first token."""
        self._opens_thinking = opens_thinking
        self._lengths: Counter[int] = Counter()
        self._empty = self._cut = self._without_think = 0
        self._overlap = 0.0
        self._not_blank = 0
        self._distinct = _Distinct()
        self._pairs = _SampledPairs()

    def add(self, text: str, rationale: str, *, tokens: int, cut: bool) -> None:
        """Count one rationale.

        Args:
            text: what was written about.
            rationale: what was written, decoded.
            tokens: its length.
            cut: whether the length limit ended it.
        """
        words = rationale.lower().split()
        self._lengths[tokens] += 1
        self._empty += not words
        self._cut += cut
        self._without_think += not self._opens_thinking and "<think>" not in rationale
        self._overlap += _overlap(text, words)
        if rationale:
            self._not_blank += 1
            self._distinct.add(_hashed(rationale))
        self._pairs.add(_hashed(f"{text}\0{rationale}"), words)

    def described(self) -> dict[str, Any]:
        """Return shares (0 to 1) and lengths of the rationales that were added."""
        n = self._lengths.total()
        if not n:
            return {"rationales": 0}
        sampled = {} if self._pairs.is_whole else {"distinct_2_of": self._pairs.rationales}
        return {
            "rationales": n,
            "tokens_generated": sum(length * count for length, count in self._lengths.items()),
            "tokens_quantiles": {str(q): _quantile(self._lengths, q) for q in QUANTILES},
            "empty": self._empty / n,
            "truncated": self._cut / n,
            "without_think": self._without_think / n,
            "distinct_2": self._pairs.share(),
            **sampled,
            "overlap_with_text": self._overlap / n,
            "duplicates": (self._not_blank - self._distinct.count()) / n,
        }


class _Distinct:
    """How many different 8-byte hashes there were: two of ten million are taken for one in one case of 400,000."""

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._waiting = array("Q")

    def add(self, value: int) -> None:
        self._waiting.append(value)
        if len(self._waiting) > max(WAITING, len(self._sorted) // 4):
            self.count()

    def count(self) -> int:
        self._sorted = np.union1d(self._sorted, np.frombuffer(self._waiting, np.uint64))
        self._waiting = array("Q")
        return len(self._sorted)


class _SampledPairs:
    """The word pairs of all rationales, or of those whose hash is below a bound that falls as there are more.

    Which rationales are in the sample hangs on them alone, not on their order.
    """

    def __init__(self) -> None:
        self._of: list[tuple[int, array[int]]] = []
        self._held = 0
        self._bound = RANKS

    @property
    def is_whole(self) -> bool:
        """Whether no rationale was left out."""
        return self._bound == RANKS

    @property
    def rationales(self) -> int:
        """Rationales in the sample."""
        return len(self._of)

    def add(self, rank: int, words: Sequence[str]) -> None:
        if rank >= self._bound:
            return
        pairs = array("q", [hash(pair) for pair in pairwise(words)])
        self._of.append((rank, pairs))
        self._held += len(pairs)
        while self._held > PAIRS_HELD:
            self._bound //= 2
            self._of = [one for one in self._of if one[0] < self._bound]
            self._held = sum(len(pairs) for _, pairs in self._of)

    def share(self) -> float:
        """Return the share of the pairs that are different ones; 0 where there are none."""
        if not self._held:
            return 0.0
        together = np.concatenate([np.frombuffer(pairs, np.int64) for _, pairs in self._of])
        return len(np.unique(together)) / self._held


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _quantile(counted: Counter[int], share: float) -> float:
    """Return numpy's quantile of the numbers that were counted, each as often as it was."""
    values = sorted(counted)
    upto = np.cumsum([counted[value] for value in values])
    place = share * (int(upto[-1]) - 1)
    below, above = (values[int(np.searchsorted(upto, int(at), side="right"))] for at in (place, np.ceil(place)))
    return float(np.interp(place, [int(place), int(place) + 1], [below, above]))


def _overlap(text: str, rationale: list[str]) -> float:
    """Return the share of the rationale's words that stand in the text; 0 for an empty one."""
    own = set(text.lower().split())
    return sum(word in own for word in rationale) / len(rationale) if rationale else 0.0
