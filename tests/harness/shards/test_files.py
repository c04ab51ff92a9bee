"""Shards on disk: whole, or not there; whatever is wrong with one is seen before it is used."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.digests import digest
from harness.errors import ResultsNotWrittenError
from harness.shards.files import ShardFiles

MAKER = {"model": "m", "prompt": None}
IDS = digest(["one", "two", "three"])
KEYS = np.arange(6, dtype=np.uint64).reshape(3, 2)
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
LINES = [{"ids": [1, 2]}, {"ids": []}, {"ids": [3], "half": "\ud800"}]


def stored(folder: Path) -> ShardFiles:
    """Return a folder with one shard."""
    found = ShardFiles(folder)
    found.put(MAKER, IDS, arrays={"keys": KEYS, "vectors": VECTORS}, lines={"about": LINES}, facts={"tokens": 9})
    return found


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of that pattern."""
    (path,) = folder.glob(f"*/{pattern}")
    return path


def test_a_shard_comes_back_as_it_was_put(tmp_path: Path) -> None:
    """Arrays memory-mapped, lines in order, facts beside."""
    found = stored(tmp_path).get(MAKER, IDS)
    assert found is not None
    assert np.array_equal(found.arrays["vectors"], VECTORS)
    assert isinstance(found.arrays["vectors"], np.memmap)
    assert np.array_equal(found.keys, KEYS)
    assert (found.rows, found.lines("about"), found.facts) == (3, LINES, {"tokens": 9})


def test_half_precision_is_kept_as_such(tmp_path: Path) -> None:
    """At half the bytes."""
    files = ShardFiles(tmp_path)
    files.put(MAKER, IDS, arrays={"keys": KEYS, "vectors": VECTORS.astype(np.float16)})
    found = files.get(MAKER, IDS)
    assert found is not None
    assert found.arrays["vectors"].dtype == np.float16


def test_what_is_not_there_is_none_and_no_damage(tmp_path: Path) -> None:
    """Another model's shard is not there either."""
    files = stored(tmp_path)
    assert files.get(MAKER | {"prompt": "query: "}, IDS) is None
    assert files.get(MAKER, digest(["other"])) is None
    assert files.damaged == []


def cut_short(path: Path) -> None:
    """As a disk that ran full, or a machine that lost its power, leaves a file."""
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    """As a disk or a network does once in a long while."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))


def remove(path: Path) -> None:
    """As a user who wants room does."""
    path.unlink()


@pytest.mark.parametrize("harm", [cut_short, flip_a_bit, remove])
@pytest.mark.parametrize("what", ["*.vectors.npy", "*.keys.npy", "*.about.jsonl"])
def test_damaged_payload_is_seen_taken_away_and_made_again(
    tmp_path: Path, what: str, harm: Callable[[Path], None]
) -> None:
    """The shard is not there any more, which makes it be made again, and it is said why."""
    files = stored(tmp_path)
    harm(only(tmp_path, what))
    assert files.get(MAKER, IDS) is None
    assert len(files.damaged) == 1
    assert files.get(MAKER, IDS) is None
    assert len(files.damaged) == 1
    assert stored(tmp_path).get(MAKER, IDS) is not None


@pytest.mark.parametrize("harm", [cut_short, flip_a_bit])
def test_a_damaged_record_is_seen(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Even where it is still JSON."""
    files = stored(tmp_path)
    harm(only(tmp_path, "*.json"))
    assert files.get(MAKER, IDS) is None
    assert len(files.damaged) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("ids", digest(["other"])), ("rows", 4), ("maker", {"model": "other"}), ("facts", {})]
)
def test_no_field_of_a_record_can_be_another(tmp_path: Path, name: str, value: object) -> None:
    """Neither edited, nor, with a digest that agrees again, of another model, of other texts or of another length."""
    files = stored(tmp_path)
    path = only(tmp_path, "*.json")
    record = json.loads(path.read_text(encoding="utf-8")) | {name: value}
    path.write_text(json.dumps(record), encoding="utf-8")
    assert files.get(MAKER, IDS) is None
    if name == "facts":
        return
    stored(tmp_path)
    record.pop("digest")
    path.write_text(json.dumps(record | {"digest": digest(record)}), encoding="utf-8")
    assert files.get(MAKER, IDS) is None
    assert len(files.damaged) == 2


def test_a_shard_of_another_model_under_the_right_name_is_refused(tmp_path: Path) -> None:
    """Copied there whole, payload included."""
    files = stored(tmp_path)
    other = MAKER | {"model": "other"}
    for path in tmp_path.glob("*/*"):
        target = files.place(other, IDS).parent / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert files.get(other, IDS) is None
    assert "another model" in files.damaged[0]
    assert files.get(MAKER, IDS) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_kept(tmp_path: Path, value: float) -> None:
    """No file is left."""
    bad = VECTORS.copy()
    bad[1, 2] = value
    with pytest.raises(ValueError, match="vectors: not all numbers are finite"):
        ShardFiles(tmp_path).put(MAKER, IDS, arrays={"keys": KEYS, "vectors": bad})
    assert list(tmp_path.rglob("*")) == []


def test_arrays_of_unlike_length_are_refused(tmp_path: Path) -> None:
    """A row would be that of another text."""
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        ShardFiles(tmp_path).put(MAKER, IDS, arrays={"keys": KEYS[:2], "vectors": VECTORS})


@pytest.mark.parametrize("room", range(7))
def test_a_full_disk_ends_with_the_way_on_and_leaves_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Wherever it fills up: at a payload file or at the record, after so many fsyncs that went through."""
    left, fsync = [room], os.fsync

    def full(handle: int) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsNotWrittenError, match="No space left on device"):
        stored(tmp_path)
    monkeypatch.undo()
    assert ShardFiles(tmp_path).get(MAKER, IDS) is None
    assert list(tmp_path.rglob("*.tmp")) == []
    assert stored(tmp_path).get(MAKER, IDS) is not None


def put_often(folder: Path, scale: float) -> None:
    """Write the shard again and again, as a process whose last digits differ."""
    for _ in range(30):
        ShardFiles(folder).put(MAKER, IDS, arrays={"keys": KEYS, "vectors": VECTORS * np.float32(scale)})


def test_writers_that_race_leave_a_whole_shard(tmp_path: Path) -> None:
    """Read at every moment in between: once it is there, it never is a mixture of two."""
    context = multiprocessing.get_context("fork")
    racing = [context.Process(target=put_often, args=(tmp_path, 1 + n * 1e-6)) for n in range(3)]
    for one in racing:
        one.start()
    reader = ShardFiles(tmp_path)
    seen = 0
    while any(one.is_alive() for one in racing):
        seen += reader.get(MAKER, IDS) is not None
    for one in racing:
        one.join()
        assert one.exitcode == 0
    assert reader.get(MAKER, IDS) is not None
    assert seen > 0
    assert reader.damaged == []
