"""Shards within a limit: what nobody needs goes first, and nothing that somebody is at."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from harness.digests import digest
from harness.shards.files import ShardFiles
from harness.shards.pruning import leftovers, prune
from harness.shards.survey import by_maker, examine, records

MAKER = {"model": "m"}
HOURS = 3600.0


def put(root: Path, number: int, *, hours_ago: float) -> Path:
    """Put a shard of a hundred texts that was last used so long ago; returns its record."""
    files, ids = ShardFiles(root), digest([number])
    arrays = {
        "keys": np.full((100, 2), number, dtype=np.uint64),
        "vectors": np.full((100, 8), number, dtype=np.float32),
    }
    files.put(MAKER, ids, arrays=arrays)
    path = files.place(MAKER, ids)
    age(path, hours_ago)
    return path


def age(path: Path, hours: float) -> None:
    """Make a file so old."""
    then = time.time() - hours * HOURS
    os.utime(path, (then, then))


def leave(root: Path, name: str, *, hours_ago: float, content: bytes = b"x" * 10) -> Path:
    """Leave a file that no shard names."""
    path = root / digest(MAKER)[:32] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    age(path, hours_ago)
    return path


def test_those_that_were_not_read_for_longest_go_until_the_limit_holds(tmp_path: Path) -> None:
    """Whole, with their files; the limit is reached and not passed by more than one."""
    paths = [put(tmp_path, number, hours_ago=hours) for number, hours in ((1, 5), (2, 50), (3, 0), (4, 20))]
    sizes = {path: examine(path).bytes for path in paths}
    pruned = prune(tmp_path, sizes[paths[0]] + sizes[paths[2]])
    assert (pruned.shards, pruned.left, pruned.held, pruned.leftovers) == (2, 2, 0, 0)
    assert pruned.bytes == sizes[paths[1]] + sizes[paths[3]]
    assert pruned.left_bytes == sizes[paths[0]] + sizes[paths[2]]
    assert set(records(tmp_path)) == {paths[0], paths[2]}
    assert set(tmp_path.glob("*/*")) == {file for path in records(tmp_path) for file in examine(path).files}


def test_a_limit_that_holds_removes_nothing_and_zero_removes_all(tmp_path: Path) -> None:
    """And a folder that is not there has none."""
    paths = [put(tmp_path, number, hours_ago=number) for number in range(3)]
    size = sum(examine(path).bytes for path in paths)
    assert prune(tmp_path, size).shards == 0
    assert prune(tmp_path, size - 1).shards == 1
    assert prune(tmp_path, 0).left == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert prune(tmp_path / "none", 0).shards == 0


def test_what_was_used_lately_can_be_spared(tmp_path: Path) -> None:
    """Whatever the limit; what was not goes."""
    old, new = put(tmp_path, 1, hours_ago=25), put(tmp_path, 2, hours_ago=23)
    pruned = prune(tmp_path, 0, spared_seconds=24 * HOURS)
    assert (pruned.shards, pruned.spared, pruned.left) == (1, 1, 1)
    assert not old.exists()
    assert new.exists()


def test_reading_a_shard_makes_it_the_last_to_go(tmp_path: Path) -> None:
    """By the record's own time: access times may be switched off."""
    old, new = put(tmp_path, 1, hours_ago=500), put(tmp_path, 2, hours_ago=5)
    assert ShardFiles(tmp_path).get(MAKER, digest([1])) is not None
    assert prune(tmp_path, examine(old).bytes).shards == 1
    assert old.exists()
    assert not new.exists()


