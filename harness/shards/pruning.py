"""Shards are a means, and may be removed at any time: what nobody names first, then what was not read for longest.

A shard's record goes first, so that a process that dies in between leaves files that nobody names. One that a running
process holds is left alone, and so is every file that a writer may be about to name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from filelock import FileLock, Timeout

from harness.shards.survey import FoundShard, examine, found_shards

YOUNG_SECONDS = 3600
"""A file that nobody names is left to whoever may be writing it for so long."""


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What was removed, and what is left."""

    shards: int = 0
    bytes: int = 0
    leftovers: int = 0
    """Files that no shard names: of writers that died, of shards that are not whole; locks that nobody holds."""
    leftover_bytes: int = 0
    held: int = 0
    """Shards, or leftovers of one, that stay since a running process is at them."""
    spared: int = 0
    """Shards that would have to go, and stay since they were used so lately."""
    left: int = 0
    """Shards that stay."""
    left_bytes: int = 0


def prune(root: Path, limit_bytes: int, *, spared_seconds: float = 0.0) -> Pruned:
    """Remove leftovers, then the shards that were not read for longest, until the others take at most `limit_bytes`.

    Args:
        root: `shards/` of a results folder; need not be there.
        limit_bytes: of records and payload together; 0: no shard stays.
        spared_seconds: shards that were made or read within so long stay whatever the limit.

    Raises:
        OSError: something cannot be removed; every shard is whole or not there.
    """
    pruned = Pruned()
    if not root.is_dir():
        return pruned
    _remove_leftovers(root, pruned)
    shards = sorted(_whole(root), key=lambda one: (one.used, one.name))
    pruned.left, pruned.left_bytes = len(shards), sum(one.bytes for one in shards)
    now = _clock(root)
    for one in shards:
        if pruned.left_bytes <= limit_bytes:
            break
        if now - one.used < spared_seconds:
            pruned.spared += 1
            continue
        with _holding(one.path, is_young=now - one.used < YOUNG_SECONDS) as is_ours:
            if not is_ours:
                pruned.held += 1
            elif examine(one.path, contents=False).used == one.used:  # else it was read, or removed, meanwhile
                for path in one.files:
                    path.unlink(missing_ok=True)
                pruned.shards += 1
                pruned.bytes += one.bytes
                pruned.left -= 1
                pruned.left_bytes -= one.bytes
    return pruned


def leftovers(root: Path) -> list[Path]:
    """Return the files below `root` that no whole shard names, locks among them, in the order of their names."""
    named = {path for one in _whole(root) for path in one.files}
    return sorted(path for path in root.glob("*/*") if path not in named and path.is_file())


def _whole(root: Path) -> Iterator[FoundShard]:
    return (one for one in found_shards(root, contents=False) if one.why is None)


def _remove_leftovers(root: Path, pruned: Pruned) -> None:
    now = _clock(root)
    old = [path for path in leftovers(root) if now - _time_of(path, now) >= YOUNG_SECONDS]
    for record, files in groupby(sorted(old, key=lambda one: (_record_of(one), one)), key=_record_of):
        with _holding(record, is_young=False) as is_ours:
            if not is_ours:
                pruned.held += 1
                continue
            found = examine(record, contents=False)  # by now it may be whole
            for path in files:
                if found.why is not None or path not in found.files:
                    pruned.leftovers += 1
                    pruned.leftover_bytes += _removed_bytes(path)


def _removed_bytes(path: Path) -> int:
    """Remove a file, where it is still there; returns its size."""
    try:
        size = path.lstat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def _record_of(path: Path) -> Path:
    """Return the record of the shard that a file of any kind belongs to."""
    return path.with_name(f"{path.name.lstrip('.').partition('.')[0]}.json")


def _time_of(path: Path, otherwise: float) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # taken away meanwhile
        return otherwise


def _clock(root: Path) -> float:
    """Return the time by the clock of the file system, which need not be this machine's."""
    path = root / f".{uuid.uuid4().hex[:16]}.tmp"
    try:
        path.touch(exist_ok=False)
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _holding(record: Path, *, is_young: bool) -> Iterator[bool]:
    """Hold a shard's lock, and take it away afterwards; yields False where a running process has it.

    Args:
        record: of the shard, which need not be there.
        is_young: where a file system has no locks, a shard that is young is taken for one that is in use.
    """
    path = record.with_suffix(".lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):  # no locks here: age alone tells
        yield not is_young
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()
