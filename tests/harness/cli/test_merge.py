"""`harness merge`: what is said, and how it ends; what is copied is held in tests/harness/results/test_merge.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cells_support import make_failure, make_score
from suites_support import Command, suite_file, write

from harness.digests import digest
from harness.plan.planner import make_plan
from harness.results.store import Store
from harness.shards.files import ShardFiles
from harness.sources.places import Sources
from harness.suite.load import load_suite

KEY, MORE = "k" * 20, "m" * 20


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`harness` in this process."""
    return Command(monkeypatch, capsys)


def put(folder: Path, key: str = KEY, **changes: Any) -> Path:
    """Put a score with three items; returns its record."""
    Store(folder).put_score(make_score(key=key, **changes), pa.table({"item": [0, 1, 2]}), "pair")
    return folder / "cells" / "STS12" / f"{key}.json"


def put_shard(folder: Path) -> Path:
    """Put a shard of one text; returns its record."""
    files, ids = ShardFiles(folder / "shards"), digest(["one"])
    arrays = {"keys": np.zeros((1, 2), dtype=np.uint64), "vectors": np.ones((1, 2), dtype=np.float32)}
    files.put({"model": "m"}, ids, arrays=arrays)
    return files.place({"model": "m"}, ids)


def test_two_folders_become_one(command: Command, tmp_path: Path) -> None:
    """With what was copied, what was there, and the next step."""
    put(tmp_path / "a")
    put(tmp_path / "b", MORE)
    put_shard(tmp_path / "b")
    done = command("merge", "a", "b", "--results", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, step = done.stdout.splitlines()
    assert first.startswith("merged into out: 2 cell(s), 0 failure(s), 1 shard(s), ")
    assert step.startswith("next: harness run SUITE --results out   closes the cells that were made in shards")
    done = command("merge", "a", "b", "--results", "out", cwd=tmp_path)
    assert done.stdout.startswith(
        "merged into out: 0 cell(s), 0 failure(s), 0 shard(s), 0 B; "
        "already there: 2 cell(s), 0 failure(s), 1 shard(s)\n"
    )


def test_all_that_is_refused_is_named_at_once_with_what_to_do(command: Command, tmp_path: Path) -> None:
    """Exit 3; what is whole is merged."""
    path = put(tmp_path / "a")
    path.with_suffix(".parquet").write_bytes(b"torn")
    put(tmp_path / "b", MORE)
    shard = put_shard(tmp_path / "b")
    shard.write_bytes(shard.read_bytes()[:-9])
    done = command("merge", "a", "b", "--results", "out", cwd=tmp_path)
    assert done.returncode == 3
    cell, torn, step = done.stderr.splitlines()
    assert cell.startswith(f"refused: cell STS12/{KEY}: a/cells/STS12/{KEY}.json: per-item results: {KEY}.parquet: ")
    assert torn.startswith(f"refused: shard {shard.parent.name}/{shard.stem}: b/shards/")
    assert step.startswith("next: run those parts again where they were made")
    assert done.stdout.startswith("merged into out: 1 cell(s), 0 failure(s), 0 shard(s), ")


def provenance(processor: str) -> dict[str, Any]:
    """What two machines say of themselves."""
    return {"cell": "base/STS12", "hardware": {"processor": processor, "threads": 2}, "versions": {"torch": "2.13.0"}}


def test_a_conflict_names_both_and_in_what_they_were_made_unlike(command: Command, tmp_path: Path) -> None:
    """Exit 3, with key, scores, folders and the hardware."""
    put(tmp_path / "a", score=50.0, provenance=provenance("EPYC"))
    put(tmp_path / "b", score=50.5, provenance=provenance("Xeon"))
    done = command("merge", "a", "b", "--results", "out", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[:2] == [
        f"conflict: base/STS12 ({KEY}): 50.0 in a, 50.5 in b; the scores are 0.5 apart, more than 1e-06; "
        "neither is copied",
        "  processor: EPYC in a, Xeon in b",
    ]
    assert done.stdout.startswith("merged into out: 0 cell(s)")
    done = command("merge", "b", "--results", "a", cwd=tmp_path)
    assert "that of a stays, the other is not copied" in done.stderr


def test_last_digits_are_said_in_one_line(command: Command, tmp_path: Path) -> None:
    """Exit 0: it is worth knowing."""
    put(tmp_path / "a", score=50.0, provenance=provenance("EPYC"))
    put(tmp_path / "b", score=50.0000001, provenance=provenance("Xeon"))
    done = command("merge", "a", "b", "--results", "out", cwd=tmp_path)
    assert done.returncode == 0
    line = f"last digits differ: base/STS12 ({KEY}): 50.0 in a, 50.0000001 in b; that of a is kept\n"
    assert done.stderr == line


def test_the_document_has_all_of_it(command: Command, tmp_path: Path) -> None:
    """On standard output alone one JSON document."""
    put(tmp_path / "a", score=50.0, provenance=provenance("EPYC"))
    put(tmp_path / "b", score=50.5, provenance=provenance("Xeon"))
    put(tmp_path / "b", MORE).with_suffix(".parquet").unlink()
    done = command("merge", "a", "b", "--results", "out", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_code"], found["copied"]["cells"]) == (3, 3, 0)
    assert [one["what"] for one in found["refused"]] == [f"cell STS12/{MORE}"]
    (row,) = found["differing"]
    assert (row["cell"], row["key"], row["made_unlike"]) == ("base/STS12", KEY, ["processor: EPYC in a, Xeon in b"])
    assert row["scores"] == [{"folder": "a", "score": 50.0}, {"folder": "b", "score": 50.5}]
    assert "without_score" not in found


def test_cells_without_a_score_are_listed_where_a_suite_is_named(command: Command, tmp_path: Path) -> None:
    """With why, where that is known; a hole ends with 0: it is no fault of the merge."""
    rows = "".join(f'{{"sentence1": "a{n}", "sentence2": "b{n} a{n}", "score": {n}}}\n' for n in range(5))
    write(tmp_path / "pairs.jsonl", rows)
    tasks = ", ".join(f"{{name: p{n}, type: STS, path: pairs.jsonl}}" for n in range(3))
    suite = suite_file(tmp_path, f"models: [{{name: w, encoder: tf-idf}}]\ntasks: {{custom: [{tasks}]}}\n")
    keys = {str(cell): str(cell.key) for cell in make_plan(load_suite(suite).suite, Sources()).cells}
    Store(tmp_path / "a").put_score(make_score(task="p0", key=keys["w/p0"], items_missing="none"), None, "pair")
    Store(tmp_path / "b").put_failure(make_failure(task="p1", key=keys["w/p1"], message="it broke\nbadly"))
    done = command("merge", "a", "b", "--results", "out", "--suite", "mine.yaml", "--offline", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:4] == [
        "mine.yaml: 2 of 3 cell(s) without a score:",
        "  w/p1: ValueError: it broke",
        "  w/p2",
    ]
    assert done.stdout.splitlines()[4].startswith("next: harness run mine.yaml --results out ")
    named = ("--suite", "mine.yaml", "--offline", "--tasks", "p0")
    done = command("merge", "a", "b", "--results", "out", *named, cwd=tmp_path)
    assert done.stdout.splitlines()[1] == "mine.yaml: 0 of 1 cell(s) without a score"
    done = command("merge", "a", "b", "--results", "out", *named, "--limit", "2", cwd=tmp_path)
    assert done.stdout.splitlines()[1] == "mine.yaml: 1 of 1 cell(s) without a score:"


def test_an_interrupted_merge_says_how_it_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 130, no traceback; what was copied is whole (tests/harness/results/test_merge.py)."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    put(tmp_path / "a")
    monkeypatch.setattr("harness.cli.merge.merge_folders", interrupted)
    done = command("merge", "a", "--results", "out", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted: what was copied is whole; the same command goes on from there"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("merge", "none", "--results", "out"), "none: no such folder; give the folder that `harness run --results` "),
        (("merge", "a", "--results", "file"), "--results file: cannot be written (not a folder); give another"),
        (("merge", "a", "--results", "out", "--suite", "none.yaml"), "none.yaml"),
        (
            ("merge", "a", "--results", "out", "--limit", "9"),
            "--limit: is about the cells of --suite SUITE, which is not",
        ),
    ],
)
def test_a_users_mistake_ends_with_2_and_copies_nothing(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A line, and no traceback."""
    put(tmp_path / "a")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()
