"""Which trainings are wanted, and in which order: asked of a stand-in for grace."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import dataset_head, loaded, write
from training_support import use_stand_in

from harness.errors import EnvironmentGapError, InputError
from harness.plan.planner import make_plan
from harness.provision.wanted import needs_of
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.training.asked import ask, shown_command, untrained
from harness.training.lacking import lacking_of, refuse_faulty
from harness.training.order import to_train

TASKS = "tasks: {embedding: {names: [BIOSSES]}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    write(tmp_path / "model" / "config.json", "{}")
    use_stand_in(monkeypatch, tmp_path, tmp_path / "model")


def suite(*entries: str):
    """Return a suite of these candidates."""
    return loaded(Path.cwd(), f"models: [{', '.join('{' + one + '}' for one in entries)}]\n{TASKS}").suite


def test_a_teacher_comes_before_whoever_learns_from_it():
    """By its directory, or by its name in the suite; whatever the order of the entries."""
    found = to_train(
        suite(
            "name: s, candidate: runs/s, config: c, train: {teacher: runs/t}",
            "name: u, candidate: runs/u, config: c, train: {teacher: 'mine.yaml:s'}",
            "name: t, candidate: runs/t, config: c",
            "name: v, candidate: runs/v, config: c, train: {teacher: '{encoder: mean-pool, model: x/y}'}",
        )
    )
    assert [one.directory for one in found] == ["runs/t", "runs/s", "runs/u", "runs/v"]
    assert [one.teacher_path for one in found] == [None, Path("runs/t").resolve(), Path("runs/s").resolve(), None]


def test_a_teacher_is_known_by_its_suites_file_and_by_its_directory(tmp_path):
    """Whatever the suite calls itself; of another suite that makes the same directory; in braces; not of a namesake."""
    entries = [
        "name: s, candidate: runs/s, config: c, train: {teacher: 'file.yaml:t'}",
        "name: u, candidate: runs/u, config: c, train: {teacher: 'other.yaml:theirs'}",
        "name: v, candidate: runs/v, config: c, train: {teacher: '{candidate: runs/t}'}",
        "name: t, candidate: runs/t, config: c",
    ]
    write(tmp_path / "other.yaml", "version: 1\nname: file\nmodels: [{name: theirs, candidate: ./runs/t}]\n")
    body = f"version: 1\nname: called-otherwise\nmodels: [{', '.join('{' + one + '}' for one in entries)}]\n{TASKS}"
    found = to_train(load_suite(write(tmp_path / "file.yaml", body)).suite)
    assert [one.directory for one in found] == ["runs/t", "runs/s", "runs/u", "runs/v"]


WRITTEN_FOR = (
    "name: s, candidate: runs/s, config: c, train: {teacher: 'mine.yaml:t'}",
    "name: t, candidate: runs/t, config: c, kind: rationale, writer: w",
    "name: w, candidate: runs/w, config: c, kind: rationale, train: {teacher: 'mine.yaml:e'}",
    "name: e, encoder: rationale, model: ./model, writer: x",
    "name: x, candidate: runs/x, config: c, kind: rationale",
)


def test_whoever_writes_for_a_teacher_comes_first_too():
    """With all that they want in their turn; also of some models alone, and of a teacher that is not trained here."""
    order = ["runs/t", "runs/x", "runs/w", "runs/s"]
    assert [one.directory for one in to_train(suite(*WRITTEN_FOR))] == order
    assert [one.directory for one in to_train(suite(*WRITTEN_FOR), ["s"])] == order
    assert [one.directory for one in to_train(suite(*WRITTEN_FOR), ["t"])] == ["runs/t", "runs/x", "runs/w"]
    assert [one.directory for one in to_train(suite(*WRITTEN_FOR), ["e"])] == ["runs/x"]
    both = suite(*WRITTEN_FOR[:4], "name: x, candidate: runs/x, config: c, train: {teacher: runs/w}, kind: rationale")
    with pytest.raises(InputError, match=r"wait for each other: runs/w -> runs/x -> runs/w"):
        to_train(both)


def test_a_teacher_of_a_suite_that_is_not_there_is_said_before_anything_is_trained():
    """No such suite, no such model of it; a candidate that nobody trains, and whoever would write for it."""
    trainings = to_train(
        suite(
            "name: a, candidate: runs/a, config: c, train: {teacher: 'gone.yaml:m'}",
            "name: b, candidate: runs/b, config: c, train: {teacher: 'mine.yaml:nobody'}",
        )
    )
    with pytest.raises(InputError, match=r"(?s)runs/a: .*gone.yaml: no such file.*runs/b: .*no model 'nobody'"):
        refuse_faulty(trainings)
    trainings = to_train(
        suite(
            "name: a, candidate: runs/a, config: c, train: {teacher: 'mine.yaml:t'}",
            "name: t, candidate: runs/t",
            "name: b, candidate: runs/b, config: c, train: {teacher: 'mine.yaml:u'}",
            "name: u, candidate: runs/u, config: c, kind: rationale, writer: t",
            "name: d, candidate: runs/d, config: c, train: {teacher: runs/u}",
            "name: e, candidate: runs/e, config: c, train: {teacher: model}",
        )
    )
    found = lacking_of(trainings, Sources(offline=True))
    assert {name: [gap.what for gap in gaps] for name, gaps in found.items()} == {
        "runs/a": ["teacher 'mine.yaml:t'"],
        "runs/b": ["teacher 'mine.yaml:u'"],
        "runs/e": ["teacher 'model'"],
    }


def test_some_models_want_their_teachers_and_writers_and_nothing_else():
    """What is trained already, or has no configuration, is not wanted either."""
    whole = suite(
        "name: s, candidate: runs/s, config: c, train: {teacher: runs/t}",
        "name: t, candidate: runs/t, config: c",
        "name: r, candidate: runs/r, config: c, kind: rationale, writer: w",
        "name: w, candidate: runs/w, config: c, kind: rationale",
        "name: x, candidate: runs/x, config: c",
        "name: done, candidate: runs/done, config: c",
        "name: other, candidate: runs/other",
    )
    write(Path("runs/done/candidate.yaml"), "")
    assert [one.directory for one in to_train(whole, ["s"])] == ["runs/t", "runs/s"]
    assert [one.directory for one in to_train(whole, ["r"])] == ["runs/r", "runs/w"]
    assert {one.directory for one in to_train(whole)} == {f"runs/{name}" for name in "strwx"}
    with pytest.raises(InputError, match="--models y: no such model"):
        to_train(whole, ["y"])


def test_trainings_that_wait_for_each_other_are_refused():
    """With the circle."""
    both = suite(
        "name: a, candidate: runs/a, config: c, train: {teacher: runs/b}",
        "name: b, candidate: runs/b, config: c, train: {teacher: runs/a}",
    )
    with pytest.raises(InputError, match=r"wait for each other: runs/a -> runs/b -> runs/a"):
        to_train(both)


def test_two_entries_of_a_directory_are_one_training():
    """Named for both, with the command that a user would type."""
    (found,) = untrained(
        suite("name: a, candidate: runs/a, config: trial/infonce, train: {data.path: 'a b.jsonl'}",
              "name: b, candidate: runs/a, kind: rationale")
    )  # fmt: skip
    assert found.models == ("a", "b")
    data = Path("a b.jsonl").resolve()
    assert shown_command(found) == f"grace train trial/infonce --out runs/a -o 'data.path={data}'"
    assert [one.command for one in found.gaps] == [shown_command(found)]


def test_what_is_lacking_is_said_for_each_training():
    """A file, a dataset offline, a base, a teacher that nobody trains; nothing for one that has all."""
    trainings = to_train(
        suite(
            "name: file, candidate: runs/file, config: c, train: {data.path: none.jsonl}",
            "name: set, candidate: runs/set, config: c, train: {data.dataset: no/such}",
            "name: base, candidate: runs/base, config: c, train: {model: no/model}",
            "name: taught, candidate: runs/taught, config: c, train: {teacher: runs/nobody}",
            "name: fine, candidate: runs/fine, config: c",
        )
    )
    found = lacking_of(trainings, Sources(offline=True))
    assert {name: [gap.what for gap in gaps] for name, gaps in found.items()} == {
        "runs/file": ["training data of runs/file"],
        "runs/set": ["dataset no/such"],
        "runs/base": ["model no/model"],
        "runs/taught": ["teacher 'runs/nobody'"],
    }


def test_a_dataset_of_a_local_hub_is_looked_into(tmp_path):
    """Its splits are those the configuration names; `all` names none."""
    folder = tmp_path / "hub" / "datasets" / "my" / "set"
    write(folder / "README.md", dataset_head({"default": {"eli5": "eli5.jsonl", "fever": "fever.jsonl"}}))
    for name in ("eli5", "fever"):
        write(folder / f"{name}.jsonl", "{}\n")
    entry = "name: {name}, candidate: runs/{name}, config: c, train: {{data.dataset: my/set, data.split: {split}}}"
    splits = {"every": "all", "two": "eli5+fever", "none": "train"}
    trainings = to_train(suite(*(entry.format(name=name, split=split) for name, split in splits.items())))
    (found,) = lacking_of(trainings, Sources(hub=tmp_path / "hub", offline=True)).values()
    assert "has no split 'train'" in found[0].why


def test_a_dataset_of_a_folder_is_looked_into_and_never_fetched(tmp_path):
    """From the suite's own folder; what it lacks is said, and what is there is examined as the user's own."""
    write(tmp_path / "rows" / "train.jsonl", "{}\n")
    entry = "name: {name}, candidate: runs/{name}, config: c, train: {{data.dataset: {folder}, data.split: {split}}}"
    told = {"fine": ("rows", "train"), "split": ("./rows", "test"), "gone": ("./gone", "train")}
    whole = suite(*(entry.format(name=name, folder=one, split=split) for name, (one, split) in told.items()))
    trainings = to_train(whole)
    found = lacking_of(trainings, Sources(offline=True))
    assert {name: [gap.why for gap in gaps] for name, gaps in found.items()} == {
        "runs/split": [f"{tmp_path / 'rows'} has no file of split 'test'; it has: train.jsonl"],
        "runs/gone": ["no such folder"],
    }
    own = needs_of(make_plan(whole, Sources()), trainings).own_models
    assert [one.repo for one in own if one.kind == "datasets"] == [str(tmp_path / "rows"), str(tmp_path / "gone")]
    read = {one for each in own for reads in each.reads for one in reads.splits}
    assert read == {"train", "test"}


def test_refused_configurations_are_said_at_once():
    """With the directory they are for."""
    trainings = ask(
        untrained(suite("name: a, candidate: runs/a, config: refused", "name: b, candidate: runs/b, config: refused"))
    )
    with pytest.raises(InputError) as caught:
        refuse_faulty(trainings)
    assert caught.value.problems[:2] == [f"training of runs/{name}: refused:1:1: no texts" for name in "ab"]


def test_a_grace_that_cannot_answer_is_no_traceback(monkeypatch):
    """Say a package that is half there."""
    monkeypatch.setattr("harness.training.asked.grace_command", lambda *_: ["python3", "-c", "import nothing_here"])
    with pytest.raises(EnvironmentGapError, match="nothing_here"):
        ask(untrained(suite("name: a, candidate: runs/a, config: c")))
