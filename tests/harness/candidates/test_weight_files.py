"""What is plainly missing of a model's files is seen before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells_support import tiny_model
from fetch_support import safetensors
from suites_support import isolate, write

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.identify import identify
from harness.candidates.weight_files import check_safetensors, incomplete, shapes_of
from harness.sources.places import Sources
from harness.suite.model_entries import MeanPoolSpec, SentenceTransformersSpec


@pytest.fixture
def sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model in several files, as transformers itself saves it."""
    isolate(monkeypatch, tmp_path)
    tiny_model("llama", 400).save_pretrained(tmp_path / "model", max_shard_size="60KB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 2
    return tmp_path / "model"


@pytest.mark.parametrize("kind", [MeanPoolSpec, SentenceTransformersSpec])
def test_a_shard_that_is_missing_is_a_gap(sharded: Path, kind: type) -> None:
    """By name, for every encoder, before a plan counts its cells."""
    encoder = "mean-pool" if kind is MeanPoolSpec else "sentence-transformers"
    spec = kind(name="m", encoder=encoder, model=str(sharded))
    assert isinstance(identify(spec, Sources()), Candidate)
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    gone = identify(spec, Sources())
    assert isinstance(gone, MissingCandidate)
    assert shard.name in gone.gaps[0].why
    assert "lacks 1 of " in gone.gaps[0].why


def test_a_file_that_ends_too_soon_is_incomplete(sharded: Path) -> None:
    """A download that broke off: its header promises more."""
    assert incomplete(sharded) is None
    shard = min(sharded.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-4])
    assert "its header says" in str(incomplete(sharded))
    with pytest.raises(ValueError, match="its header says"):
        check_safetensors(shard)


def test_an_index_that_is_none_is_said(sharded: Path) -> None:
    """Cut short, or of another shape."""
    for text in ("{", "[]", '{"weight_map": 3}'):
        write(sharded / "model.safetensors.index.json", text)
        assert "is no index of weights" in str(incomplete(sharded))


def test_shapes_are_those_of_the_tensors(sharded: Path) -> None:
    """As the library reads them."""
    from safetensors.torch import load_file

    for file in sharded.glob("*.safetensors"):
        assert shapes_of(file) == {name: tuple(one.shape) for name, one in load_file(file).items()}


def test_what_is_no_safetensors_file_is_said(tmp_path: Path) -> None:
    """Text, an empty file, a header that is cut."""
    for content in (b"", b"weights", safetensors(64)[:20]):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="no safetensors file, or cut short"):
            check_safetensors(tmp_path / "x.safetensors")
