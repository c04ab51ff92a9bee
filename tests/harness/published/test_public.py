"""`public:` of a suite: which published models it names, and what is wrong with them, before anything is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites_support import loaded, write

from harness.errors import InputError
from harness.published.public import read_public

TASKS = "tasks: {embedding: {names: [STS12]}}\n"


def tree(folder: Path, *places: str) -> None:
    """Write STS12 of these `ORG__MODEL/REVISION` below `folder/board`."""
    scores = {"test": [{"main_score": 0.5, "cosine_spearman": 0.5, "hf_subset": "default", "languages": ["eng-Latn"]}]}
    for place in places:
        held = {"task_name": "STS12", "mteb_version": "1.0", "dataset_revision": "d", "scores": scores}
        write(folder / "board" / "results" / place / "STS12.json", json.dumps(held))


def test_models_are_read_from_beside_the_suite(tmp_path: Path) -> None:
    """By name, or with a revision where there are several."""
    tree(tmp_path / "suites", "org__one/r1", "org__two/r1", "org__two/r2")
    body = "public: {results: board, models: [org/one, {name: org/two, revision: r2}]}\n" + TASKS
    found = read_public(loaded(tmp_path / "suites", body).suite)
    assert [(one.model, one.revision) for one in found] == [("org/one", "r1"), ("org/two", "r2")]


def test_a_model_of_a_card_with_several_is_read_by_its_name(tmp_path: Path) -> None:
    """Both may stand beside one's own, each with its own rows."""
    entry = "- name: {}\n  results:\n  - {{dataset: {{name: MTEB STS12}}, metrics: [{{type: x, value: {}}}]}}\n"
    head = entry.format("one", 10) + entry.format("org/two", 20)
    write(tmp_path / "board" / "README.md", f"---\nmodel-index:\n{head}---\n")
    found = read_public(loaded(tmp_path, "public: {results: board, models: [org/two, one]}\n" + TASKS).suite)
    assert [(one.model, [row.value for row in one.rows]) for one in found] == [("org/two", [20]), ("one", [10])]


def test_a_suite_without_it_has_none(tmp_path: Path) -> None:
    """As every suite of before."""
    assert read_public(loaded(tmp_path, TASKS).suite) == ()


def test_a_model_that_merely_lies_there_is_not_taken_for_another(tmp_path: Path) -> None:
    """All that is wrong is said at once."""
    tree(tmp_path, "org__one/r1")
    body = "public: {results: board, models: [org/two, {name: org/one, revision: r9}]}\n" + TASKS
    with pytest.raises(InputError) as caught:
        read_public(loaded(tmp_path, body).suite)
    first, second = caught.value.problems
    assert first.endswith("no results of 'org/two'; there is org/one")
    assert second.endswith("no results of org/one at r9; there is r1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("public: {results: board, models: [], x: 1}", "'x'"),
        ("public: {results: board, models: [{name: a, revison: r}]}", "did you mean 'revision'?"),
        ("public: {models: [a]}", "results"),
        ("public: {results: board, models: [org/one, Org/One]}", "public: 'Org/One' is named twice; the first is at"),
        (
            "public: {results: b, models: [{name: a, revision: r}, {name: c, revision: r}, {name: a, revision: r}]}",
            "public: 'a' is named twice; the first is at",
        ),
    ],
)
def test_mistakes_in_it_are_said_with_their_place(tmp_path: Path, body: str, said: str) -> None:
    """Unknown keys, and what is lacking."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, f"{body}\n{TASKS}")
    assert any(said in problem and "mine.yaml:" in problem for problem in caught.value.problems)