def test_leftovers_go_first_and_young_ones_stay(tmp_path: Path) -> None:
    """Payload that no record names, temporary files and locks, also where no shard has to go."""
    kept = put(tmp_path, 1, hours_ago=500)
    stem = digest([2])[:32]
    old = [
        leave(tmp_path, f"{stem}.0123456789abcdef.vectors.npy", hours_ago=2),
        leave(tmp_path, f".{stem}.json.0123.tmp", hours_ago=2),
        leave(tmp_path, f"{kept.stem}.0123456789abcdef.vectors.npy", hours_ago=2),
        leave(tmp_path, f"{kept.stem}.lock", hours_ago=2, content=b""),
    ]
    young = [
        leave(tmp_path, f"{digest([3])[:32]}.0123456789abcdef.vectors.npy", hours_ago=0.9),
        leave(tmp_path, f".{stem}.json.4567.tmp", hours_ago=0.9),
    ]
    assert set(leftovers(tmp_path)) == {*old, *young}
    pruned = prune(tmp_path, 10**9)
    assert (pruned.leftovers, pruned.leftover_bytes, pruned.shards) == (4, 30, 0)
    assert examine(kept).why is None
    assert leftovers(tmp_path) == sorted(young)


def test_a_record_that_is_not_whole_is_a_leftover_with_its_files(tmp_path: Path) -> None:
    """Whoever wants it makes it again."""
    path = put(tmp_path, 1, hours_ago=500)
    vectors = next(file for file in examine(path).files if file.name.endswith("vectors.npy"))
    vectors.write_bytes(b"torn")
    for file in examine(path).files:
        age(file, 3)
    assert by_maker(tmp_path) == ([], 1)
    assert prune(tmp_path, 10**9).leftovers == 3
    assert not records(tmp_path)


def test_what_a_running_process_holds_is_left_alone(tmp_path: Path) -> None:
    """A shard, and the payload of one that is being written."""
    path = put(tmp_path, 1, hours_ago=500)
    payload = leave(tmp_path, f"{digest([2])[:32]}.0123456789abcdef.vectors.npy", hours_ago=2)
    files = ShardFiles(tmp_path)
    locks = [FileLock(files.place(MAKER, digest([n])).with_suffix(".lock")) for n in (1, 2)]
    with locks[0], locks[1]:
        pruned = prune(tmp_path, 0)
    assert (pruned.held, pruned.shards, pruned.leftovers) == (2, 0, 0)
    assert examine(path).why is None
    assert payload.exists()
    assert prune(tmp_path, 0).shards == 1
    assert not payload.exists()


def test_a_shard_that_is_read_while_others_are_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is looked at again, under its lock."""
    path = put(tmp_path, 1, hours_ago=500)

    def read_meanwhile(one: Path, *, contents: bool = True) -> object:
        if one == path:
            age(path, 0)
        return examine(one, contents=contents)

    monkeypatch.setattr("harness.shards.pruning.examine", read_meanwhile)
    assert prune(tmp_path, 0).shards == 0
    assert path.exists()


def test_payload_that_is_named_before_its_lock_is_had_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that was slow commits between the look at the folder and the removal."""
    path = put(tmp_path, 1, hours_ago=0)
    files, record = examine(path).files, path.read_bytes()
    for one in files:
        age(one, 2)
    path.unlink()

    class SlowWriter(FileLock):
        def acquire(self, *arguments: Any, **named: Any) -> Any:
            path.write_bytes(record)
            return super().acquire(*arguments, **named)

    monkeypatch.setattr("harness.shards.pruning.FileLock", SlowWriter)
    assert prune(tmp_path, 10**9).leftovers == 0
    assert examine(path).why is None


def test_the_age_of_a_file_is_by_the_clock_of_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of this machine that jumps ahead makes no file old."""
    young = leave(tmp_path, f"{digest([2])[:32]}.0123456789abcdef.vectors.npy", hours_ago=0)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert prune(tmp_path, 0).leftovers == 0
    assert young.exists()


def test_shards_are_counted_by_maker(tmp_path: Path) -> None:
    """Largest first, with when the last was used."""
    paths = [put(tmp_path, number, hours_ago=number) for number in (1, 2)]
    ShardFiles(tmp_path).put({"model": "o"}, digest([1]), arrays={"keys": np.zeros((1, 2), dtype=np.uint64)})
    (first, second), harmed = by_maker(tmp_path)
    assert (first.maker, first.shards, first.files, harmed) == (MAKER, 2, 6, 0)
    assert first.bytes == sum(file.stat().st_size for path in paths for file in examine(path).files)
    assert first.used == paths[0].stat().st_mtime
    assert (second.maker, second.shards) == ({"model": "o"}, 1)
