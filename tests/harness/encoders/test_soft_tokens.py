"""Soft tokens: vectors in front of every text, by the model's own forward pass over them, and no trace elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import candidate_directory, chat_model
from families import tiny
from safetensors.torch import save_file
from suites_support import write

from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.candidates.named import named_candidate
from harness.encoders.head import body_of
from harness.encoders.loading import load
from harness.encoders.reading import read
from harness.encoders.soft_tokens import soft_ids, soft_tokens_on
from harness.errors import EnvironmentGapError, InputError, WeightsDoNotFitError
from harness.sources.places import Sources
from harness.suite.load import model_of

TEXTS = ["the cat sat", "rain fell on the roof all night long", "", "card"]


@pytest.fixture(scope="module", params=[False, True], ids=["llama", "adds bos"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model; one whose tokenizer puts a token before each text."""
    from cells_support import save_tiny_model

    folder: Path = tmp_path_factory.mktemp("soft") / "model"
    save_tiny_model(folder, adds_bos=request.param)
    return folder


def saved(path: Path, shape: tuple[int, int] = (5, 32), name: str = "soft_tokens") -> dict[str, str]:
    """Write soft tokens; returns what an entry says of them."""
    save_file({name: torch.randn(shape, generator=torch.Generator().manual_seed(1))}, path)
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def candidate_of(model: Path, **more: Any) -> Candidate:
    """Return a mean-pool entry's candidate."""
    entry = {"name": "m", "encoder": "mean-pool", "model": str(model), "device": "cpu"}
    found = identify(model_of(entry | more), Sources())
    assert isinstance(found, Candidate)
    return found


@pytest.mark.parametrize("prompt", [None, "query: "])
@pytest.mark.parametrize("is_shared", [True, False])
def test_vectors_are_those_of_the_models_own_pass(model, prompt, is_shared, tmp_path, monkeypatch):
    """Embeddings put together by hand, one text at a time, the mean over the text's own tokens."""
    if not is_shared:
        monkeypatch.setattr("harness.encoders.soft_tokens.shared_prefix_fault", lambda *_: "it cannot")
    soft = saved(tmp_path / "s.safetensors")
    encoder = load(candidate_of(model, soft_tokens=soft))
    inner: Any = encoder.inner
    assert inner.describe()["shares_prefix"] is is_shared
    vectors = encoder.encode(TEXTS, role=None, prompt=prompt)
    table, tokenizer = inner.model.get_input_embeddings(), inner.tokenizer
    tensors = torch.randn((5, 32), generator=torch.Generator().manual_seed(1))
    bos = [tokenizer.bos_token_id] if tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id else []
    for text, vector in zip(TEXTS, vectors, strict=True):
        told, ids = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in (prompt or "", text))
        ids = ids or [tokenizer.eos_token_id]
        before, own = (torch.tensor(one, dtype=torch.long) for one in (bos, [*told, *ids]))
        with torch.no_grad():
            whole = torch.cat([table(before), tensors, table(own)])
            states = body_of(inner.model)(inputs_embeds=whole[None]).last_hidden_state[0]
        np.testing.assert_allclose(vector, states[-len(ids) :].mean(dim=0).numpy(), atol=1e-5)


def test_answers_and_ability_cells_are_those_of_the_base(model, tmp_path):
    """Bit by bit, after texts were embedded; and the cells of the ability axis are the base's own."""
    base, soft = candidate_of(model), candidate_of(model, soft_tokens=saved(tmp_path / "s.safetensors"))
    ours, theirs = load(soft), load(base)
    assert not np.allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-3)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        logits = [one.inner.causal_lm().model(input_ids=ids).logits for one in (ours, theirs)]
    assert torch.equal(*logits)
    assert soft.language_model_identity() == base.language_model_identity()
    assert soft.fingerprint() != base.fingerprint()


def test_the_key_hangs_on_the_content_alone(model, tmp_path):
    """Not on where the file lies; without soft tokens it is what it always was."""
    one, other = (
        candidate_of(model, soft_tokens=saved(tmp_path / name)) for name in ("a.safetensors", "b.safetensors")
    )
    assert one.fingerprint() == other.fingerprint()
    another = candidate_of(model, soft_tokens=saved(tmp_path / "c.safetensors", (6, 32)))
    assert another.fingerprint() != one.fingerprint()
    identity = candidate_of(model).identity()
    assert identity is not None
    assert "soft_tokens" not in identity | identity["options"]


def test_another_file_is_refused(model, tmp_path):
    """By its sha256, or because there is none any more since the candidate was looked up."""
    soft = saved(tmp_path / "s.safetensors")
    with pytest.raises(WeightsDoNotFitError, match="not the one that was trained"):
        load(candidate_of(model, soft_tokens=soft | {"sha256": "0" * 64}))
    found = candidate_of(model, soft_tokens=soft)
    (tmp_path / "s.safetensors").unlink()
    with pytest.raises(EnvironmentGapError, match="no such file"):
        load(found)


@pytest.mark.parametrize("options", [{"shape": (4, 16)}, {"name": "others"}])
def test_soft_tokens_of_another_model_are_refused(model, tmp_path, options):
    """Vectors of another length, tensors of another name."""
    with pytest.raises(WeightsDoNotFitError, match=r"expected soft_tokens \(n, 32\)"):
        load(candidate_of(model, soft_tokens=saved(tmp_path / "s.safetensors", **options)))


def test_a_candidate_directory_names_a_file_inside_it(tmp_path):
    """Wherever the directory is moved to; read by another kind nothing of the training would be left."""
    base = chat_model(tmp_path / "model")
    folder = candidate_directory(tmp_path / "run", base, kind="mean-pool")
    soft = saved(folder / "s.safetensors")
    about = (
        (folder / "candidate.yaml")
        .read_text()
        .replace("encoder: {}", f"encoder: {{soft_tokens: {{file: s.safetensors, sha256: {soft['sha256']}}}}}")
    )
    write(folder / "candidate.yaml", about)
    moved = folder.rename(tmp_path / "moved")
    found = named_candidate(str(moved), Sources())
    assert found.spec.soft_tokens.file == str(moved / "s.safetensors")  # type: ignore[union-attr]
    assert load(found).encode(TEXTS).shape == (4, 32)
    with pytest.raises(InputError, match="kind rationale would leave the soft tokens out"):
        named_candidate(str(moved), Sources(), ["kind=rationale"])


@pytest.mark.parametrize("family", ["llama", "gemma", "gemma3_text", "qwen2", "gpt2", "opt"])
def test_ids_beyond_the_vocabulary_are_the_vectors(family):
    """Families that scale embeddings in the layer or behind it, or add positions; gradients flow into the vectors."""
    model = tiny(family)
    table = model.get_input_embeddings()
    soft = torch.randn(4, table.weight.shape[1], requires_grad=True, generator=torch.Generator().manual_seed(0))
    row = [*soft_ids(model, 4), 5, 6, 7]
    with soft_tokens_on(model, soft):
        found = read(model, [row, row[2:6]])
    own = body_of(model)(inputs_embeds=torch.cat([soft, table(torch.tensor([5, 6, 7]))])[None]).last_hidden_state
    torch.testing.assert_close(found[:1], own, atol=1e-5, rtol=1e-4)
    (ours,) = torch.autograd.grad(found[0].square().sum(), soft, retain_graph=True)
    (theirs,) = torch.autograd.grad(own.square().sum(), soft)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    with pytest.raises(IndexError):
        read(model, [row])
