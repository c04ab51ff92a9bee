"""Shards on disk: written whole or not at all, and believed only when all of it agrees.

`<root>/<maker>/<ids>.json` says what a shard was made of and by, and names its payload files, `<ids>.<sha256>.<what>`.
Payload first, then the JSON, each to a temporary name, fsynced and renamed: the JSON's rename is the commit point.
Payload names hold their own sha256, so writers that race leave a whole shard whichever of them is last. One whose
content, rows, maker or ids are not what they should be is taken away, and made again by whoever wants it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.digests import digest, write_atomically
from harness.errors import ResultsNotWrittenError
from harness.shards.index import Keys

logger = logging.getLogger(__name__)

FORMAT = 1
NAME_CHARACTERS = 32
"""Of a digest in a name; the JSON holds the whole."""
NOTED_SECONDS = 3600
"""That a shard was read is noted so often at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShard:
    """A shard whose files were read and agree."""

    maker: Mapping[str, Any]
    ids: str
    rows: int
    facts: Mapping[str, Any]
    """What it took: counters, hardware, versions."""
    arrays: Mapping[str, Any]
    """Name -> memory-mapped numpy array."""
    texts: Mapping[str, Path]
    """Name -> file of JSON lines."""

    @property
    def keys(self) -> Keys:
        """Of its rows, (rows, 2)."""
        keys: Keys = np.asarray(self.arrays["keys"])
        return keys

    def lines(self, name: str) -> list[Any]:
        """Return the values of a file of JSON lines, one a row."""
        with self.texts[name].open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


@dataclass(slots=True)
class ShardFiles:
    """The folder of all shards of a results folder."""

    root: Path
    damaged: list[str] = field(default_factory=list)
    """What was taken away, and why; said once in the report of the cell that wanted it."""

    def place(self, maker: Mapping[str, Any], ids: str) -> Path:
        """Return the JSON of a shard, which need not be there."""
        return self.root / digest(maker)[:NAME_CHARACTERS] / f"{ids[:NAME_CHARACTERS]}.json"

    def get(self, maker: Mapping[str, Any], ids: str) -> StoredShard | None:
        """Return a shard; None where it is not there, or was damaged and has been taken away."""
        path = self.place(maker, ids)
        try:
            found = read_shard(path.parent, read_record(path), maker, ids)
            _note_use(path)
            return found
        except FileNotFoundError as error:
            if error.filename is not None and Path(error.filename) == path:
                return None
            why = f"{Path(str(error.filename)).name} is missing"
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            why = str(error)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        self.damaged.append(f"{_called(path)}: {why}")
        logger.warning("%s: not a whole shard (%s); it is made again", path, why)
        return None

    def put(
        self,
        maker: Mapping[str, Any],
        ids: str,
        *,
        arrays: Mapping[str, Any],
        lines: Mapping[str, list[Any]] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit a shard.

        Args:
            maker: all that can change its content, as JSON.
            ids: sha256 over what it is made of.
            arrays: name -> array, a row a text.
            lines: name -> values, one a row, for what is no array.
            facts: what is worth knowing of how it was made, as JSON.

        Raises:
            ResultsNotWrittenError: the disk is full, or the folder cannot be written.
            ValueError: an array holds a number that is not finite, or lengths differ.
        """
        rows = {len(one) for one in (*arrays.values(), *(lines or {}).values())}
        if len(rows) != 1:
            raise ValueError(f"a shard's arrays have one row a text; these have {sorted(rows)}")
        for name, one in arrays.items():
            if not np.isfinite(one).all():
                raise ValueError(f"{name}: not all numbers are finite")
        path = self.place(maker, ids)
        try:
            files = {name: _written(path, f"{name}.npy", _npy(one)) for name, one in arrays.items()}
            files |= {name: _written(path, f"{name}.jsonl", _jsonl(one)) for name, one in (lines or {}).items()}
            record = {
                "format": FORMAT,
                "maker": dict(maker),
                "ids": ids,
                "rows": rows.pop(),
                "files": files,
                "facts": {**(facts or {}), **self._was_damaged(path)},
            }
            content = json.dumps(record | {"digest": digest(record)}, indent=1, ensure_ascii=True)
            write_atomically(path, content.encode("ascii"))
        except OSError as error:
            why = error.strerror or error
            raise ResultsNotWrittenError(
                [f"{path}: cannot be written ({why}); what is committed is kept, and the same command goes on"]
            ) from error

    def _was_damaged(self, path: Path) -> dict[str, list[str]]:
        """Return what a shard's facts say of the file that it stands in for; nothing where there was none."""
        own = [one for one in self.damaged if one.startswith(_called(path))]
        return {"damaged": own} if own else {}


def _called(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def read_record(path: Path) -> dict[str, Any]:
    """Return a shard's record; raises ValueError (or what JSON of another shape leads to) where it is none."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    said = record.pop("digest", None)
    if record.get("format") != FORMAT or said != digest(record):
        raise ValueError("the record is not what was written")
    return record


def read_shard(folder: Path, record: Mapping[str, Any], maker: Mapping[str, Any], ids: str) -> StoredShard:
    """Return a record's shard, every byte of it read; raises ValueError where anything is not as it should be.

    Args:
        folder: where it lies.
        record: of `read_record`.
        maker: what must have made it.
        ids: what it must be made of.
    """
    if record["maker"] != json.loads(json.dumps(dict(maker))):
        raise ValueError("it was made by another model, prompt or version")
    if record["ids"] != ids:
        raise ValueError("it was made of other texts")
    arrays, texts = {}, {}
    for name, about in record["files"].items():
        path = folder / about["name"]
        if _sha256(path) != about["sha256"]:
            raise ValueError(f"{path.name} is not what was written")
        if path.suffix == ".npy":
            arrays[name] = np.load(path, mmap_mode="r")
            if len(arrays[name]) != record["rows"]:
                raise ValueError(f"{path.name} has {len(arrays[name])} rows, not {record['rows']}")
        else:
            texts[name] = path
    return StoredShard(
        maker=record["maker"], ids=ids, rows=record["rows"], facts=record["facts"], arrays=arrays, texts=texts
    )


def _note_use(path: Path) -> None:
    """Have the record's time say when the shard was last read: many file systems are mounted so that none says it."""
    with suppress(OSError):  # where it cannot be noted, a shard is as old as it is
        if time.time() - path.stat().st_mtime > NOTED_SECONDS:
            os.utime(path)


def _written(record: Path, what: str, content: memoryview | bytes) -> dict[str, Any]:
    """Write a payload file unless it is there; returns what the record says of it."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = record.with_name(f"{record.stem}.{sha256[:16]}.{what}")
    if not path.is_file() or path.stat().st_size != len(content) or _sha256(path) != sha256:
        write_atomically(path, content)
    return {"name": path.name, "sha256": sha256, "bytes": len(content)}


def _npy(array: Any) -> memoryview:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getbuffer()


def _jsonl(values: list[Any]) -> bytes:
    return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in values).encode("ascii")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
