"""All shards below a folder, whole or not, as they are found: read, never changed, whoever they belong to.

`ShardFiles.get` is asked for one shard by who knows what it must be made of, and takes a damaged one away. Here nobody
knows: a shard is held against its own record, and the record against the name that it lies under.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.digests import digest
from harness.shards.files import NAME_CHARACTERS, StoredShard, read_record, read_shard

BLOCK_ROWS = 8192
"""Rows that are looked at together: no array is in memory as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundShard:
    """A shard's record, and what of it is there."""

    path: Path
    """The record."""
    maker: Mapping[str, Any] = field(default_factory=dict)
    """Empty where the record cannot be read."""
    payload: Mapping[str, str] = field(default_factory=dict)
    """Name of a file beside the record -> its sha256; empty where the record cannot be read."""
    bytes: int = 0
    """Record and payload."""
    used: float = 0.0
    """When it was made or last read, in seconds since 1970."""
    why: str | None = None
    """What is wrong with it; None where it is whole."""

    @property
    def name(self) -> str:
        """Maker and ids, as their digests begin."""
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Record and payload."""
        return (self.path, *(self.path.parent / name for name in self.payload))


@dataclass(slots=True, kw_only=True)
class MakerShards:
    """What there is of one maker."""

    maker: Mapping[str, Any]
    shards: int = 0
    files: int = 0
    bytes: int = 0
    used: float = 0.0
    """When the last of them was made or read, in seconds since 1970."""

    def add(self, found: FoundShard) -> None:
        """Count one more."""
        self.shards += 1
        self.files += len(found.files)
        self.bytes += found.bytes
        self.used = max(self.used, found.used)


def found_shards(root: Path, *, contents: bool = True) -> Iterator[FoundShard]:
    """Yield every shard below `root` in the order of their names.

    Args:
        root: `shards/` of a results folder; need not be there.
        contents: read every byte; else records alone, and how large the other files are.
    """
    for path in records(root):
        yield examine(path, contents=contents)


def records(root: Path) -> list[Path]:
    """Return the records below `root`, in the order of their names."""
    return sorted(path for path in root.glob("*/*.json") if not path.name.startswith("."))


def examine(path: Path, *, contents: bool = True) -> FoundShard:
    """Return a shard as it is found.

    Args:
        path: its record, which must lie under the digests of its maker and ids.
        contents: read every byte; else the record alone, and how large the other files are.
    """
    about: dict[str, Any] = {"path": path}
    why = None
    try:
        stat = path.stat()
        about |= {"bytes": stat.st_size, "used": stat.st_mtime}
        record = read_record(path)
        about["maker"] = dict(record["maker"])
        _must_lie_there(path, record)
        about["payload"] = {one["name"]: one["sha256"] for one in record["files"].values()}
        for one in record["files"].values():
            size = (path.parent / one["name"]).stat().st_size
            about["bytes"] += size
            if size != one["bytes"]:
                raise ValueError(f"{one['name']} has {size} bytes, not {one['bytes']}")
        if contents:
            _must_be_sound(read_shard(path.parent, record, record["maker"], record["ids"]))
    except FileNotFoundError as error:
        why = f"{Path(str(error.filename)).name} is missing"
    except OSError as error:
        why = f"{Path(str(error.filename or path)).name} cannot be read ({error.strerror or error})"
    except (ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError) as error:
        why = str(error) or type(error).__name__
    return FoundShard(**about, why=why)


def by_maker(root: Path) -> tuple[list[MakerShards], int]:
    """Return the makers of the whole shards below `root`, largest first, and how many records are of none."""
    makers: dict[str, MakerShards] = {}
    harmed = 0
    for found in found_shards(root, contents=False):
        if found.why is None:
            makers.setdefault(found.path.parent.name, MakerShards(maker=found.maker)).add(found)
        else:
            harmed += 1
    return sorted(makers.values(), key=lambda one: (-one.bytes, -one.used)), harmed


def _must_lie_there(path: Path, record: Mapping[str, Any]) -> None:
    """Raise ValueError where a record lies under another's name, or names files that are not its own."""
    if digest(record["maker"])[:NAME_CHARACTERS] != path.parent.name:
        raise ValueError("it lies under the name of another model, prompt or version")
    if record["ids"][:NAME_CHARACTERS] != path.stem:
        raise ValueError("it lies under the name of other texts")
    for about in record["files"].values():
        name = about["name"]
        if Path(name).name != name or not name.startswith(f"{path.stem}."):
            raise ValueError(f"{name!r} is no file of it")


def _must_be_sound(shard: StoredShard) -> None:
    """Raise ValueError where the files agree with the record, and yet cannot be what a shard is made of."""
    for name, array in shard.arrays.items():
        numbers = array.dtype.kind == "f"
        blocks = range(0, len(array) if numbers else 0, BLOCK_ROWS)
        if not all(np.isfinite(array[start : start + BLOCK_ROWS]).all() for start in blocks):
            raise ValueError(f"{name}: not all numbers are finite")
    for name, path in shard.texts.items():
        with path.open("rb") as file:
            lines = sum(1 for _ in file)
        if lines != shard.rows:
            raise ValueError(f"{name}: {lines} lines, not {shard.rows}")
