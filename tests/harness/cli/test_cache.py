"""`harness cache`: what is said, and how it ends; what is removed is held in tests/harness/shards/test_pruning.py."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from cells_support import make_score
from filelock import FileLock
from suites_support import Command

from harness.cli.cache import size_in_bytes
from harness.digests import digest
from harness.errors import InputError
from harness.results.records import Score
from harness.results.store import Store
from harness.shards.files import ShardFiles
from harness.shards.survey import examine

IDENTITY = {"kind": "mean-pool", "weights": {"path": "org/model"}}
MAKER = {"encoder": {"identity": IDENTITY, "versions": {}}, "role": "document", "prompt": "passage: "}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`harness` in this process."""
    return Command(monkeypatch, capsys)


def put(folder: Path, number: int) -> Path:
    """Put a shard that was last used so many days ago; returns its record."""
    files, ids = ShardFiles(folder / "shards"), digest([number])
    arrays = {"keys": np.zeros((9, 2), dtype=np.uint64), "vectors": np.ones((9, 4), dtype=np.float32)}
    files.put(MAKER, ids, arrays=arrays)
    path = files.place(MAKER, ids)
    then = time.time() - 86400 * number
    os.utime(path, (then, then))
    return path


def test_it_shows_what_is_kept_and_changes_nothing(command: Command, tmp_path: Path) -> None:
    """The user's cache by folder, the shards by what made them."""
    path = put(tmp_path / "results", 1)
    (tmp_path / "cache" / "vectors").mkdir(parents=True)
    (tmp_path / "cache" / "vectors" / "data.mdb").write_bytes(b"x" * 5000)
    done = command("cache", "--results", "results", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"cache of this machine (HARNESS_CACHE): {tmp_path / 'cache'}, 5.0 kB"
    assert lines[1].split() == [
        "5.0",
        "kB",
        "vectors",
        "rationales",
        "and",
        "their",
        "vectors",
        "by",
        "content",
        "(lmdb)",
    ]
    assert lines[3].startswith("shards in results/shards: 1 shard(s) of 1 maker(s), 1.")
    assert lines[4].endswith("  kind 'mean-pool', path 'org/model', role 'document', prompt 'passage: '")
    assert examine(path).why is None


def test_makers_are_called_as_the_cells_of_the_folder_call_them(command: Command, tmp_path: Path) -> None:
    """Once one of theirs is stored."""
    put(tmp_path / "results", 1)
    score = make_score(key="k" * 20, model="mine", items_missing="none", provenance={"identity": IDENTITY})
    Store(tmp_path / "results").put_score(score, None, "pair")
    done = command("cache", "--results", "results", cwd=tmp_path)
    assert done.stdout.splitlines()[-1].endswith("  mine, role 'document', prompt 'passage: '")


def test_without_a_results_folder_it_shows_the_cache_alone(command: Command, tmp_path: Path) -> None:
    """Also where there is none yet."""
    done = command("cache", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"cache of this machine (HARNESS_CACHE): {tmp_path / 'cache'}, 0 B\n")


def test_a_limit_removes_shards_and_no_score(command: Command, tmp_path: Path) -> None:
    """Those that were not used for longest; a stored cell stays as it is."""
    paths = [put(tmp_path / "results", number) for number in (3, 1, 2)]
    Store(tmp_path / "results").put_score(make_score(key="k" * 20, items_missing="none"), None, "pair")
    limit = examine(paths[1]).bytes + 1
    done = command("cache", "--results", "results", "--limit", str(limit), cwd=tmp_path)
    assert done.returncode == 0
    assert [path.exists() for path in paths] == [False, True, False]
    assert "removed: 2 shard(s), " in done.stdout
    assert "scores stay" in done.stdout
    assert isinstance(Store(tmp_path / "results").get("STS12", "k" * 20), Score)
    command("cache", "--results", "results", "--limit", "0", cwd=tmp_path)
    assert not paths[1].exists()


def test_what_a_running_process_holds_is_said(command: Command, tmp_path: Path) -> None:
    """And that the limit is not kept then."""
    path = put(tmp_path / "results", 1)
    with FileLock(path.with_suffix(".lock")):
        done = command("cache", "--results", "results", "--limit", "0", cwd=tmp_path)
    assert path.exists()
    assert "kept: what a running process is at, 1 shard(s)" in done.stdout
    assert "are left, more than --limit" in done.stdout


def test_while_a_run_goes_on_what_it_may_read_stays(command: Command, tmp_path: Path) -> None:
    """Shards used within a day; the others go, and so do all once it has ended."""
    old, new = put(tmp_path / "results", 3), put(tmp_path / "results", 0)
    with Store(tmp_path / "results").claim("k" * 20) as claimed:
        assert claimed
        done = command("cache", "--results", "results", "--limit", "0", cwd=tmp_path)
    assert (old.exists(), new.exists()) == (False, True)
    assert "kept: 1 shard(s) used within the last day, since a run is going on in this folder" in done.stdout
    command("cache", "--results", "results", "--limit", "0", cwd=tmp_path)
    assert not new.exists()


def test_leftovers_are_shown(command: Command, tmp_path: Path) -> None:
    """A record that is none among them."""
    path = put(tmp_path / "results", 1)
    path.write_text("{}", encoding="utf-8")
    done = command("cache", "--results", "results", cwd=tmp_path)
    assert "3 file(s) that no shard names, 1 of them record(s) that are not whole" in done.stdout


def test_the_document_has_all_of_it(command: Command, tmp_path: Path) -> None:
    """What made each shard in full; what was removed where that was asked for."""
    put(tmp_path / "results", 1)
    found = json.loads(command("cache", "--results", "results", "--json", cwd=tmp_path).stdout)
    (row,) = found["shards"]["makers"]
    assert (row["maker"], row["names"], row["shards"], row["files"]) == (MAKER, [], 1, 3)
    assert row["bytes"] == found["shards"]["bytes"]
    assert "removed" not in found
    found = json.loads(command("cache", "--results", "results", "--limit", "0", "--json", cwd=tmp_path).stdout)
    assert (found["removed"]["shards"], found["shards"]["shards"]) == (1, 0)


@pytest.mark.parametrize(
    ("text", "size"),
    [("50G", 50 * 10**9), ("500M", 500 * 10**6), ("1.5T", 15 * 10**11), ("0", 0), ("123456", 123456), ("0.5M", 500000)],
)
def test_sizes_as_users_write_them(text: str, size: int) -> None:
    """In powers of a thousand, as every size that is shown."""
    assert size_in_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "-1", "-1G", "5X", "50 G", "50g", "50GB", "1.5", "1e9", "nan", "٥G", "9" * 40]
)
def test_anything_else_is_refused_with_the_valid_forms(command: Command, tmp_path: Path, text: str) -> None:
    """Nothing is removed."""
    with pytest.raises(InputError, match="not a size; valid: "):
        size_in_bytes(text)
    path = put(tmp_path / "results", 1)
    done = command("cache", "--results", "results", f"--limit={text}", cwd=tmp_path)
    assert (done.returncode, path.exists()) == (2, True)
    assert all(form in done.stderr for form in ("50G", "500M", "1.5T", "plain bytes"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--limit", "5G"), "--limit 5G: needs --results DIR"),
        (("--results", "none"), "--results none: no such folder"),
    ],
)
def test_a_users_mistake_ends_with_2(command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """In a line."""
    done = command("cache", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
