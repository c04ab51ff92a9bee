"""What must be there when a task's data are loaded, and how many items that is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from local_hub import write_hub, write_repository
from suites_support import isolate, planned, write
from typer.testing import CliRunner

from harness.cli.app import app
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.provision.counting import off_count
from harness.provision.doctor import examine
from harness.provision.wanted import needs_of
from harness.results.facts import facts_of
from harness.results.records import Failure, Score
from harness.sources import locate
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.summary.build import summarise

SUITE = "version: 1\nname: s\nmodels: [{name: m, encoder: tf-idf}]\ntasks: {embedding: {names: [NAMES]}}\n"


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The invented hub."""
    return write_hub(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def hub(tmp_path, monkeypatch, whole) -> Path:
    """A copy of the invented hub that a test may break, and caches of its own."""
    isolate(monkeypatch, tmp_path / "caches")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "rows-cache")
    shutil.copytree(whole, tmp_path / "hub")
    return tmp_path / "hub"


def result(hub: Path, name: str) -> Score | Failure:
    """Run one task and return its record."""
    suite = load_suite(write(hub.parent / "s.yaml", SUITE.replace("NAMES", name))).suite
    options = RunOptions(results=hub.parent / "results", sources=Sources(hub=hub, offline=True))
    return run(suite, options).results[f"m/{name}"]


def without_config(hub: Path) -> str:
    """Take `top_ranked` out of the README, as a copy of an older revision has it."""
    readme = hub / "datasets/mteb/AskUbuntuDupQuestions/README.md"
    text = readme.read_text(encoding="utf-8")
    head, _, tail = text.partition("- config_name: top_ranked\n")
    readme.write_text(head + tail[tail.index("---") :], encoding="utf-8")
    return "has no config 'top_ranked'"


def without_file(hub: Path) -> str:
    """Remove the file and keep the config."""
    shutil.rmtree(hub / "datasets/mteb/AskUbuntuDupQuestions/top_ranked")
    return "has none of the files of config 'top_ranked'"


@pytest.mark.parametrize("broken", [without_config, without_file])
def test_a_reranking_task_without_candidates_is_a_gap(hub, broken: Callable[[Path], str]):
    """For `plan`, `run` and `doctor` alike: what is missing is named, and nothing is scored as retrieval."""
    said = broken(hub)
    body = SUITE.replace("NAMES", "AskUbuntuDupQuestions").partition("name: s\n")[2]
    (cell,) = planned(hub.parent, body, hub=hub).cells
    assert cell.state == "missing"
    assert said in str(cell.reason)
    assert "scored as retrieval" in str(cell.reason)


def test_candidates_that_a_plan_cannot_see_are_refused_when_they_are_loaded(hub, monkeypatch):
    """Of a repository on the hub the plan knows the commit alone."""
    without_config(hub)
    monkeypatch.setattr(locate, "_without_candidates", lambda *_: None)
    failure = result(hub, "AskUbuntuDupQuestions")
    assert isinstance(failure, Failure)
    assert "AskUbuntuDupQuestions test/default: no candidates (`top_ranked`)" in failure.message


def test_a_missing_split_is_named_where_no_readme_says_so(hub, monkeypatch):
    """By plan, run and doctor, with the files that are there; and by the cell where a plan could not see it."""
    folder = hub / "datasets/mteb/biosses-sts"
    shutil.rmtree(folder)
    write(folder / "validation.jsonl", json.dumps({"sentence1": "a", "sentence2": "b", "score": 1.0}) + "\n")
    body = SUITE.replace("NAMES", "BIOSSES").partition("name: s\n")[2]
    (cell,) = planned(hub.parent, body, hub=hub).cells
    assert "has no file of split 'test'; it has: validation.jsonl" in str(cell.reason)
    monkeypatch.setattr(locate, "_without_split", lambda *_: None)
    failure = result(hub, "BIOSSES")
    assert isinstance(failure, Failure)
    assert "no split 'test'" in failure.message


@pytest.mark.parametrize("paths", [["data/test-00000-of-00001.parquet"], ["rows.jsonl"], ["a/TEST.csv", "train.csv"]])
def test_files_that_may_hold_the_split_are_no_gap(hub, paths):
    """A name that says nothing is left to the datasets library."""
    folder = hub / "datasets/mteb/biosses-sts"
    shutil.rmtree(folder)
    for path in paths:
        write(folder / path, "x")
    body = SUITE.replace("NAMES", "BIOSSES").partition("name: s\n")[2]
    assert planned(hub.parent, body, hub=hub).cells[0].state == "to run"


OFF = {
    "BIOSSES": (40, 100),
    "AskUbuntuDupQuestions": (12, 361),
    "TwitterSemEval2015": (36, 16777),
    "Banking77Classification": (44, 3080),
    "SummEval": (8, 100),
    "TwentyNewsgroupsClustering": (356, 59545),
}
"""Task -> items of the invented hub, and those of MTEB's own data, by mteb's descriptive statistics."""
OFF_DOCUMENTS = {"AskUbuntuDupQuestions": (96, 7220)}
"""The same of documents; of tasks that rank none there is nothing to say."""


def said_of(name: str) -> str:
    """Return in what the invented data of a task are of another size."""
    counts = [(*OFF[name], "items")] + [(*both, "documents") for both in [OFF_DOCUMENTS.get(name)] if both]
    return " and ".join(f"{here:,} of {known:,} {what}" for here, known, what in counts)


