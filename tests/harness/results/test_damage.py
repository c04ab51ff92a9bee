"""Files of cells that were lost, cut or changed: said in words, made again, never counted in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_support import make_folder, noisy, put, spearman
from suites_support import Command

from harness.errors import InputError
from harness.plan.cells import Cell
from harness.plan.planner import make_plan
from harness.results import damage
from harness.results.outcome import needs_work, outcome_of
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models with scores and items of two tasks each."""
    monkeypatch.chdir(tmp_path)
    damage._say.cache_clear()
    make_folder(tmp_path)
    for model, seed in (("base", 1), ("new", 2)):
        for task in ("pairs-a", "pairs-b"):
            items = noisy(seed, 1.0)
            put(tmp_path, f"{model}/{task}", spearman(items), items=items, n=200)
    return tmp_path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`harness` in this process."""
    return Command(monkeypatch, capsys)


def cells(folder: Path) -> dict[str, Cell]:
    """Return the cells of the suite by name."""
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    return {str(cell): cell for cell in plan.cells}


def file_of(folder: Path, name: str, suffix: str) -> Path:
    """Return a file of a cell."""
    cell = cells(folder)[name]
    return folder / "results" / "cells" / cell.task.name / f"{cell.key}.{suffix}"


def remove(path: Path) -> None:
    """As where a folder was copied in part."""
    path.unlink()


def cut(path: Path) -> None:
    """As where a copy broke off."""
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    """As a crash of the machine may leave a file."""
    path.write_bytes(b"")


def in_the_way(path: Path) -> None:
    """A folder of that name."""
    path.unlink()
    path.mkdir()


def retyped(path: Path) -> None:
    """JSON of a number that is none."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"score": "55"}), encoding="utf-8")


