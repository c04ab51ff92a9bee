"""Vectors and rationales by content, shared by all tasks and runs of a host: lmdb, one environment a folder.

The key is the sha256 of (fingerprint, role, prompt, text); each value carries a checksum. A value that does not match
it is recomputed and said once. The map grows when it is full. Vectors are kept as float32, so a warm run scores the
same numbers as a cold one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.digests import user_cache
from harness.tasks.types import Role

logger = logging.getLogger(__name__)

START_BYTES = 64 << 20
CHECKSUM_BYTES = 8
_HEADER = struct.Struct("<II")
"""Lengths of the JSON and of the vector in floats."""


class Entry(NamedTuple):
    """A cached vector and what belongs to it."""

    vector: NDArray[np.float32]
    """(d,)"""
    about: dict[str, Any]
    """Small JSON: the rationale's ids, whether it was cut."""


class ContentCache:
    """A dictionary on disk from content keys to entries."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open (and make) the cache in `folder`, by default in the user's cache."""
        import lmdb

        self.folder = folder or user_cache() / "vectors"
        self._lmdb = lmdb
        self._environment: Any = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._environment = _environment(self.folder.resolve())
        except (OSError, lmdb.Error) as error:
            self._go_without(error)
        self.damaged = 0
        """Values that did not match their checksum."""

    @staticmethod
    def key(fingerprint: str, prompt: str | None, text: str, *, role: Role | None = None) -> bytes:
        """Return the key of a text under a candidate and a prompt.

        Args:
            fingerprint: of the candidate.
            prompt: stands before the text.
            text: any Unicode.
            role: in which the model was told to read it; None where it is told of none, as where it writes rationales:
                a query and a document of one text then share an entry.
        """
        told = () if role is None else (f"r{role}",)  # a prompt's part is empty or begins with p
        name = "\0".join((*told, "" if prompt is None else f"p{prompt}", fingerprint, text))
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()

    def get(self, keys: list[bytes]) -> list[Entry | None]:
        """Return the entries of `keys`; None where there is none or it is damaged."""
        if self._environment is None:
            return [None] * len(keys)
        found: list[Entry | None] = []
        with self._reading() as transaction:
            for key in keys:
                value = transaction.get(key)
                found.append(None if value is None else self._checked(bytes(value)))
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Store entries; the map is doubled as often as needed."""
        packed = {key: _pack(entry) for key, entry in entries.items()}
        while self._environment is not None:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in packed.items():
                        transaction.put(key, value)
            except self._lmdb.MapFullError:
                self._grow(2 * self._environment.info()["map_size"])
            except self._lmdb.MapResizedError:  # another process has grown it
                self._environment.set_mapsize(0)
            except (OSError, self._lmdb.DiskError, self._lmdb.ReadonlyError) as error:
                self._go_without(error)
            else:
                return

    def size(self) -> tuple[int, int]:
        """Return (entries, bytes on disk)."""
        if self._environment is None:
            return 0, 0
        return self._environment.stat()["entries"], (self.folder / "data.mdb").stat().st_size

    def _go_without(self, error: Exception) -> None:
        """Compute everything from here on: a cache is a convenience."""
        self._environment = None
        logger.warning("the cache %s cannot be used (%s); HARNESS_CACHE names another folder", self.folder, error)

    def _reading(self) -> Any:
        try:
            return self._environment.begin()
        except self._lmdb.MapResizedError:
            self._environment.set_mapsize(0)
            return self._environment.begin()

    def _grow(self, size: int) -> None:
        self._environment.set_mapsize(max(size, START_BYTES))

    def _checked(self, value: bytes) -> Entry | None:
        entry = _unpack(value)
        if entry is None:
            if not self.damaged:
                logger.warning("a value in the cache %s is damaged; such texts are computed again", self.folder)
            self.damaged += 1
        return entry


@cache
def _environment(folder: Path) -> Any:
    """Return the process's one environment of `folder`: lmdb forbids opening it twice."""
    import lmdb

    environment = lmdb.open(str(folder), map_size=START_BYTES, max_readers=256)
    environment.set_mapsize(max(environment.info()["map_size"], START_BYTES))
    return environment


def _pack(entry: Entry) -> bytes:
    about = json.dumps(entry.about, separators=(",", ":")).encode("utf-8")
    vector = np.ascontiguousarray(entry.vector, dtype="<f4").tobytes()
    body = _HEADER.pack(len(about), len(vector) // 4) + about + vector
    return hashlib.sha256(body).digest()[:CHECKSUM_BYTES] + body


def _unpack(value: bytes) -> Entry | None:
    checksum, body = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
    if hashlib.sha256(body).digest()[:CHECKSUM_BYTES] != checksum or len(body) < _HEADER.size:
        return None
    about_length, floats = _HEADER.unpack_from(body)
    about = body[_HEADER.size : _HEADER.size + about_length]
    vector = np.frombuffer(body, dtype="<f4", offset=_HEADER.size + about_length, count=floats)
    return Entry(vector.astype(np.float32), json.loads(about))