@pytest.mark.parametrize("name", OFF)
def test_a_copy_of_another_size_is_said_to_be_one(hub, name):
    """In the record and in the report's remarks; a score over 40 of 100 pairs is not BIOSSES."""
    score = result(hub, name)
    assert isinstance(score, Score), score.traceback
    assert list(facts_of(score).off_count.values()) == [list(OFF[name])]
    suite = load_suite(hub.parent / "s.yaml").suite
    plan = planned(hub.parent, SUITE.replace("NAMES", name).partition("name: s\n")[2], hub=hub)
    assert suite.name
    summary = summarise(plan, {f"m/{name}": score})
    assert f"{name}: {said_of(name)}: not the data that published figures are over" in summary.warnings
    assert summary.off_count == (name,)
    assert summary.off_count_said.startswith("1 of 1 task(s) are over other numbers of items")


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_a_corpus_that_was_cut_is_said_to_be_one(hub, ending):
    """All 300 queries of SciFact are there with the documents that answer them, and 20 of 5,183 documents."""
    documents = [{"_id": f"d{n}", "title": "", "text": f"about {n}"} for n in range(20)]
    queries = [{"_id": f"q{n}", "text": f"which is about {n % 20}"} for n in range(300)]
    judged = [{"query-id": f"q{n}", "corpus-id": f"d{n % 20}", "score": 1.0} for n in range(300)]
    shutil.rmtree(hub / "datasets/mteb/scifact", ignore_errors=True)
    configs = {"corpus/corpus": documents, "queries/queries": queries, "default/test": judged}
    write_repository(hub, "mteb/scifact", {name: (ending, rows) for name, rows in configs.items()})
    score = result(hub, "SciFact")
    assert isinstance(score, Score), score.traceback
    assert facts_of(score).off_count == {}
    assert facts_of(score).off_documents == {"SciFact test/default": [20, 5183]}
    plan = planned(hub.parent, SUITE.replace("NAMES", "SciFact").partition("name: s\n")[2], hub=hub)
    summary = summarise(plan, {"m/SciFact": score})
    assert "SciFact: 20 of 5,183 documents: not the data that published figures are over" in summary.warnings
    assert summary.off_count == ("SciFact",)
    (wanted,) = needs_of(
        planned(hub.parent, SUITE.replace("NAMES", "SciFact").partition("name: s\n")[2], offline=False)
    ).repositories
    assert off_count(hub / "datasets/mteb/scifact", wanted.reads[0].known) == "20 of 5,183 documents"


def test_a_copy_of_the_known_size_is_not_remarked(hub):
    """100 pairs are BIOSSES, whatever they say."""
    rows = [{"sentence1": f"a {n}", "sentence2": f"b {n % 7}", "score": float(n % 5)} for n in range(100)]
    write_repository(hub, "mteb/biosses-sts", {"default/test": (".jsonl", rows)})
    score = result(hub, "BIOSSES")
    assert isinstance(score, Score)
    assert facts_of(score).off_count == {}
    plan = planned(hub.parent, SUITE.replace("NAMES", "BIOSSES").partition("name: s\n")[2], hub=hub)
    assert summarise(plan, {"m/BIOSSES": score}).off_count_said is None


@pytest.mark.parametrize("name", OFF)
def test_doctor_counts_the_same_without_converting_anything(hub, name):
    """From the files: judged queries, rows, lists in one row, texts in sets."""
    body = SUITE.replace("NAMES", name).partition("name: s\n")[2]
    needs = needs_of(planned(hub.parent, body, offline=False))
    (wanted,) = needs.repositories
    assert off_count(hub / "datasets" / wanted.repo, wanted.reads[0].known) == said_of(name)
    assert not list((hub.parent / "rows-cache").rglob("*.arrow"))


def test_queries_that_lack_candidates_are_refused_by_doctor_and_run(hub):
    """mteb leaves such a query out of the mean without a word; each is counted, and the first is named."""
    file = next((hub / "datasets/mteb/AskUbuntuDupQuestions/top_ranked").iterdir())
    rows = pq.read_table(file)
    left = rows.slice(0, 9)
    pq.write_table(left, file)
    lost = sorted(set(rows["query-id"].to_pylist()) - set(left["query-id"].to_pylist()))
    failure = result(hub, "AskUbuntuDupQuestions")
    assert isinstance(failure, Failure)
    assert "3 of 12 judged queries have no candidates (`top_ranked`), the first 'q" in failure.message
    body = SUITE.replace("NAMES", "AskUbuntuDupQuestions").partition("name: s\n")[2]
    needs = needs_of(planned(hub.parent, body, offline=False))
    (check,) = examine(needs, Sources(hub=hub, offline=True), fetch_command="fetch")
    assert check.status == "unreadable"
    assert f"3 of 12 judged queries have no candidates, the first {lost[0]!r}" in check.detail


def test_doctor_calls_a_copy_of_another_size_neither_complete_nor_ok(hub):
    """It says both numbers and what to do, and ends as where something is missing."""
    write(hub.parent / "s.yaml", SUITE.replace("NAMES", "BIOSSES, AskUbuntuDupQuestions"))
    done = CliRunner().invoke(app, ["doctor", str(hub.parent / "s.yaml"), "--hub", str(hub), "--offline"])
    assert done.exit_code == 4
    (line,) = [one for one in done.output.splitlines() if " dataset mteb/biosses-sts " in one]
    assert line.startswith("wrong size dataset mteb/biosses-sts")
    assert "40 of 100 items: not the data that published figures are over" in line
    assert "not complete: 2 wrong size" in done.output
