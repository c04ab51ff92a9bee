"""`harness doctor` names the folders that cannot be written, and the variable or flag that names another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites_support import Command, suite_file

from harness.provision.folders import folder_checks
from harness.sources.places import Sources


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every folder can be written; `file` is one that nothing can be made below."""
    for name in ("HARNESS_CACHE", "HF_HUB_CACHE", "MTEB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "file").write_text("x", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["HARNESS_CACHE", "HF_HUB_CACHE", "TMPDIR"])
def test_a_folder_that_is_needed_is_unwritable(there: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With the reason and the variable; the others are not named, and nothing is left anywhere."""
    assert folder_checks(Sources(), there / "results") == []
    monkeypatch.setenv(name, str(there / "file" / "below"))
    (found,) = folder_checks(Sources(), there / "results")
    assert found.status == "unwritable"
    assert found.detail == f"{there / 'file' / 'below'}: cannot be written (not a folder)"
    assert name in (found.step or "")
    assert [one.name for one in there.iterdir()] == ["file"]


def test_the_hub_cache_is_of_no_use_where_nothing_is_downloaded(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others made for all to read is none to complain of."""
    monkeypatch.setenv("HF_HUB_CACHE", str(there / "file"))
    assert folder_checks(Sources(offline=True), None) == folder_checks(Sources(hub=there), None) == []
    assert len(folder_checks(Sources(), None)) == 1


@pytest.mark.parametrize("name", ["MTEB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE"])
def test_an_engines_cache_is_said_and_ends_nothing(there: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A run keeps one beside its results."""
    monkeypatch.setenv(name, str(there / "file" / "below"))
    (found,) = folder_checks(Sources(), None)
    assert (found.status, name in (found.step or "")) == ("ok", True)


@pytest.mark.parametrize("below", [None, "locks", "cells"])
def test_results_are_tried_down_to_the_locks(there: Path, below: str | None) -> None:
    """The folder itself, and those in it that runs made."""
    results = there / "results"
    if below:
        results.mkdir()
        (results / below).write_text("x", encoding="utf-8")
    else:
        results = there / "file"
    (found,) = folder_checks(Sources(), results)
    assert found.detail.startswith(f"{results / (below or '')}: cannot be written (")
    assert found.step == "give --results another folder"


def test_doctor_ends_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command, beside all that it looks at otherwise."""
    suite_file(tmp_path, "models: [{name: words, encoder: tf-idf}]\ntasks: {embedding: {names: [STS12]}}\n")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    command = Command(monkeypatch, capsys)
    done = command("doctor", "mine.yaml", "--offline", "--results", "file", "--json", cwd=tmp_path)
    assert done.returncode == 4
    found = [one for one in json.loads(done.stdout)["checks"] if one["status"] == "unwritable"]
    assert [one["what"] for one in found] == ["folder of results"]
