"""The texts of a test by their hashes, and which of them a stream of training texts holds: pure.

The test's hashes are in memory, sorted, 12 bytes each; training texts come one by one and are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.contamination.words import Hasher, Hashes, words_of

AT_ONCE = 200_000
"""Hashes of training texts that are looked up together."""
Flags = NDArray[np.bool_]


class Matches(NamedTuple):
    """Which texts of a test are in the training texts."""

    whole: Flags
    """(n,) texts that are there as they are, but for what is normalised."""
    part: Flags
    """(n,) texts of which 13 words in a row are there."""
    training: int
    """Training texts that were read."""


class Index:
    """Texts of a test."""

    def __init__(self, hasher: Hasher | None = None) -> None:
        """Begin with none."""
        self._hasher = hasher or Hasher()
        self._wholes: list[int] = []
        self._whole_of: list[int] = []
        self._grams: list[Hashes] = []
        self._gram_of: list[NDArray[np.int32]] = []
        self.texts = 0
        """Texts in it."""
        self.hashes = 0
        """Hashes in it: what it takes of the memory."""

    def add(self, text: str) -> None:
        """Take a text in; one without any word matches nothing."""
        words = words_of(text)
        if words:
            grams = np.unique(self._hasher.grams(words))
            self._wholes.append(self._hasher.whole(words))
            self._whole_of.append(self.texts)
            self._grams.append(grams)
            self._gram_of.append(np.full(len(grams), self.texts, dtype=np.int32))
            self.hashes += 1 + len(grams)
        self.texts += 1

    def matches(self, training: Iterable[str]) -> Matches:
        """Return which texts are among the training texts, whole or in part."""
        wholes = _Sorted(np.array(self._wholes, dtype=np.uint64), np.array(self._whole_of, dtype=np.int32))
        grams = _Sorted(_joined(self._grams, np.uint64), _joined(self._gram_of, np.int32))
        count = 0
        for read, own_wholes, own_grams in self._batches(training):
            wholes.mark(own_wholes)
            grams.mark(own_grams)
            count += read
        return Matches(wholes.marked(self.texts), grams.marked(self.texts), count)

    def _batches(self, training: Iterable[str]) -> Iterator[tuple[int, Hashes, Hashes]]:
        """Yield the number of texts, their hashes and those of their 13 words in a row, so many at once."""
        read, held = 0, 0
        wholes: list[int] = []
        grams: list[Hashes] = []
        for text in training:
            words = words_of(text)
            read += 1
            if words:
                wholes.append(self._hasher.whole(words))
                grams.append(self._hasher.grams(words))
                held += 1 + len(grams[-1])
            if held >= AT_ONCE:
                yield read, np.array(wholes, dtype=np.uint64), _joined(grams, np.uint64)
                read, held, wholes, grams = 0, 0, [], []
        yield read, np.array(wholes, dtype=np.uint64), _joined(grams, np.uint64)


class _Sorted:
    """Hashes in their order, with whose they are."""

    def __init__(self, hashes: Hashes, owners: NDArray[np.int32]) -> None:
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]
        self._begins = np.zeros(len(hashes) + 1, dtype=np.int32)  # +1 where a run of hits begins, -1 after its end

    def mark(self, found: Hashes) -> None:
        """Mark every hash that is among `found`."""
        distinct = np.unique(found)
        left = np.searchsorted(self._hashes, distinct, side="left")
        right = np.searchsorted(self._hashes, distinct, side="right")
        hit = right > left
        self._begins[left[hit]] += 1  # no two distinct hashes have a left end, or a right one, in common
        self._begins[right[hit]] -= 1

    def marked(self, texts: int) -> Flags:
        """Return (texts,) whether any hash of a text was marked."""
        found = np.zeros(texts, dtype=np.bool_)
        found[self._owners[np.cumsum(self._begins[:-1]) > 0]] = True
        return found


def _joined(arrays: list[NDArray], kind: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=kind)
