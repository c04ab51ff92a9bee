"""The base that is trained is the base that was meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from families import tiny
from grace_support import chat_model, jsonl, session_of, triplets
from rope_support import dynamic_rope, long_rope
from weights_support import renamed, rewrite, without

from grace.run.trainable import load_trainable
from harness.errors import EnvironmentGapError, InputError, WeightsDoNotFitError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a tiny chat model and triplets."""
    chat_model(tmp_path / "model")
    jsonl(tmp_path / "triplets.jsonl", triplets())
    return tmp_path


@pytest.mark.parametrize("change", [without("layers.1."), renamed("_orig_mod.")], ids=["no layer", "compiled"])
def test_nothing_is_trained_over_a_base_that_lacks_weights(folder: Path, change: Any) -> None:
    """Refused before the first step, with the names."""
    rewrite(folder / "model", change)
    with pytest.raises(WeightsDoNotFitError, match=r"tensors are missing: model\."):
        session_of(folder, folder / "run")


def test_a_head_may_be_missing_where_it_is_neither_used_nor_saved(folder: Path) -> None:
    """An adapter under a mean; full weights would be saved with a head drawn at random, rationales written with it."""
    rewrite(folder / "model", without("lm_head"))
    session_of(folder, folder / "run")
    for name, changes in (
        ("full", {"adapter": {"kind": "full"}}),
        ("retain", {"retain_weight": 0.5}),
        ("policy", {"objective": "grace", "max_new_tokens": 4, "candidate": {"kind": "mean-pool"}}),
        ("grace", {"candidate": {"kind": "rationale", "max_new_tokens": 4}}),
    ):
        with pytest.raises(WeightsDoNotFitError, match=r"lm_head\.weight"):
            session_of(folder, folder / name, **changes)


def test_a_base_that_cannot_be_loaded_so_is_refused_in_words(folder: Path) -> None:
    """An attention that the family does not have, with the way out; an encoder-decoder where logits are wanted."""
    tiny("gpt_oss", vocab_size=400).save_pretrained(folder / "model")
    with pytest.raises(EnvironmentGapError, match=r"attn_implementation: sdpa is not to be had .*; say eager"):
        session_of(folder, folder / "sdpa")
    session_of(folder, folder / "eager", attn_implementation="eager")
    file = folder / "model" / "config.json"
    file.write_text(json.dumps({"model_type": "t5", "d_model": 32, "num_layers": 1}))
    with pytest.raises(EnvironmentGapError, match=r"models of the type 't5' predict no next token"):
        session_of(folder, folder / "t5", retain_weight=0.5)


@pytest.mark.parametrize("family", ["T5EncoderModel", "DistilBertModel"])
def test_an_encoder_without_a_head_is_no_base(family: str, folder: Path) -> None:
    """Which mean-pool can evaluate, and nothing here can train: said before an adapter is attached."""
    import transformers

    small = {
        "T5EncoderModel": transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, vocab_size=400),
        "DistilBertModel": transformers.DistilBertConfig(dim=32, hidden_dim=64, n_layers=1, n_heads=4, vocab_size=400),
    }[family]
    getattr(transformers, family)(small).save_pretrained(folder / "model")
    with pytest.raises(EnvironmentGapError, match=rf"{family} .* is not causal.*`grace train`"):
        session_of(folder, folder / "run")


def test_an_unpinned_hub_base_is_known_by_the_commit_that_was_loaded(folder: Path, monkeypatch: Any) -> None:
    """So that the candidate is evaluated on that one when the branch has moved on."""
    from transformers import LlamaConfig

    whole = session_of(folder, folder / "run")
    plain = replace(whole.trained.weights, identity=None)
    monkeypatch.setattr(LlamaConfig, "_commit_hash", "a" * 40, raising=False)
    found = load_trainable(whole.config, plain).weights
    assert found.identity == {"repo": plain.load_from, "commit": found.revision}
    assert whole.trained.weights.identity.keys() == {"files_sha256"}


def test_a_base_of_which_a_file_is_missing_or_cut_is_refused(folder: Path) -> None:
    """Before it is loaded where that is plain, and by name where only loading shows it."""
    from transformers import AutoModelForCausalLM

    model = folder / "model"
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:40])
    with pytest.raises(WeightsDoNotFitError, match="damaged or cut short"):
        session_of(folder, folder / "cut")
    (model / "model.safetensors").write_bytes(whole[:-40])
    with pytest.raises(EnvironmentGapError, match="its header says"):
        session_of(folder, folder / "short")
    (model / "model.safetensors").write_bytes(whole)
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(folder / "shards", max_shard_size="60KB")
    (model / "model.safetensors").unlink()
    for file in (folder / "shards").glob("model*"):
        file.rename(model / file.name)
    session_of(folder, folder / "whole")
    min(model.glob("model-*")).unlink()
    with pytest.raises(EnvironmentGapError, match="lacks 1 of "):
        session_of(folder, folder / "lacking")


def test_no_row_is_so_long_that_the_positions_of_its_neighbours_change(folder: Path) -> None:
    """Frequencies for long texts would turn a whole batch: texts are cut before, or their limit is refused."""
    long_rope(original=40, longest=256).save_pretrained(folder / "model")
    with pytest.raises(InputError, match=r"max_text_tokens: 41: beyond 40 tokens .*'longrope'\); say 40 at most"):
        session_of(folder, folder / "long", max_text_tokens=41)
    assert session_of(folder, folder / "fits", max_text_tokens=40).trained.context_length == 40
    dynamic_rope(most=40).save_pretrained(folder / "model")
    assert session_of(folder, folder / "cut", max_text_tokens=64).trained.context_length == 40
