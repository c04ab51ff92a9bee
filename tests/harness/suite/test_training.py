"""What a suite says of training: values spelt as `-o` reads them, files found, one directory trained in one way."""

from __future__ import annotations

import pytest
from suites_support import loaded, write

from harness.errors import InputError
from harness.suite.model_entries import CandidateSpec
from harness.suite.training import flat, overrides_of
from harness.yaml_source import parse

TASKS = "tasks: {embedding: {names: [BIOSSES]}}\n"


@pytest.mark.parametrize(
    "value", ["a.jsonl", "true", "12", " x", "a: b", "", "x #y", "~", 1e-5, 2.5e-4, 1e20, 0.1, 3, True, None, [1, "2"]]
)
def test_a_value_reads_back_as_it_was(value):
    """Text stays text and 1e-05 a number, which YAML 1.1 alone would not have them."""
    spec = CandidateSpec(name="m", candidate="runs/m", config="c", train={"a": {"b": value}})
    (told,) = overrides_of(spec)
    key, _, written = told.partition("=")
    assert (key, parse(written, "x").plain()) == ("a.b", value)


def test_nested_and_dotted_keys_are_one():
    """The later wins."""
    assert flat({"data": {"path": "a", "limit": 3}, "data.path": "b"}) == {"data.path": "b", "data.limit": 3}


def test_a_directory_is_trained_as_one_entry_says_and_all_are_told_what_the_suite_says(tmp_path):
    """An entry's own `train` wins; one without `config` is read from the directory that another makes."""
    models = (
        "train: {seed: 1, steps: 9}\n"
        "models:\n"
        "  - {name: a, candidate: runs/a, config: trial/infonce, train: {steps: 2}}\n"
        "  - {name: b, candidate: runs/a, kind: rationale}\n"
        "  - {name: c, candidate: runs/c}\n"
    )
    found = loaded(tmp_path, models + TASKS, overrides=("models.a.train.batch_size=4",)).suite.models
    assert [(one.config, one.train) for one in found] == [
        ("trial/infonce", {"seed": 1, "steps": 2, "batch_size": 4}),
        ("trial/infonce", {"seed": 1, "steps": 2, "batch_size": 4}),
        (None, {}),
    ]


def test_files_are_found_from_the_suites_own_folder(tmp_path, monkeypatch):
    """Of each file of a chain; on the command line, from the working directory; a shipped name stays one."""
    here, below = tmp_path, tmp_path / "below"
    write(below / "own.yaml", "version: 1\n")
    write(below / "base.yaml", "version: 1\nname: base\nmodels: [{name: a, candidate: runs/a, config: own.yaml, "
          "train: {data: {path: t.jsonl}}}]\n")  # fmt: skip
    monkeypatch.chdir(here)
    body = (
        "extends: below/base.yaml\ntrain: {data.path: u.jsonl}\nmodels: [{name: b, candidate: runs/b, config: smoke}]\n"
    )
    a, b = loaded(here, body + TASKS).suite.models
    assert (a.config, a.train) == (str(below / "own.yaml"), {"data.path": str(below / "t.jsonl")})
    assert (b.config, b.train) == ("smoke", {"data.path": str(here / "u.jsonl")})
    (_, b) = loaded(here, body + TASKS, overrides=("train.data.path=v.jsonl",)).suite.models
    assert b.train == {"data.path": "v.jsonl"}


def test_an_included_suite_brings_what_it_tells_its_candidates(tmp_path):
    """`include` takes models alone, and they are trained as in their own suite; the includer's word is for all."""
    write(
        tmp_path / "theirs.yaml",
        "version: 1\nname: theirs\ntrain: {data: {path: t.jsonl}, seed: 1}\n"
        "models: [{name: a, candidate: ./runs/a, config: smoke, train: {seed: 2}}, {name: b, candidate: runs/a}]\n",
    )
    found = loaded(tmp_path, f"include: theirs.yaml\ntrain: {{steps: 3}}\n{TASKS}").suite.models
    told = {"steps": 3, "data.path": str(tmp_path / "t.jsonl"), "seed": 2}
    assert [(one.config, one.train) for one in found] == [("smoke", told), ("smoke", told)]


def test_two_ways_to_train_one_directory_are_refused(tmp_path):
    """Both problems at once, with their positions."""
    body = (
        "models:\n"
        "  - {name: a, candidate: runs/a, config: x.yaml}\n"
        "  - {name: b, candidate: runs/a, config: y.yaml}\n"
        "  - {name: c, candidate: runs/c, train: {seed: 1}}\n"
    )
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, body + TASKS)
    other, alone = caught.value.problems
    assert "mine.yaml:5:34: candidate 'runs/a' is trained once, and model 'a' says another" in other
    assert "mine.yaml:6:34: train: there is no 'config'" in alone
