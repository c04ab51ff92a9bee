"""Vectors of a cell that were made before, found by the content of their text: what shards hold, one lookup for all.

A text's key is that of the cache (`harness.encoders.cache.ContentCache.key`), so encoders that write rationales find
theirs too. A text that is in no shard is made as it is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.encoders.base import Vectors
from harness.encoders.cache import ContentCache, Entry
from harness.shards.files import StoredShard
from harness.shards.index import ContentIndex, as_keys, gathered
from harness.tasks.types import Role

ABOUT_HELD = 4
"""Shards whose rationales are in memory; a corpus is read from one end to the other."""


class EntryStore(Protocol):
    """What vectors with their rationales are looked up in and put into: the cache, or what stands before it."""

    def get(self, keys: list[bytes]) -> list[Entry | None]:
        """Return the entries of `keys`; None where there is none."""

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Store entries."""


@runtime_checkable
class KeepingEncoder(Protocol):
    """An encoder that keeps more of a text than its vector, and looks it up by itself (rationales)."""

    entries: EntryStore | None
    """Where it looks; None: everything is made anew."""

    def write(self, texts: Sequence[str], *, prompt: str | None) -> list[Entry]:
        """Return each text's entry, in order."""


def text_key(text: str, role: Role | None, prompt: str | None) -> bytes:
    """Return the key of a text among those of one encoder."""
    return ContentCache.key("", prompt, text, role=role)


class KeptVectors:
    """The shards of a cell, as one dictionary from keys to vectors."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._index = ContentIndex()
        self._shards: list[StoredShard] = []
        self._about: OrderedDict[int, list[Any]] = OrderedDict()

    def add(self, shard: StoredShard) -> None:
        """Take in one more shard; of a key that is in two, the first counts."""
        self._index.add(shard.keys)
        self._shards.append(shard)

    def vectors(self, keys: list[bytes]) -> tuple[Vectors, NDArray[np.intp]]:
        """Return the vectors of the keys that are there, (m, d) float32 in order, and the places of the others.

        Args:
            keys: of n texts; m of them are there.
        """
        shards, rows = self._index.find(as_keys(keys))
        there = shards >= 0
        tables = [one.arrays["vectors"] for one in self._shards]
        return gathered(tables, shards[there], rows[there]), np.flatnonzero(~there)

    def entries(self, keys: list[bytes]) -> list[Entry | None]:
        """Return vector and rationale of each key; None where there is none."""
        shards, rows = self._index.find(as_keys(keys))
        found: list[Entry | None] = [None] * len(keys)
        for place in np.flatnonzero(shards >= 0):
            number, row = int(shards[place]), int(rows[place])
            vector = np.asarray(self._shards[number].arrays["vectors"][row], dtype=np.float32)
            found[int(place)] = Entry(vector, self._about_of(number)[row])
        return found

    def _about_of(self, number: int) -> list[Any]:
        if number not in self._about:
            self._about[number] = self._shards[number].lines("about")
            while len(self._about) > ABOUT_HELD:
                self._about.popitem(last=False)
        self._about.move_to_end(number)
        return self._about[number]


class KeptEntries:
    """Shards before a cache: what is in none is looked up, and kept, in the cache."""

    def __init__(self, kept: KeptVectors, behind: EntryStore | None) -> None:
        """Look into `kept` first, then `behind`, where there is such a thing."""
        self._kept, self._behind = kept, behind

    def get(self, keys: list[bytes]) -> list[Entry | None]:
        """Return the entries of `keys`; None where there is none."""
        found = self._kept.entries(keys)
        missing = [place for place, one in enumerate(found) if one is None]
        if self._behind is not None and missing:
            for place, one in zip(missing, self._behind.get([keys[place] for place in missing]), strict=True):
                found[place] = one
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep what was in no shard."""
        if self._behind is not None:
            self._behind.put(entries)


class Recorded:
    """Remembers every entry that was found or made: what goes into a shard."""

    def __init__(self, behind: EntryStore | None) -> None:
        """Look into `behind`; nothing is put there, since the shard holds it."""
        self._behind = behind
        self.entries: dict[bytes, Entry] = {}
        """Key -> entry, in the order of asking."""

    def get(self, keys: list[bytes]) -> list[Entry | None]:
        """Return the entries of `keys`; None where there is none."""
        found = [self.entries.get(key) for key in keys]
        missing = [place for place, one in enumerate(found) if one is None]
        if self._behind is not None and missing:
            for place, one in zip(missing, self._behind.get([keys[place] for place in missing]), strict=True):
                found[place] = one
        self.entries.update({key: one for key, one in zip(keys, found, strict=True) if one is not None})
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Remember them."""
        self.entries.update(entries)
