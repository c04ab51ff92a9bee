"""The results folder: commit order, resume, locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from cells_support import make_failure, make_score

from harness.digests import write_atomically
from harness.errors import InputError, ResultsNotWrittenError
from harness.results import store as store_module
from harness.results.records import Failure, Score
from harness.results.store import Store

TASK, KEY = "STS12", "k" * 20

HOLD = """
import sys
from pathlib import Path
from harness.results.store import Store
with Store(Path(sys.argv[1])).claim(sys.argv[2]) as held:
    print(held, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty results folder."""
    return Store(tmp_path / "results")


@pytest.fixture
def items() -> pa.Table:
    """Three rows of per-item results."""
    return pa.table({"item": [0, 1, 2], "score": [0.5, 1.0, float("nan")]})


def files_of(store: Store) -> list[str]:
    """Every file below the results folder, hidden ones included."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def test_a_score_comes_back_with_its_items(store: Store, items: pa.Table) -> None:
    """What was put is got again, and the items are the same table; the file names rows and unit."""
    put = store.put_score(make_score(task=TASK, key=KEY), items, "pair")
    got = store.get(TASK, KEY)
    assert got == put
    assert put.items is not None
    assert (put.items.rows, put.items.unit, put.items.name) == (3, "pair", f"{KEY}.parquet")
    assert store.items_of(put).to_pydict()["item"] == [0, 1, 2]
    assert str(store.items_of(put).to_pydict()["score"]) == "[0.5, 1.0, nan]"


def test_no_temporary_file_is_left(store: Store, items: pa.Table) -> None:
    """After a commit there are exactly the parquet and the JSON."""
    store.put_score(make_score(task=TASK, key=KEY), items, "pair")
    assert files_of(store) == [f"cells/{TASK}/{KEY}.json", f"cells/{TASK}/{KEY}.parquet"]


def test_no_temporary_file_is_left_when_the_rename_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails takes its temporary file with it and leaves the old content."""
    store.put_failure(make_failure(task=TASK, key=KEY, message="first"))

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ResultsNotWrittenError, match="the disk is full"):
        store.put_failure(make_failure(task=TASK, key=KEY, message="second"))
    monkeypatch.undo()
    assert files_of(store) == [f"cells/{TASK}/{KEY}.failure.json"]
    found = store.get(TASK, KEY)
    assert isinstance(found, Failure)
    assert found.message == "first"


def test_an_unknown_cell_and_an_unknown_key_are_none(store: Store) -> None:
    """Nothing stored, and a key that is not known yet, give None and no folder."""
    assert store.get(TASK, KEY) is None
    assert store.get(TASK, None) is None
    assert not store.has_score(TASK, None)
    assert not store.root.exists()


@pytest.mark.parametrize("content", ["", '{"record_version": 1, "status"', '{"record_version": 99}', "[]"])
@pytest.mark.parametrize("suffix", ["json", "failure.json"])
def test_a_torn_file_and_a_foreign_version_are_refused(store: Store, content: str, suffix: str) -> None:
    """A record that cannot be read is an InputError that names the file and the way out, not a missing cell."""
    path = store.root / "cells" / TASK / f"{KEY}.{suffix}"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="not a result record") as caught:
        store.get(TASK, KEY)
    assert str(path) in str(caught.value)
    assert "`harness run` makes it again" in str(caught.value)
    with pytest.raises(InputError, match="not a result record") as listed:
        list(store.all_results())
    assert str(path) in str(listed.value)


def test_bytes_that_are_not_utf8_are_refused(store: Store) -> None:
    """A file overwritten with other bytes is an InputError too."""
    path = store.root / "cells" / TASK / f"{KEY}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(InputError, match="not a result record"):
        store.get(TASK, KEY)


def test_a_score_supersedes_a_failure(store: Store) -> None:
    """After a retry succeeds only the score is there, and nothing of the failure remains on disk."""
    store.put_failure(make_failure(task=TASK, key=KEY))
    assert isinstance(store.get(TASK, KEY), Failure)
    assert not store.has_score(TASK, KEY)
    store.put_score(make_score(task=TASK, key=KEY, items_missing="none"), None, "pair")
    assert isinstance(store.get(TASK, KEY), Score)
    assert files_of(store) == [f"cells/{TASK}/{KEY}.json"]


def test_a_failure_does_not_replace_a_score(store: Store) -> None:
    """A failure that comes after a score (another process, another machine) changes no answer."""
    score = store.put_score(make_score(task=TASK, key=KEY, items_missing="none"), None, "pair")
    store.put_failure(make_failure(task=TASK, key=KEY))
    assert store.get(TASK, KEY) == score
    assert list(store.all_results()) == [score]


def test_a_crash_between_parquet_and_json_leaves_no_score(
    store: Store, items: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parquet comes first; without the JSON the cell has no score, and the next attempt commits."""
    real = write_atomically

    def die_before_json(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(store_module, "write_atomically", die_before_json)
    with pytest.raises(KeyboardInterrupt):
        store.put_score(make_score(task=TASK, key=KEY), items, "pair")
    monkeypatch.undo()
    assert files_of(store) == [f"cells/{TASK}/{KEY}.parquet"]
    assert not store.has_score(TASK, KEY)
    assert store.get(TASK, KEY) is None
    store.put_score(make_score(task=TASK, key=KEY), items, "pair")
    assert store.has_score(TASK, KEY)


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_items_that_are_not_the_committed_ones_are_refused(store: Store, items: pa.Table, damage: str) -> None:
    """A parquet whose sha256 is not the one in the JSON, or that is gone, is an InputError naming the file."""
    score = store.put_score(make_score(task=TASK, key=KEY), items, "pair")
    path = store.root / "cells" / TASK / f"{KEY}.parquet"
    if damage == "changed":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    else:
        path.unlink()
    with pytest.raises(InputError, match="per-item results are not those") as caught:
        store.items_of(score)
    assert str(path) in str(caught.value)


def test_a_score_without_items_has_none(store: Store) -> None:
    """Where `items_missing` says why, there is no table and no error."""
    score = store.put_score(make_score(task=TASK, key=KEY, items_missing="no mean over items"), None, "pair")
    assert store.items_of(score) is None


def test_all_results_lists_each_cell_once(store: Store) -> None:
    """Scores and failures of several tasks are listed, one record a cell."""
    one = store.put_score(make_score(task="A", key="a" * 20, items_missing="x"), None, "pair")
    store.put_failure(make_failure(task="A", key="a" * 20))
    two = make_failure(task="B", key="b" * 20)
    store.put_failure(two)
    assert list(store.all_results()) == [one, two]


def test_claim_excludes_another_process_until_that_is_killed(store: Store) -> None:
    """While a second process holds the cell it cannot be claimed here; kill -9 of that process releases it."""
    command = [sys.executable, "-c", HOLD, str(store.root), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "True\n"
            with store.claim(KEY) as held:
                assert held is False
            with store.claim("another") as held:
                assert held is True
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
        finally:
            other.kill()
    with store.claim(KEY) as held:
        assert held is True


def test_claim_is_released_when_the_work_raises(store: Store) -> None:
    """An error inside the claim does not keep the cell locked for other processes."""
    with pytest.raises(ZeroDivisionError), store.claim(KEY):
        raise ZeroDivisionError
    command = [sys.executable, "-c", HOLD, str(store.root), KEY]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_locks_that_are_held_are_counted(store: Store) -> None:
    """Those of running processes alone; asking takes none away."""
    assert store.locks_held() == 0
    with store.claim("a" * 20):
        pass
    with store.claim("b" * 20) as claimed, store.claim("c" * 20):
        assert claimed
        assert store.locks_held() == 2
        with store.claim("a" * 20) as free:
            assert free
    assert store.locks_held() == 0


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("no flock here")])
def test_a_disk_without_locks_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Two may then be at one cell, which commits the same twice; a folder that cannot be written still ends the run."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(store_module.FileLock, "acquire", refuse)
    with Store(tmp_path).claim("k") as mine, Store(tmp_path).claim("k") as too:
        assert mine
        assert too
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with pytest.raises(ResultsNotWrittenError, match="read-only"), Store(tmp_path).claim("k"):
        pass
