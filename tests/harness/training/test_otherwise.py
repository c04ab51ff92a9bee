"""A candidate that was trained from another configuration than its entry names now: said, by key and value."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from suites_support import loaded

from grace.config.load import load_config, to_yaml
from harness.training.otherwise import trained_otherwise

DATA = "data.path=t.jsonl"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations and directories are named from here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"query": "a", "positive": "b", "negative": "c"}\n')


def trained(name: str, *overrides: str) -> None:
    """Leave what a training from `trial/infonce` leaves of what it was told."""
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(load_config("trial/infonce", [DATA, *overrides]).config))
    digest = hashlib.sha256(Path("t.jsonl").read_bytes()).hexdigest()
    identity = f"{{data_identity: {{sha256: {digest}}}}}"
    base = "base: {model: m}\nadapter: adapter\n"
    (folder / "candidate.yaml").write_text(f"version: 1\nkind: mean-pool\n{base}training: {identity}\n")


def suite(*entries: str):
    """Return a suite with these candidates."""
    lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
    return loaded(Path(), f"models:\n{lines}tasks: {{embedding: {{names: [BIOSSES]}}}}\n").suite


def entry(name: str, told: str = "data.path: t.jsonl") -> str:
    """Return a candidate's entry."""
    return f"name: {name}, candidate: runs/{name}, config: trial/infonce, train: {{{told}}}"


def test_it_is_named_with_what_differs():
    """What was, what is asked for now, and that the directory is judged."""
    trained("a", "steps=9", "infonce.temperature=0.1")
    (line,) = trained_otherwise(suite(entry("a", "data.path: t.jsonl, steps: 5")))
    assert line == (
        "a: runs/a was not trained as trial/infonce says now: steps is 5 there, 9 in its training; "
        "infonce.temperature is 0.05 there, 0.1 in its training; what is judged is what is in the directory"
    )


def test_what_is_as_it_was_is_not_told():
    """Nor is what moves no weight, a directory that is not trained, and one without its configuration."""
    trained("a")
    trained("b", "description=another", "checkpoint_every=7", "candidate.selected_on=STSBenchmark")
    trained("c", "steps=9")
    Path("runs/c/config.yaml").unlink()
    assert trained_otherwise(suite(*map(entry, "abcd"))) == ()


def test_data_are_told_by_content():
    """The same rows elsewhere are the same; a file of that name with others is named."""
    trained("a")
    Path("copy.jsonl").write_text(Path("t.jsonl").read_text())
    Path("other.jsonl").write_text('{"query": "a", "positive": "b", "negative": "d"}\n')
    assert trained_otherwise(suite(entry("a", "data.path: copy.jsonl"))) == ()
    (line,) = trained_otherwise(suite(entry("a", "data.path: other.jsonl")))
    assert "data.path is" in line


def test_other_rows_under_the_same_path_are_named():
    """The file was changed since, or is gone; a candidate that does not say its data's digest is left alone."""
    trained("a")
    trained("b")
    Path("runs/b/candidate.yaml").write_text("version: 1\nkind: mean-pool\nbase: {model: m}\nadapter: adapter\n")
    Path("t.jsonl").write_text('{"query": "a", "positive": "b", "negative": "d"}\n')
    (line,) = trained_otherwise(suite(entry("a"), entry("b")))
    assert line.startswith("a: runs/a was not trained as trial/infonce says now: the content of data.path is")
    Path("t.jsonl").unlink()
    assert trained_otherwise(suite(entry("a"))) == ()


def test_what_cannot_be_held_against_its_configuration_is_said():
    """A configuration that is refused or gone now, and a run's own that cannot be read; the reason stands there."""
    trained("a")
    trained("b")
    trained("c")
    Path("runs/c/config.yaml").write_text("version: 1\nobjective: [\n")
    gone = "name: b, candidate: runs/b, config: gone.yaml"
    a, b, c = trained_otherwise(suite(entry("a", "data.path: t.jsonl, stepz: 5"), gone, entry("c")))
    assert a.startswith("a: runs/a cannot be held against its configuration trial/infonce: ")
    assert "unknown key 'stepz'" in a
    assert b.startswith("b: runs/b cannot be held against its configuration gone.yaml: gone.yaml: ")
    assert c.startswith("c: runs/c cannot be held against its configuration trial/infonce: runs/c/config.yaml:")
    assert all(one.endswith("; what is judged is what is in the directory") for one in (a, b, c))


def test_nobody_is_asked_where_there_is_nothing_to_hold(monkeypatch: pytest.MonkeyPatch):
    """Entries without a configuration, and models that are left out: no process is started."""
    trained("a", "steps=9")
    monkeypatch.setattr("harness.training.asked.subprocess.run", None)
    assert trained_otherwise(suite("name: a, candidate: runs/a")) == ()
    assert trained_otherwise(suite(entry("a"), entry("b")), ["b"]) == ()
    with pytest.raises(TypeError):
        trained_otherwise(suite(entry("a")))
