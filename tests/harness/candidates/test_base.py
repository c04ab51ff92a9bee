"""A candidate is evaluated on the base it was trained on, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from suites_support import isolate, weights, write

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.identify import identify
from harness.candidates.named import named_candidate
from harness.digests import sha256_files, visible_files
from harness.errors import EnvironmentGapError
from harness.sources.locate import locate_model
from harness.sources.places import Located, Sources
from harness.suite.model_entries import CandidateSpec, MeanPoolSpec, SentenceTransformersSpec

A, B = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a base, and caches of its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(Path("base"), "as trained")


def trained(base: str = "base", sources: Sources | None = None, **changes: Any) -> Path:
    """Write a candidate as training does, over the base as it is now."""
    from harness.candidates.base import files_of

    found = locate_model(sources or Sources(), base, None, None)
    assert isinstance(found, Located)
    facts = {"base_identity": found.identity, "base_files": files_of(found)} | changes
    about = {"version": 1, "kind": "mean-pool", "base": {"model": base}, "adapter": "adapter", "training": facts}
    write(Path("run/candidate.yaml"), json.dumps(about))
    weights(Path("run/adapter"), "adapter")
    return Path("run")


def found(sources: Sources | None = None) -> Candidate | MissingCandidate:
    return identify(CandidateSpec(name="c", candidate="run", note="mine"), sources or Sources())


def old(folder: Path) -> dict[str, Any]:
    """Return what a release wrote that took every visible file into the identity, and nothing else."""
    return {"base_identity": {"files_sha256": sha256_files(folder, visible_files(folder))}, "base_files": None}


def test_the_base_as_it_was_is_taken():
    """Read by a release that wrote what it is, or by one before."""
    trained()
    assert isinstance(found(), Candidate)
    trained(**old(Path("base")))
    assert isinstance(found(), Candidate)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt"])
def test_another_base_is_a_gap_that_names_both(file: str, is_old: bool):
    """Whatever a loader may read: weights, configuration, tokenizer."""
    trained(**(old(Path("base")) if is_old else {}))
    write(Path("base") / file, "something else")
    gone = found()
    assert isinstance(gone, MissingCandidate)
    assert not gone.untrained
    assert [gap.what for gap in gone.gaps] == ["base of candidate 'run'"]
    assert "trained on a base with sha256 " in gone.gaps[0].why
    assert str(Path("base").resolve()) in gone.gaps[0].why
    with pytest.raises(EnvironmentGapError, match="trained on a base"):
        named_candidate("run", Sources())


def test_a_readme_beside_the_weights_makes_no_other_base():
    """Nor does a licence or a picture."""
    trained()
    for name in ("README.md", "LICENSE", "images/loss.png"):
        write(Path("base") / name, "for people")
    assert isinstance(found(), Candidate)


def test_full_weights_need_no_base():
    """The base of their training may be gone."""
    trained()
    about = json.loads(Path("run/candidate.yaml").read_text())
    del about["adapter"]
    write(Path("run/candidate.yaml"), json.dumps(about | {"weights": "model"}))
    weights(Path("run/model"), "full")
    write(Path("base/model.safetensors"), "something else")
    assert isinstance(found(), Candidate)


def cached(repo: str, commit: str) -> None:
    """Put a commit into the hub client's cache, as what the default branch is at."""
    folder = Path("hf-cache") / f"models--{repo.replace('/', '--')}"
    weights(folder / "snapshots" / commit, commit)
    write(folder / "refs" / "main", commit)


def test_an_unpinned_hub_base_is_taken_at_the_commit_it_was_trained_on():
    """The branch has moved on since; where that commit is gone, nothing else takes its place."""
    cached("org/base", A)
    trained("org/base", Sources(offline=True))
    cached("org/base", B)
    here = found(Sources(offline=True))
    assert isinstance(here, Candidate)
    assert here.weights is not None
    assert here.weights.identity == {"repo": "org/base", "commit": A}
    shutil.rmtree(f"hf-cache/models--org--base/snapshots/{A}")
    assert isinstance(found(Sources(offline=True)), MissingCandidate)


