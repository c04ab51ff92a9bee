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


@pytest.mark.parametrize("other", ["./runs/../runs/a", "HERE/runs/a", "link/a"])
def test_a_directory_is_one_however_it_is_spelt(tmp_path, monkeypatch, other):
    """Two ways to train it are refused, and an entry without a configuration has that of the other spelling."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to("runs")
    spelt = other.replace("HERE", str(tmp_path))
    first = "models: [{name: a, candidate: runs/a, config: smoke}, "
    with pytest.raises(InputError, match=r"is trained once, and model 'a' says another"):
        loaded(tmp_path, f"{first}{{name: b, candidate: {spelt}, config: smoke, train: {{seed: 5}}}}]\n{TASKS}")
    _, b = loaded(tmp_path, f"{first}{{name: b, candidate: {spelt}, kind: rationale}}]\n{TASKS}").suite.models
    assert b.config == "smoke"


MIXED = "train: {optimiser: {weight_decay: 0.0}, optimiser.lr: 0.02}\n"
ONE = "models: [{name: a, candidate: runs/a, config: smoke}]\n"


def told(folder, body, *overrides):
    """Return what the first candidate of a suite is told."""
    return loaded(folder, body + TASKS, overrides=overrides).suite.models[0].train


@pytest.mark.parametrize("said", ["optimiser.lr=0.0007", "optimiser={lr: 0.0007, weight_decay: 0.0}"])
@pytest.mark.parametrize("train", [MIXED, "train: {optimiser.lr: 0.02, optimiser: {weight_decay: 0.0}}\n"])
def test_the_command_line_wins_however_the_suite_spells_a_key(tmp_path, train, said):
    """Dotted and nested keys stand beside each other; of the suite, of an entry, and of a whole `train` before it."""
    wanted = {"optimiser.weight_decay": 0.0, "optimiser.lr": 0.0007}
    own = f"models: [{{name: a, candidate: runs/a, config: smoke, {train.strip()}}}]\n"
    assert told(tmp_path, train + ONE, f"train.{said}") == wanted
    assert told(tmp_path, own, f"models.a.train.{said}") == wanted
    assert told(tmp_path, own, f"models.0.train.{said}") == wanted
    whole = "train={optimiser: {weight_decay: 0.0}, optimiser.lr: 1}"
    assert told(tmp_path, ONE, whole, f"train.{said}") == wanted
    assert told(tmp_path, own, f"models.a.{whole}", f"models.a.train.{said}") == wanted


SPELT = ("{data: {path: %s}}", "{data.path: %s}")


@pytest.mark.parametrize("base", SPELT)
@pytest.mark.parametrize("top", SPELT)
def test_the_later_file_wins_however_each_spells_a_key(tmp_path, base, top):
    """By `extends`, for the suite and for an entry, and by `include`, whose entry wins over what its suite tells."""
    write(tmp_path / "base.yaml", f"version: 1\nname: base\ntrain: {base % 'x'}\n{ONE}")
    mine, both = str(tmp_path / "mine"), f"extends: base.yaml\ntrain: {top % 'mine'}\n"
    assert told(tmp_path, both) == {"data.path": mine}
    assert told(tmp_path, both, "train.data.path=other") == {"data.path": "other"}
    entry = "[{name: a, candidate: runs/a, config: smoke, train: %s}]\n"
    write(tmp_path / "base.yaml", f"version: 1\nname: base\ntrain: {base % 'y'}\nmodels: {entry % (top % 'x')}")
    assert told(tmp_path, "include: base.yaml\n") == {"data.path": str(tmp_path / "x")}
    laid_over = f"models: {entry % (base % 'mine')}"
    assert told(tmp_path, f"extends: base.yaml\n{laid_over}") == {"data.path": mine}
    assert told(tmp_path, f"include: base.yaml\n{laid_over}", "models.a.train.data.path=o") == {"data.path": "o"}


def test_one_key_in_two_spellings_of_one_mapping_is_refused(tmp_path):
    """All of them with both positions; one beside what lies below it too, and on the command line."""
    body = (
        "train: {optimiser: {lr: 1}, optimiser.lr: 1}\n"
        "models:\n"
        "  - {name: a, candidate: runs/a, config: smoke, train: {adapter: null, adapter.r: 2}}\n"
    )
    of_override = "models.a.train.data={columns.text: a, columns: {text: b}}"
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, body + TASKS, overrides=(of_override,))
    of_line, of_suite, of_entry = (one.replace(f"{tmp_path}/", "") for one in caught.value.problems)
    twice = "is said in two spellings; the first is at"
    assert of_line.startswith(f"-o {of_override}: train.data.columns.text {twice}")
    assert of_suite == f"mine.yaml:3:29: train.optimiser.lr {twice} mine.yaml:3:21; take one of them out"
    assert of_entry == f"mine.yaml:5:72: train.adapter {twice} mine.yaml:5:57; take one of them out"
