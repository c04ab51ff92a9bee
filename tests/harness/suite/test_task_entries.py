"""Ability tasks in a suite: four kinds of entry, each with its own keys, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suites_support import isolate, loaded

from harness.errors import InputError
from harness.suite.task_entries import ABILITY_KINDS, CatalogueRef, CodeRef, FileRef, NllRef, ability_kind


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A working directory of its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)


def problems(entry: Any) -> list[str]:
    """Return what is said of a suite with this ability task."""
    with pytest.raises(InputError) as caught:
        loaded(Path.cwd(), f"tasks:\n  ability:\n  - {json.dumps(entry)}\n")
    return caught.value.problems


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("mmlu", CatalogueRef),
        ({"name": "mmlu", "subtasks": ["anatomy"]}, CatalogueRef),
        ("humaneval", CodeRef),
        ({"name": "humaneval_instruct", "repeats": 1}, CodeRef),
        ({"name": "own", "file": "own.yaml", "metric": "acc"}, FileRef),
        ({"name": "lm_nll", "file": "own.jsonl", "column": "text"}, NllRef),
        ({"name": "news", "task": "lm_nll", "dataset": "some/news", "column": "text"}, NllRef),
    ],
)
def test_an_entry_is_of_one_kind(entry, kind):
    """By its name, its file or its task; a model made before is known again."""
    (found,) = loaded(Path.cwd(), f"tasks: {{ability: [{json.dumps(entry)}]}}\n").suite.tasks.ability
    assert type(found) is kind
    assert ABILITY_KINDS[ability_kind(found)] is kind


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "mmlu", "column": "x"}, "'column' means nothing for task 'mmlu'; take it out; valid: num_fewshot, "),
        ({"name": "mmlu", "repeats": 2}, "'repeats' means nothing for task 'mmlu'; take it out; valid: num_fewshot, "),
        (
            {"name": "humaneval", "metric": "acc"},
            "'metric' means nothing for task 'humaneval'; take it out; valid: num_fewshot, ",
        ),
        (
            {"name": "own", "file": "own.yaml", "subtasks": ["a"]},
            "'subtasks' means nothing for an lm-eval task file; take it out; valid: num_fewshot, ",
        ),
        (
            {"name": "lm_nll", "file": "x.jsonl", "column": "text", "num_fewshot": 3},
            "'num_fewshot' means nothing for lm_nll; take it out; valid: name, task, file, dataset, config, split, ",
        ),
        ({"name": "mmlu", "num_fewshots": 3}, "unknown key 'num_fewshots'; valid: num_fewshot, "),
        ({"name": "lm_nll", "file": "x.jsonl"}, "tasks.ability.0: missing key 'column', the one that holds the texts"),
        ({"name": "mmlu", "limit": 0}, "tasks.ability.0.limit: expected more than 0, got 0"),
        (
            {"name": "own", "task": "lm_nl", "file": "x.jsonl", "column": "text"},
            "tasks.ability.0.task: 'lm_nl' is not one of lm_nll; did you mean 'lm_nll'?",
        ),
        (["mmlu"], "tasks.ability.0: expected a mapping, got ['mmlu']"),
    ],
)
def test_a_wrong_entry_is_explained_once(entry, message):
    """At its place, with what is valid for its kind."""
    (found,) = problems(entry)
    place, _, said = found.partition(": ")
    assert said.startswith(message)
    assert place.startswith("mine.yaml:5:")


def test_a_near_miss_is_suggested_among_the_kinds_own_keys():
    """The kind is known from the name."""
    assert problems({"name": "humaneval", "repeat": 3})[0].endswith("did you mean 'repeats'?")


def test_of_an_unknown_task_its_name_alone_is_said():
    """Which keys it may have depends on what was meant; a key that no task has is said all the same."""
    (found,) = problems({"name": "humanevl", "repeats": 3, "column": "x"})
    assert "unknown ability task 'humanevl'" in found
    assert "did you mean 'humaneval'" in found
    assert len(problems({"name": "humanevl", "repetitions": 3})) == 2


@pytest.mark.parametrize("name", ["lm_nll", "news"])
def test_a_models_own_settings_of_texts_that_are_read_are_refused(name):
    """Shots or a template of one model change nothing of how it reads texts: its key would differ and nothing else."""
    entry = {"name": name, "task": "lm_nll", "file": "own.jsonl", "column": "text"}
    model = {"name": "m", "encoder": "mean-pool", "model": "weights/m", "ability": {name: {"num_fewshot": 2}}}
    with pytest.raises(InputError) as caught:
        loaded(Path.cwd(), f"models: [{json.dumps(model)}]\ntasks: {{ability: [{json.dumps(entry)}]}}\n")
    (problem,) = caught.value.problems
    assert f"task {name!r} is lm_nll, whose texts every model reads as they are" in problem
