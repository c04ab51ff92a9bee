"""From the content key of a text to its vector, over any number of shard files; nothing but keys is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 16
"""Of a content key's sha256: among 10**9 texts two that agree in them are not to be expected in 10**20 runs."""

Keys = NDArray[np.uint64]
"""(n, 2): the two halves of each key."""


def as_keys(keys: Sequence[bytes]) -> Keys:
    """Return the first `KEY_BYTES` of each key as two integers, (n, 2)."""
    return np.frombuffer(b"".join(key[:KEY_BYTES] for key in keys), dtype=">u8").astype(np.uint64).reshape(-1, 2)


@dataclass(slots=True)
class ContentIndex:
    """Content key -> shard and row. A key that is in several shards is that of the first."""

    _keys: list[Keys] = field(default_factory=list)
    _sorted: tuple[Keys, NDArray[np.int32], NDArray[np.int64]] | None = None

    def add(self, keys: Keys) -> int:
        """Take in the keys of one more shard; returns its number."""
        self._keys.append(keys)
        self._sorted = None
        return len(self._keys) - 1

    def find(self, wanted: Keys) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the shard and row of each key, (n,) and (n,); shard -1 where it is in none."""
        keys, shards, rows = self._in_order()
        found = np.full(len(wanted), -1, dtype=np.int32), np.zeros(len(wanted), dtype=np.int64)
        if not len(keys) or not len(wanted):
            return found
        places = np.searchsorted(keys[:, 0], wanted[:, 0], side="left")
        open_ = np.flatnonzero(places < len(keys))
        while len(open_):
            open_ = open_[keys[places[open_], 0] == wanted[open_, 0]]
            same = keys[places[open_], 1] == wanted[open_, 1]
            hit = open_[same]
            found[0][hit], found[1][hit] = shards[places[hit]], rows[places[hit]]
            open_ = open_[~same]  # another key that begins alike
            places[open_] += 1
            open_ = open_[places[open_] < len(keys)]
        return found

    def _in_order(self) -> tuple[Keys, NDArray[np.int32], NDArray[np.int64]]:
        if self._sorted is None:
            shards = [np.full(len(one), number, dtype=np.int32) for number, one in enumerate(self._keys)]
            rows = [np.arange(len(one), dtype=np.int64) for one in self._keys]
            keys = np.concatenate(self._keys) if self._keys else np.zeros((0, 2), dtype=np.uint64)
            of = np.concatenate(shards) if shards else np.zeros(0, dtype=np.int32)
            at = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
            order = np.lexsort((at, of, keys[:, 1], keys[:, 0]))
            self._sorted = keys[order], of[order], at[order]
        return self._sorted


def gathered(tables: Sequence[Any], shards: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the rows of tables that `ContentIndex.find` named, (n, d) float32; all must be found."""
    width = tables[int(shards[0])].shape[1] if len(shards) else 0
    out = np.empty((len(shards), width), dtype=np.float32)
    for number in np.unique(shards):
        at = np.flatnonzero(shards == number)
        out[at] = tables[int(number)][rows[at]]
    return out