def test_a_pin_in_candidate_yaml_that_is_not_the_commit_of_training_is_refused():
    """Edited by hand, or by a release that pinned nothing."""
    cached("org/base", A)
    trained("org/base", Sources(offline=True))
    about = json.loads(Path("run/candidate.yaml").read_text())
    write(Path("run/candidate.yaml"), json.dumps(about | {"base": {"model": "org/base", "revision": B}}))
    cached("org/base", B)
    gone = found(Sources(offline=True))
    assert isinstance(gone, MissingCandidate)
    assert f"commit {A[:12]}" in gone.gaps[0].why
    assert f"commit {B[:12]}" in gone.gaps[0].why


def test_what_cannot_be_compared_is_said_beside_the_model():
    """Trained on a commit; here a folder that no lock file vouches for."""
    trained(base_identity={"repo": "org/base", "commit": A}, base_files=None)
    here = found()
    assert isinstance(here, Candidate)
    assert here.note is not None
    assert here.note.startswith("mine; base not checked: trained on repo org/base, commit aaaaaaaaaaaa...")


def test_a_candidate_that_says_nothing_of_its_base_is_taken():
    """Written by another trainer, or by hand."""
    trained(base_identity=None, base_files=None)
    here = found()
    assert isinstance(here, Candidate)
    assert here.note == "mine"


def with_adapter(named: object, **changes: Any) -> Candidate | MissingCandidate:
    """Identify an entry over the base, with an adapter that names one."""
    write(Path("adapter/adapter_config.json"), json.dumps({"base_model_name_or_path": named}))
    weights(Path("adapter"), "adapter")
    plain = {"name": "m", "encoder": "mean-pool", "model": "base", "adapter": "adapter"}
    return identify(MeanPoolSpec(**plain | changes), Sources())


@pytest.mark.parametrize("named", ["base", "./base", "copy", None])
def test_an_adapter_on_the_base_it_names_is_taken_without_a_word(named: str | None):
    """By the same name, by another path to it, or a copy of it."""
    shutil.copytree("base", "copy")
    here = with_adapter(named)
    assert isinstance(here, Candidate)
    assert here.note is None


def test_an_adapter_that_names_another_base_is_refused_where_that_is_here():
    """Both are on this machine, and have other weights."""
    weights(Path("other"), "other weights")
    gone = with_adapter("other")
    assert isinstance(gone, MissingCandidate)
    assert "the adapter was trained on 'other', here it is put on 'base', which has other files" in gone.gaps[0].why


def test_an_adapter_that_names_another_base_that_is_not_here_is_remarked_on():
    """Its name alone is known: a mirror of the same weights has another."""
    here = with_adapter("org/name", note="mine")
    assert isinstance(here, Candidate)
    assert (
        here.note
        == "mine; the adapter was trained on 'org/name', here it is put on 'base': not checked, the names differ"
    )


def test_an_adapter_is_no_model():
    """transformers would look for its base by itself, and no key would say which."""
    write(Path("adapter/adapter_config.json"), json.dumps({"base_model_name_or_path": "base"}))
    for encoder, spec in (("mean-pool", MeanPoolSpec), ("sentence-transformers", SentenceTransformersSpec)):
        gone = identify(spec(name="m", encoder=encoder, model="adapter"), Sources())
        assert isinstance(gone, MissingCandidate)
        assert "is an adapter alone" in gone.gaps[0].why


def test_of_a_candidate_that_says_nothing_the_adapter_itself_is_asked():
    """Written by another trainer: its adapter names a base that is here, and is not the one of candidate.yaml."""
    trained(base_identity=None, base_files=None)
    weights(Path("other"), "other weights")
    write(Path("run/adapter/adapter_config.json"), json.dumps({"base_model_name_or_path": "other"}))
    assert isinstance(found(), MissingCandidate)
