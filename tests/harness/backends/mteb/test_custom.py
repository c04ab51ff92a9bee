"""Own files as mteb tasks: what mteb's own classes make of them is the truth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cells_support import HashEncoder

from harness.backends.interface import Job, Outcome
from harness.backends.mteb.custom import make_custom_task
from harness.backends.mteb.evaluate import evaluate
from harness.encoders.checked import CheckedEncoder
from harness.plan.planner import make_plan
from harness.sources.places import Located, Sources
from harness.suite.schema import Suite
from harness.suite.task_entries import CustomRef


def write(folder: Path, tables: dict[str, list[dict[str, Any]]]) -> Path:
    """Write a file of JSON lines a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in tables.items():
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def outcome_of(entry: dict[str, Any], tmp: Path) -> Outcome:
    """Evaluate the one cell of a custom task."""
    suite = {"version": 1, "name": "s", "models": [{"name": "m", "encoder": "some-package"}]}
    plan = make_plan(Suite.model_validate(suite | {"tasks": {"custom": [entry]}}), Sources(offline=True))
    (cell,), (place,) = plan.cells, plan.datasets.values()
    assert isinstance(place, Located)
    job = Job(cell=cell, data={cell.task.name: place}, seed=0, fingerprint="f" * 64, native_folder=tmp / "native")
    return evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))


def labels(**counts: int) -> list[dict[str, Any]]:
    """Return so many texts of each label."""
    return [{"text": f"{label} {i}", "label": label} for label, count in counts.items() for i in range(count)]


def test_a_rare_label_takes_no_training_texts_from_the_others(tmp_path: Path) -> None:
    """Sampled as mteb samples where nobody sets its limit: eight of each label, and all of one with fewer."""
    from mteb.abstasks import AbsTaskClassification

    folder = write(tmp_path, {"train": labels(a=12, b=9, c=1, d=8), "test": labels(a=1)})
    task = make_custom_task(CustomRef(name="mine", type="Classification", path=str(folder)))
    task.load_data()
    assert task.samples_per_label == AbsTaskClassification.samples_per_label == 8
    sampled = task._undersample_data(task.dataset["train"], 0)[0]
    assert sorted(Counter(sampled["label"]).values()) == [1, 8, 8, 8]


def key_of(folder: Path) -> str:
    """Return the key of the classification over `folder`."""
    entry = {"name": "mine", "type": "Classification", "path": str(folder)}
    suite = {"version": 1, "name": "s", "models": [{"name": "m", "encoder": "tf-idf"}], "tasks": {"custom": [entry]}}
    (cell,) = make_plan(Suite.model_validate(suite), Sources(offline=True)).cells
    return str(cell.task.custom_settings)


@pytest.mark.parametrize(
    ("counts", "is_new"), [({"a": 8, "b": 20}, False), ({"a": 3, "b": 3}, False), ({"a": 3, "b": 4}, True)]
)
def test_only_cells_whose_sample_changed_have_another_key(tmp_path: Path, counts: dict[str, int], is_new: bool) -> None:
    """Where every label gives as many texts as before, the key is as it was."""
    folder = write(tmp_path, {"train": labels(**counts), "test": labels(a=1)})
    assert ("samples_per_label" in key_of(folder)) == is_new


def test_the_document_of_a_querys_own_id_can_be_left_out(tmp_path: Path) -> None:
    """mteb's own switch: the query's text stands among the documents, and without it the relevant one is first."""
    documents = {"q": "sea wave", "d": "sea wave boat", "e": "oven"}
    tables = {
        "corpus": [{"_id": name, "text": text} for name, text in documents.items()],
        "queries": [{"_id": "q", "text": "sea wave"}],
        "qrels": [{"query-id": "q", "corpus-id": "d", "score": 1}],
    }
    entry = {"name": "mine", "type": "Retrieval", "path": str(write(tmp_path, tables))}
    with_itself = outcome_of(entry, tmp_path)
    without = outcome_of(entry | {"ignore_identical_ids": True}, tmp_path)
    assert with_itself.items.to_pylist()[0]["top_documents"][0] == "q"
    assert without.items.to_pylist()[0]["top_documents"][0] == "d"
    assert (with_itself.score < 100, without.score) == (True, 100)


def summaries(*rows: tuple[list[str], list[float]]) -> list[dict[str, Any]]:
    """Return documents with machine summaries and ratings, and one human summary."""
    fixed = {"text": "t", "human_summaries": ["sea wave boat gull"]}
    return [{**fixed, "machine_summaries": machine, "relevance": ratings} for machine, ratings in rows]


def test_documents_that_mteb_leaves_out_are_named(tmp_path: Path) -> None:
    """By their place, also where another document has the same ratings, and with why."""
    rows = summaries((["sea", "sea"], [1, 2]), (["sea", "soup"], [1, 2]), (["oven", "oven"], [2, 1]))
    entry = {"name": "mine", "type": "Summarization", "path": str(write(tmp_path, {"test": rows}))}
    found = outcome_of(entry, tmp_path)
    assert found.n == 1
    assert [row["item"] for row in found.items.to_pylist()] == [1]
    left_out = {"items": [0, 2], "of": 3, "unit": "document", "why": "all similarities equal"}
    assert found.facts["left_out"] == {"mine test/default": left_out}