def of_another(path: Path) -> None:
    """The record of another cell under this one's name."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"key": "0" * 20}), encoding="utf-8")


def not_text(path: Path) -> None:
    """Bytes of something else."""
    path.write_bytes(b"\x93NUMPY\x01\x00\xff")


def a_list(path: Path) -> None:
    """JSON, and no record."""
    path.write_text("[[]]", encoding="utf-8")


LOSSES = (remove, cut, empty, in_the_way)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_score_without_its_items_stands_and_is_run_again(folder: Path, loss: Callable[[Path], None]) -> None:
    """It is read as a score that has none, with the reason."""
    loss(file_of(folder, "base/pairs-a", "parquet"))
    cell, store = cells(folder)["base/pairs-a"], Store(folder / "results")
    found = damage.read(cell, store)
    assert isinstance(found, Score)
    assert (found.items, found.items_missing is not None) == (None, True)
    assert needs_work(cell, store)
    assert [name for name, one in cells(folder).items() if damage.damage(one, store)] == ["base/pairs-a"]


@pytest.mark.parametrize("loss", [remove, cut])
def test_the_report_says_which_items_are_lost(
    folder: Path, command: Command, caplog: pytest.LogCaptureFixture, loss: Callable[[Path], None]
) -> None:
    """Under Remarks, and once as a warning; the other cells keep their differences."""
    loss(file_of(folder, "new/pairs-b", "parquet"))
    done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = "new/pairs-b: the per-item results are lost ("
    text = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert said in text[text.index("Remarks") :]
    assert caplog.text.count(said) == 1


def test_a_comparison_says_what_is_lost_and_has_no_interval_for_it(
    folder: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is the difference without one kept for when the items are there again."""
    path = file_of(folder, "new/pairs-b", "parquet")
    content = path.read_bytes()
    cut(path)
    for more in ((), ("--suite", "mine.yaml", "--offline")):
        damage._say.cache_clear()
        done = command("compare", "base", "new", *more, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "new/pairs-b: the per-item results are lost" in caplog.text
        caplog.clear()
        rows = {row["name"]: row for row in json.loads(done.stdout)["rows"] if row["level"] == "task"}
        assert [rows[name]["difference"]["low"] is None for name in ("pairs-a", "pairs-b")] == [False, True]
    path.write_bytes(content)
    done = command("compare", "base", "new", "--json", cwd=folder)
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"] if row["level"] == "task"}
    assert rows["pairs-b"]["difference"]["low"] is not None


@pytest.mark.parametrize("loss", [cut, empty, in_the_way, retyped, of_another, not_text, a_list])
def test_a_record_that_is_none_is_an_error_of_its_cell_alone(folder: Path, loss: Callable[[Path], None]) -> None:
    """It is no score, and a run would make it again."""
    loss(file_of(folder, "base/pairs-a", "json"))
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    outcome = outcome_of(plan, Store(folder / "results"))
    assert {name: type(one) for name, one in outcome.results.items()} == {
        "base/pairs-a": Failure,
        "base/pairs-b": Score,
        "new/pairs-a": Score,
        "new/pairs-b": Score,
    }
    assert "not a result record" in str(getattr(outcome.results["base/pairs-a"], "message", ""))
    assert needs_work(cells(folder)["base/pairs-a"], Store(folder / "results"))


@pytest.mark.parametrize("loss", [cut, in_the_way, of_another])
def test_every_command_says_that_a_record_is_none(folder: Path, command: Command, loss: Callable[[Path], None]) -> None:
    """The report has the others and ends with 3; what needs every record names it and ends with 2."""
    loss(file_of(folder, "base/pairs-a", "json"))
    if loss is cut:  # what draws figures is slow
        done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
        assert done.returncode == 3
        assert "not a result record" in (folder / "out" / "report.md").read_text(encoding="utf-8")
    for arguments in (("plan", "mine.yaml", "--offline"), ("ls", "mine.yaml", "--offline")):
        assert "error" in command(*arguments, cwd=folder).stdout
    for arguments in (("compare", "base", "new"), ("inspect", "new/pairs-a")):
        done = command(*arguments, cwd=folder)
        assert done.returncode == 2
        assert "not a result record" in done.stderr


def test_inspect_says_what_is_lost(folder: Path, command: Command) -> None:
    """The record is shown all the same."""
    remove(file_of(folder, "base/pairs-a", "parquet"))
    done = command("inspect", "base/pairs-a", "--items", "2", cwd=folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["task"] == "pairs-a"
    assert "base/pairs-a: the per-item results are lost" in done.stderr


def test_rationales_that_are_lost_are_said_and_the_items_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample to read is worth a remark, not the interval."""
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path)
    store, cell = Store(tmp_path / "results"), cells(tmp_path)["base/pairs-a"]
    about = store.put_side(cell.task.name, str(cell.key), "rationales.json.gz", b"content")
    items = noisy(1, 1.0)
    put(tmp_path, "base/pairs-a", 50.0, items=items, provenance={"rationale_samples": about})
    (tmp_path / "results" / "cells" / cell.task.name / about["name"]).write_bytes(b"other")
    found = damage.read(cell, store)
    assert isinstance(found, Score)
    assert (found.items is None, "rationale_samples" in found.provenance) == (False, False)
    assert "the rationales to read are lost" in found.provenance["lost"]


def test_a_note_of_a_name_that_is_damaged_is_left_out_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names beside the record's own are a convenience of those who look."""
    note = folder / "results" / "names" / "pairs-a" / "x.json"
    note.parent.mkdir(parents=True)
    note.write_text("{", encoding="utf-8")
    assert Store(folder / "results").other_names() == {}
    assert str(note) in caplog.text


def test_reading_a_damaged_record_by_itself_is_an_error_in_words(folder: Path) -> None:
    """For whoever reads a store without a plan."""
    path = file_of(folder, "base/pairs-a", "json")
    cut(path)
    with pytest.raises(InputError, match="not a result record"):
        Store(folder / "results").get("pairs-a", path.name.split(".")[0])
