"""Shards of a folder that is not ours: what is wrong with one is said, and nothing is changed."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.digests import digest
from harness.shards.files import ShardFiles
from harness.shards.survey import examine, found_shards, records

MAKER = {"model": "m", "prompt": None}
IDS = digest(["one", "two", "three"])
KEYS = np.arange(6, dtype=np.uint64).reshape(3, 2)
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
LINES = [{"ids": [1, 2]}, {"ids": []}, {"ids": [3]}]


def stored(root: Path, maker: dict[str, Any] = MAKER, ids: str = IDS) -> Path:
    """Put a shard; returns its record."""
    files = ShardFiles(root)
    files.put(maker, ids, arrays={"keys": KEYS, "vectors": VECTORS}, lines={"about": LINES})
    return files.place(maker, ids)


def content(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_whole_shards_are_found_with_their_files(tmp_path: Path) -> None:
    """In the order of names; size and files are those on disk, temporary files and locks are none."""
    stored(tmp_path)
    other = stored(tmp_path, {"model": "other"}, digest(["more"]))
    (other.parent / f".{other.name}.0123.tmp").write_bytes(b"{")
    other.with_suffix(".lock").touch()
    found = list(found_shards(tmp_path))
    assert [one.path for one in found] == records(tmp_path)
    assert [one.why for one in found] == [None, None]
    assert {json.dumps(one.maker) for one in found} == {json.dumps(MAKER), json.dumps({"model": "other"})}
    on_disk = {path for path in tmp_path.glob("*/*") if path.suffix not in (".tmp", ".lock")}
    assert {path for one in found for path in one.files} == on_disk
    assert sum(one.bytes for one in found) == sum(path.stat().st_size for path in on_disk)
    assert list(found_shards(tmp_path / "none")) == []


def flip(path: Path) -> None:
    """One bit of the last bytes."""
    changed = bytearray(path.read_bytes())
    changed[-3] ^= 4
    path.write_bytes(bytes(changed))


def tear(path: Path) -> None:
    """As a copy that ended too early."""
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("harm", [flip, tear, Path.unlink])
@pytest.mark.parametrize("what", ["*.vectors.npy", "*.keys.npy", "*.about.jsonl"])
def test_harm_is_named_and_left_as_it_is(tmp_path: Path, what: str, harm: Callable[[Path], None]) -> None:
    """The file is named, and nothing is written, removed or touched."""
    path = stored(tmp_path)
    (payload,) = tmp_path.glob(f"*/{what}")
    harm(payload)
    before = content(tmp_path)
    (found,) = found_shards(tmp_path)
    assert found.why is not None
    assert payload.name in found.why
    assert content(tmp_path) == before
    assert found.path == path


@pytest.mark.parametrize("harm", [flip, tear, lambda path: path.write_bytes(b""), lambda path: path.write_text("[1]")])
def test_a_record_that_is_none_is_named(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """It has no files then, whatever it said."""
    path = stored(tmp_path)
    harm(path)
    found = examine(path)
    assert found.why
    assert found.files == (path,)


def test_a_whole_shard_under_another_name_is_refused(tmp_path: Path) -> None:
    """Under another maker, and under other ids."""
    path = stored(tmp_path)
    elsewhere = tmp_path / digest({"model": "other"})[:32]
    path.parent.rename(elsewhere)
    assert "another model" in str(examine(elsewhere / path.name).why)
    elsewhere.rename(path.parent)
    renamed = path.with_name(f"{digest(['more'])[:32]}.json")
    path.rename(renamed)
    assert "other texts" in str(examine(renamed).why)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a record, with a digest that agrees again."""
    record = json.loads(path.read_text(encoding="utf-8"))
    record.pop("digest")
    change(record)
    path.write_text(json.dumps(record | {"digest": digest(record)}), encoding="utf-8")


def test_a_record_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    """Else a copy would write outside its folder."""
    path = stored(tmp_path)
    rewritten(path, lambda record: record["files"]["keys"].update(name="../../keys.npy"))
    found = examine(path)
    assert "is no file of it" in str(found.why)
    assert found.files == (path,)


@pytest.mark.parametrize("rows", [2, 4])
def test_another_number_of_rows_is_refused(tmp_path: Path, rows: int) -> None:
    """Than the record says."""
    path = stored(tmp_path)
    rewritten(path, lambda record: record.update(rows=rows))
    assert "rows" in str(examine(path).why)


def as_npy(array: Any) -> bytes:
    """Return an array as a file holds it."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def put_by_hand(path: Path, name: str, payload: bytes) -> None:
    """Replace a payload file, with a record that agrees."""
    sha256 = hashlib.sha256(payload).hexdigest()
    file = path.with_name(f"{path.stem}.{sha256[:16]}.{name}")
    file.write_bytes(payload)
    about = {"name": file.name, "sha256": sha256, "bytes": len(payload)}
    rewritten(path, lambda record: record["files"].update({name.split(".")[0]: about}))


def test_numbers_that_are_not_finite_are_refused_though_every_digest_agrees(tmp_path: Path) -> None:
    """As another program might have written them."""
    path = stored(tmp_path)
    bad = VECTORS.copy()
    bad[2, 1] = np.nan
    put_by_hand(path, "vectors.npy", as_npy(bad))
    assert examine(path).why == "vectors: not all numbers are finite"
    put_by_hand(path, "vectors.npy", as_npy(VECTORS))
    put_by_hand(path, "about.jsonl", b"{}\n{}\n")
    assert examine(path).why == "about: 2 lines, not 3"


def test_sizes_are_had_without_reading_what_is_large(tmp_path: Path) -> None:
    """A flipped bit is not seen then, another length is."""
    path = stored(tmp_path)
    (vectors,) = tmp_path.glob("*/*.vectors.npy")
    flip(vectors)
    assert examine(path, contents=False).why is None
    assert examine(path).why is not None
    tear(vectors)
    assert f"{vectors.name} has" in str(examine(path, contents=False).why)


def test_that_a_shard_was_read_is_seen_in_its_time(tmp_path: Path) -> None:
    """To the hour; a survey is no use."""
    path = stored(tmp_path)
    long_ago = path.stat().st_mtime - 40 * 86400
    os.utime(path, (long_ago, long_ago))
    assert examine(path).used == long_ago
    assert ShardFiles(tmp_path).get(MAKER, IDS) is not None
    assert examine(path).used > long_ago + 39 * 86400
