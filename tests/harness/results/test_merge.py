"""Results folders joined into one: what is whole is there, what is not is named, nothing is chosen in silence."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cells_support import make_failure, make_score

from harness.digests import digest
from harness.errors import InputError, ResultsNotWrittenError
from harness.results import copying
from harness.results.merge import Merged, merge
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.shards.files import ShardFiles

KEY, MORE = "k" * 20, "m" * 20
MAKER = {"model": "m", "role": "document"}
IDS = digest(["one", "two"])
FINGERPRINT = "f" * 64


def put(folder: Path, key: str = KEY, task: str = "STS12", **changes: Any) -> Score:
    """Put a score with three items and a side file."""
    store = Store(folder)
    about = store.put_side(task, key, "rationales.json.gz", b"samples of " + key.encode())
    provenance = {"rationale_samples": about, "fingerprint": FINGERPRINT}
    score = make_score(key=key, task=task, **{"provenance": provenance, **changes})
    return store.put_score(score, pa.table({"item": [0, 1, 2], "score": [0.5, 1.0, float(score.n)]}), "pair")


def put_shard(folder: Path, ids: str = IDS, first: float = 0.0) -> Path:
    """Put a shard of two texts; returns its record."""
    files = ShardFiles(folder / "shards")
    vectors = np.array([[first, 1.0], [2.0, 3.0]], dtype=np.float32)
    files.put(MAKER, ids, arrays={"keys": np.arange(4, dtype=np.uint64).reshape(2, 2), "vectors": vectors})
    return files.place(MAKER, ids)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but locks."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: one for name, one in found.items() if not name.startswith("locks/")}


def refused(merged: Merged) -> list[str]:
    """What was refused, and why, as one line each."""
    return [f"{one.path.name}: {one.why}" for one in merged.refused]


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A machine's folder: a cell with all that belongs to it, and a shard."""
    folder = tmp_path / "one"
    score = put(folder)
    put_shard(folder)
    Store(folder).note_name(score, model="twin", cell="twin/STS12")
    Store(folder).write_run("mine", {"suite": {"name": "mine"}, "cells": {"base/STS12": KEY}, "at": "now"})
    native = folder / "mteb" / "full" / "harness__base" / FINGERPRINT[:16]
    native.mkdir(parents=True)
    (native / "STS12.json").write_text("{}", encoding="utf-8")
    for name in (
        "logs/harness.log",
        "locks/x.lock",
        "comparisons/x.json",
        "shards/x/.y.json.0.tmp",
        "cells/STS12/.z.tmp",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("left", encoding="utf-8")
    return folder


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Another machine's: a cell of another key, and another shard."""
    folder = tmp_path / "two"
    put(folder, MORE)
    put_shard(folder, digest(["three", "four"]))
    Store(folder).write_run("mine", {"suite": {"name": "mine"}, "cells": {"base/STS13": MORE}, "at": "later"})
    return folder


LEFT = ("logs/", "comparisons/", "runs/")


def test_everything_that_counts_is_there_and_nothing_else(one: Path, two: Path, tmp_path: Path) -> None:
    """Byte for byte; logs, locks, temporary files and what can be made again stay where they are."""
    before = content(one), content(two)
    merged = merge([one, two], tmp_path / "out")
    wanted = {
        name: file
        for name, file in (before[0] | before[1]).items()
        if not name.startswith(LEFT) and not name.endswith(".tmp")
    }
    found = content(tmp_path / "out")
    runs = json.loads(found.pop("runs/mine.json"))
    assert found == wanted
    assert runs["cells"] == {"base/STS12": KEY, "base/STS13": MORE}
    assert (merged.cells, merged.shards, merged.refused, merged.differing) == (2, 2, [], [])
    assert (content(one), content(two)) == before
    assert ShardFiles(tmp_path / "out" / "shards").get(MAKER, IDS) is not None


def test_a_second_merge_copies_nothing(one: Path, two: Path, tmp_path: Path) -> None:
    """And says what was there."""
    merge([one, two], tmp_path / "out")
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*")}
    merged = merge([one, two], tmp_path / "out")
    assert (merged.cells, merged.shards, merged.bytes) == (0, 0, 0)
    assert (merged.cells_there, merged.shards_there) == (2, 2)
    assert {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*")} == before


def test_one_of_the_folders_can_be_where_they_are_joined(one: Path, two: Path) -> None:
    """By whatever path it is named."""
    merged = merge([two.parent / "two" / ".." / "one", two], one)
    assert (merged.cells, merged.cells_there, merged.shards, merged.shards_there) == (1, 1, 1, 1)
    assert isinstance(Store(one).get("STS12", MORE), Score)


def flip(path: Path) -> None:
    """One bit."""
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 4
    path.write_bytes(bytes(changed))


def tear(path: Path) -> None:
    """As a copy that ended too early."""
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("harm", [flip, tear, Path.unlink])
@pytest.mark.parametrize("suffix", ["parquet", "rationales.json.gz"])
def test_a_cell_that_has_lost_a_file_is_refused_whole(
    one: Path, two: Path, tmp_path: Path, suffix: str, harm: Callable[[Path], None]
) -> None:
    """Neither its record nor its other file is copied; the other cells are."""
    harm(one / "cells" / "STS12" / f"{KEY}.{suffix}")
    merged = merge([one, two], tmp_path / "out")
    assert len(merged.refused) == 1
    assert f"{KEY}.{suffix}" in merged.refused[0].why
    assert not [name for name in content(tmp_path / "out") if KEY in name and name.startswith(("cells", "mteb"))]
    assert merged.cells == 1
    assert not merged.is_complete


@pytest.mark.parametrize("harm", [tear, lambda path: path.write_text("{}"), lambda path: path.write_bytes(b"\xff")])
def test_a_record_that_cannot_be_read_is_refused(one: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """And named."""
    harm(one / "cells" / "STS12" / f"{KEY}.json")
    merged = merge([one], tmp_path / "out")
    assert [line.startswith(f"{KEY}.json: not a result record (") for line in refused(merged)] == [True]
    assert not (tmp_path / "out" / "cells").exists()


def test_a_record_under_the_name_of_another_cell_is_refused(one: Path, tmp_path: Path) -> None:
    """Whole as it is."""
    for path in (one / "cells" / "STS12").glob(f"{KEY}.*"):
        path.rename(path.with_name(path.name.replace(KEY, MORE)))
    merged = merge([one], tmp_path / "out")
    assert f"it is that of STS12/{KEY}" in refused(merged)[0]
    assert not (tmp_path / "out" / "cells").exists()


def test_a_record_that_names_another_number_of_items_is_refused(one: Path, tmp_path: Path) -> None:
    """Than its file has, though the file is the one that was committed."""
    path = one / "cells" / "STS12" / f"{KEY}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["items"]["rows"] = 2
    path.write_text(json.dumps(record), encoding="utf-8")
    assert refused(merge([one], tmp_path / "out")) == [f"{KEY}.json: {KEY}.parquet has 3 rows, not 2"]


def test_a_record_that_names_a_file_elsewhere_is_refused(one: Path, tmp_path: Path) -> None:
    """Else a copy would write outside its folder."""
    path = one / "cells" / "STS12" / f"{KEY}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["items"]["name"] = f"../{KEY}.parquet"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert "is no file of it" in refused(merge([one], tmp_path / "out"))[0]


@pytest.mark.parametrize("harm", [flip, tear, Path.unlink])
@pytest.mark.parametrize("what", ["*.vectors.npy", "*.keys.npy", "*.json"])
def test_a_shard_that_is_not_whole_is_refused_and_stays_where_it_is(
    one: Path, two: Path, tmp_path: Path, what: str, harm: Callable[[Path], None]
) -> None:
    """Nothing of it is copied; one without a record was never committed, which is no harm."""
    (path,) = (one / "shards").glob(f"*/{what}")
    harm(path)
    before = content(one)
    merged = merge([one, two], tmp_path / "out")
    assert len(merged.refused) == (harm is not Path.unlink or path.suffix != ".json")
    assert not [name for name in content(tmp_path / "out") if IDS[:32] in name]
    assert (merged.shards, merged.cells) == (1, 2)
    assert content(one) == before


def test_a_shard_of_another_model_under_the_right_name_is_refused(one: Path, tmp_path: Path) -> None:
    """Copied there by hand, payload and all."""
    (folder,) = (path for path in (one / "shards").iterdir() if path.name != "x")
    folder.rename(folder.with_name(digest({"model": "other"})[:32]))
    merged = merge([one], tmp_path / "out")
    assert "another model" in refused(merged)[0]
    assert not (tmp_path / "out" / "shards").exists()


def test_what_one_folder_lost_is_taken_from_the_next(one: Path, tmp_path: Path) -> None:
    """And it is said which one counts; a damaged record of the folder itself is mended likewise."""
    put(tmp_path / "again")
    put_shard(tmp_path / "again")
    flip(one / "cells" / "STS12" / f"{KEY}.parquet")
    (vectors,) = (one / "shards").glob("*/*.vectors.npy")
    flip(vectors)
    merged = merge([one, tmp_path / "again"], one)
    assert [found.instead for found in merged.refused] == [tmp_path / "again"] * 2
    assert isinstance(found := Store(one).get("STS12", KEY), Score)
    assert Store(one).lost(found) == {}
    assert ShardFiles(one / "shards").get(MAKER, IDS) is not None
    assert merge([one], one).is_complete


def test_equal_scores_are_one(one: Path, tmp_path: Path) -> None:
    """Without a word."""
    put(tmp_path / "again")
    merged = merge([one, tmp_path / "again"], tmp_path / "out")
    assert (merged.cells, merged.differing, merged.is_complete) == (1, [], True)


def test_of_scores_last_digits_apart_the_first_is_kept_and_both_are_said(tmp_path: Path) -> None:
    """By the order in which the folders are named; what is there already comes before them."""
    put(tmp_path / "a", score=50.0)
    put(tmp_path / "b", score=50.0 + 3e-7)
    for name, order in (("ab", ["a", "b"]), ("ba", ["b", "a"])):
        merged = merge([tmp_path / one for one in order], tmp_path / name)
        (found,) = merged.differing
        assert (found.first.folder, found.other.folder) == tuple(tmp_path / one for one in order)
        assert found.contradiction is None
        assert merged.is_complete
        assert (tmp_path / name / "cells" / "STS12" / f"{KEY}.json").read_bytes() == (
            tmp_path / order[0] / "cells" / "STS12" / f"{KEY}.json"
        ).read_bytes()
    merged = merge([tmp_path / "b"], tmp_path / "ab")
    assert merged.differing[0].first.folder == tmp_path / "ab"
    assert isinstance(kept := Store(tmp_path / "ab").get("STS12", KEY), Score)
    assert kept.score == 50.0


@pytest.mark.parametrize("changes", [{"score": 50.1}, {"n": 9}])
def test_scores_that_contradict_each_other_are_not_chosen_between(
    one: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Neither is copied; one that is there stays."""
    put(tmp_path / "again", **changes)
    merged = merge([one, tmp_path / "again"], tmp_path / "out")
    assert (merged.cells, len(merged.conflicts), merged.is_complete) == (0, 1, False)
    assert Store(tmp_path / "out").get("STS12", KEY) is None
    merged = merge([tmp_path / "again"], one)
    assert len(merged.conflicts) == 1
    assert isinstance(kept := Store(one).get("STS12", KEY), Score)
    assert (kept.score, kept.n) == (50.0, 10)


def test_a_third_folder_that_contradicts_is_not_hidden_by_one_that_agrees(one: Path, tmp_path: Path) -> None:
    """Nor by one that is last digits apart."""
    put(tmp_path / "near", score=50.0 + 1e-7)
    put(tmp_path / "far", score=51.0)
    merged = merge([one, tmp_path / "near", tmp_path / "far"], tmp_path / "out")
    assert [found.other.folder for found in merged.conflicts] == [tmp_path / "far"]
    assert merged.cells == 0


def test_a_score_beats_a_failure_wherever_it_is(one: Path, tmp_path: Path) -> None:
    """The failure that is there yields to it."""
    Store(tmp_path / "failed").put_failure(make_failure(key=KEY))
    Store(tmp_path / "out").put_failure(make_failure(key=KEY))
    merged = merge([tmp_path / "failed", one], tmp_path / "out")
    assert (merged.cells, merged.failures) == (1, 0)
    assert isinstance(Store(tmp_path / "out").get("STS12", KEY), Score)
    assert not list((tmp_path / "out").rglob("*.failure.json"))


def test_a_failure_without_a_score_is_kept(tmp_path: Path) -> None:
    """So that it is known why there is none; the first."""
    for name in ("a", "b"):
        Store(tmp_path / name).put_failure(make_failure(key=KEY, message=f"it broke in {name}"))
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert (merged.failures, merged.is_complete) == (1, True)
    assert isinstance(found := Store(tmp_path / "out").get("STS12", KEY), Failure)
    assert found.message == "it broke in a"
    assert merge([tmp_path / "b"], tmp_path / "out").failures_there == 1


def test_native_results_come_with_their_cell_alone(one: Path, tmp_path: Path) -> None:
    """Those of another model, task or limit stay; one that is not JSON is refused, and the cell is whole."""
    native = one / "mteb" / "full" / "harness__base" / FINGERPRINT[:16]
    others = [native / "STS13.json", native.with_name("0" * 16) / "STS12.json"]
    others.append(one / "mteb" / "limit-10" / "harness__base" / FINGERPRINT[:16] / "STS12.json")
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    merge([one], tmp_path / "out")
    found = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out" / "mteb").rglob("*.json")]
    assert found == [(native / "STS12.json").relative_to(one)]
    (native / "STS12.json").write_text('{"scores": ', encoding="utf-8")
    merged = merge([one], tmp_path / "other")
    assert [path.path for path in merged.refused] == [native / "STS12.json"]
    assert merged.cells == 1
    assert not (tmp_path / "other" / "mteb").exists()


@pytest.mark.parametrize("note", ['{"key": 1}', "[]", "{", '{"key": "k", "task": "t", "model": "m", "cell": "c"}'])
def test_notes_that_are_none_are_refused(one: Path, tmp_path: Path, note: str) -> None:
    """Of names and of runs."""
    (name,) = (one / "names").rglob("*.json")
    name.write_text(note, encoding="utf-8")
    (one / "runs" / "mine.json").write_text(note, encoding="utf-8")
    merged = merge([one], tmp_path / "out")
    assert [found.path for found in merged.refused] == [name, one / "runs" / "mine.json"]
    assert not (tmp_path / "out" / "names").exists()
    assert merged.cells == 1


def test_folders_that_are_none_of_results_are_named_at_once(one: Path, tmp_path: Path) -> None:
    """Nothing is copied then."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "above").mkdir()
    put(tmp_path / "above" / "results")
    with pytest.raises(InputError) as caught:
        merge([one, tmp_path / "none", tmp_path / "empty", tmp_path / "above"], tmp_path / "out")
    assert [line.partition(": ")[2].partition(";")[0] for line in caught.value.problems] == [
        "no such folder",
        "not a results folder: it has none of cells/, shards/, names/, runs/",
        "not a results folder: it has none of cells/, shards/, names/, runs/",
    ]
    assert caught.value.problems[2].endswith(f"did you mean {tmp_path / 'above' / 'results'}?")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_leaves_what_is_whole_and_the_same_command_goes_on(
    one: Path, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it was: nothing is torn, and no temporary file is left."""
    count, full_at = 0, 1

    def fsync(_: int) -> None:
        nonlocal count
        count += 1
        if count == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    wanted = merge([one, two], tmp_path / "wanted")
    files = content(tmp_path / "wanted")
    monkeypatch.setattr(copying.os, "fsync", fsync)
    for full_at in range(1, 9):
        count = 0
        with pytest.raises(ResultsNotWrittenError, match="the disk is full"):
            merge([one, two], tmp_path / f"out-{full_at}")
        assert not list((tmp_path / f"out-{full_at}").rglob("*.tmp"))
        again = merge([one, two], tmp_path / f"out-{full_at}")
        assert again.is_complete
        assert again.cells + again.cells_there == wanted.cells
        assert content(tmp_path / f"out-{full_at}") == files


def test_a_cell_that_a_running_process_is_at_is_left_to_it(one: Path, tmp_path: Path) -> None:
    """Two writers of one cell could leave one's record with the other's items."""
    out = Store(tmp_path / "out")
    with out.claim(KEY) as claimed:
        assert claimed
        merged = merge([one], tmp_path / "out")
    assert "merge again when it is done" in refused(merged)[0]
    assert out.get("STS12", KEY) is None
    assert merge([one], tmp_path / "out").cells == 1


def test_a_file_that_changes_after_it_was_looked_at_is_not_copied(tmp_path: Path) -> None:
    """It is hashed on the way."""
    (tmp_path / "source").write_bytes(b"x" * 1000)
    with pytest.raises(copying.NotWholeError, match="not the file that its record names"):
        copying.copy(tmp_path / "source", tmp_path / "target", "0" * 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    with pytest.raises(copying.NotWholeError, match="cannot be read"):
        copying.copy(tmp_path / "none", tmp_path / "target", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
