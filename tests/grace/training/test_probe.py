"""What trains is the model itself: every forward pass against the model's own, and bases that are no such thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells_support import tiny_tokenizer
from families import tiny, without_memory
from grace_support import CHAT_TEMPLATE, Quiet, chat_model, jsonl, plain_config, triplets
from rope_support import dynamic_rope, long_rope

import harness
from grace.training import probe
from grace.training import train as training
from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from grace.training.policy.tree import Row, pack
from grace.training.policy.tree_attention import use_tree_attention
from grace.training.policy.tree_forward import tree_forward
from harness.errors import EnvironmentGapError

ALL_ATTENTION: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "mistral": {},
    "gemma2": {"final_logit_softcapping": 0.5, "attn_logit_softcapping": 0.5},
    "gemma3_text": {},
    "granite": {"logits_scaling": 8.0},
    "cohere2": {"logit_scale": 0.0625},
    "hyperclovax": {"logits_scaling": 0.125},
    "gpt_oss": {},
    "opt": {},
}
"""Families that every forward pass bears: scaled logits, soft caps, windows, sinks, learnt positions."""
RECURRENT = {
    "lfm2": {"num_hidden_layers": 2, "layer_types": ["conv", "full_attention"]},
    "qwen3_next": {},
    "falcon_h1": {},
    "jamba": {},
}
"""Families with convolutions or state spaces, which run on from one row of a sequence to the next."""


TOKENIZER = tiny_tokenizer()


@pytest.mark.parametrize("family", ALL_ATTENTION)
def test_every_forward_pass_is_the_models_own(family: str) -> None:
    """States, logits and log-probabilities within 1e-4 of one row at a time."""
    model = tiny(family, **ALL_ATTENTION[family])
    for compare in (probe.compare_packed, probe.compare_padded, probe.compare_staged, probe.compare_left):
        assert compare(model, TOKENIZER).distance < 1e-4
    assert model.config._attn_implementation in ("sdpa", "eager")
    assert "forward" not in vars(model)


@pytest.mark.parametrize("model", [long_rope(), dynamic_rope()], ids=["longrope", "dynamic"])
def test_rows_of_the_probe_are_no_longer_than_those_of_training(model: Any) -> None:
    """Beyond 16 tokens these models turn the positions of a whole batch another way, and no such row is trained on."""
    for compare in (probe.compare_packed, probe.compare_padded, probe.compare_staged, probe.compare_left):
        assert compare(model, TOKENIZER).distance < 1e-4


@pytest.mark.parametrize("family", RECURRENT)
def test_layers_that_run_across_rows_are_seen(family: str) -> None:
    """And the model's own forward on padded rows is right for them, the slower way to train."""
    model = tiny(family, **RECURRENT[family])
    assert probe.compare_packed(model, TOKENIZER).distance > 1e-2
    assert probe.compare_staged(model, TOKENIZER).distance > 1e-2
    assert probe.compare_padded(model, TOKENIZER).distance < 1e-4


def test_positions_that_count_the_padding_are_seen() -> None:
    """GPT-2 counts its positions from the left end of a padded row: trl's own forward is not its own."""
    model = tiny("gpt2")
    assert probe.compare_left(model, TOKENIZER).distance > 1e-2
    assert probe.compare_staged(model, TOKENIZER).distance < 1e-4


@pytest.mark.parametrize("family", ["gpt_oss", "gemma2"])
def test_sinks_and_caps_have_the_gradients_of_the_models_own_attention(family: str) -> None:
    """Packed and staged, all parameters, the sinks themselves among them."""
    model = tiny(family, **ALL_ATTENTION[family])
    prefix, rows = [5, 6, 7], [[20, 21, 22, 23], [30, 31]]
    own = torch.cat([model.base_model(torch.tensor([[*prefix, *row]])).last_hidden_state[0, 3:] for row in rows])
    direction = torch.linspace(-1, 1, own.numel()).view_as(own)

    def gradient(states: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        (states * direction).sum().backward()
        return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}

    expected = gradient(own)
    assert ("sinks" in " ".join(expected)) == (family == "gpt_oss")
    with packed_attention_on(model):
        packed = gradient(forward(model.base_model, Packing(prefix, rows, "cpu")))
    tree_rows = [Row(prompt=(20, 21), rationale=(22, 23)), Row(prompt=(30, 31), rationale=())]
    own_pooled = torch.stack(
        [model.base_model(torch.tensor([[*prefix, *row]])).last_hidden_state[0, 3:].mean(dim=0) for row in rows]
    )
    direction = torch.linspace(-1, 1, own_pooled.numel()).view_as(own_pooled)
    expected_pooled = gradient(own_pooled)
    use_tree_attention(model)
    staged = gradient(tree_forward(model, pack(prefix, tree_rows), 1.0).pooled)
    for name, one in expected.items():
        torch.testing.assert_close(packed[name], one, atol=1e-4, rtol=1e-3)
    for name, one in expected_pooled.items():
        torch.testing.assert_close(staged[name], one, atol=1e-4, rtol=1e-3)


def saved(folder: Path, family: str, **changes: Any) -> Path:
    """Save a tiny model of a family, with a tokenizer that has a chat template, and triplets beside it."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tiny(family, vocab_size=len(tokenizer), **changes).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    jsonl(folder / "triplets.jsonl", triplets())
    return folder


@pytest.mark.parametrize("objective", ["infonce", "simcse", "grace"])
def test_a_base_that_is_not_causal_is_refused_before_the_first_step(objective: str, tmp_path: Path) -> None:
    """By name, and nothing is written or trained; the same model that is causal trains."""
    chat_model(tmp_path / "model")
    jsonl(tmp_path / "triplets.jsonl", triplets())
    (tmp_path / "texts.txt").write_text("".join(f"{row['query']}\n" for row in triplets()))
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"is_causal": False}))
    changes: dict[str, Any] = {"objective": objective, "steps": 1}
    if objective == "grace":
        changes |= {"max_new_tokens": 4, "grace": {"rollouts": 2}}
    if objective == "simcse":
        changes |= {"data": {"path": str(tmp_path / "texts.txt")}}
    with pytest.raises(
        EnvironmentGapError, match=r"LlamaForCausalLM \(model_type 'llama'\) is not causal.*`grace train`"
    ):
        training.train(plain_config(tmp_path, **changes), tmp_path / "out", progress=Quiet())
    assert not (tmp_path / "out" / "metrics.jsonl").exists()
    assert not (tmp_path / "out" / "candidate.yaml").exists()


def test_a_family_that_leaks_is_refused_with_the_way_out_and_trains_that_way(tmp_path: Path) -> None:
    """Refused packed; `forward: plain` trains it, and the loss is that of its own states."""
    folder = saved(tmp_path, "lfm2", **RECURRENT["lfm2"])
    config = plain_config(folder, steps=1, retain_weight=0.1)
    with pytest.raises(
        EnvironmentGapError, match=r"Lfm2ForCausalLM \(model_type 'lfm2'\): `forward: packed` .*; say `forward: plain`"
    ):
        training.train(config, tmp_path / "packed", progress=Quiet())
    done = training.train(config | {"forward": "plain"}, tmp_path / "plain", progress=Quiet())
    assert done.finished.steps == 1


@pytest.mark.parametrize(
    ("objective", "plain"),
    [("infonce-rationale", {"forward": "plain"}), ("grace", {"grace": {"rollouts": 2, "forward": "plain"}})],
)
def test_such_a_family_writes_its_rationales_one_by_one(objective: str, plain: dict[str, Any], tmp_path: Path) -> None:
    """In training and as a candidate: its directory says so, and its vectors are those of the model itself."""
    folder = saved(tmp_path, "lfm2", max_position_embeddings=512, **RECURRENT["lfm2"])
    rest: dict[str, Any] = {"grace": {"rollouts": 2}} if objective == "grace" else {}
    config = plain_config(folder, objective=objective, steps=1, max_new_tokens=2, batch_size=2, **rest)
    with pytest.raises(EnvironmentGapError, match=r"say `(grace\.)?forward: plain`"):
        training.train(config, tmp_path / "refused", progress=Quiet())
    said: list[str] = []
    quiet = Quiet()
    quiet.say = said.append  # type: ignore[method-assign]
    done = training.train(config | plain, tmp_path / "out", progress=quiet)
    assert any("one text at a time" in one for one in said)
    encoder = harness.load({"candidate": str(done.path), "device": "cpu"})
    assert encoder.describe()["forward"] == "plain"
    vectors = encoder.encode(["cat moon", "rain"])
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4


@pytest.mark.parametrize("forward", ["staged", "plain"])
def test_a_mixture_of_experts_has_no_loss_beside_the_policys(forward: str, tmp_path: Path) -> None:
    """trl would add one for the balance of experts, which the staged pass does not compute."""
    folder = saved(tmp_path, "mixtral", max_position_embeddings=512)
    config = plain_config(folder, objective="grace", steps=1, max_new_tokens=2, batch_size=2)
    done = training.train(config | {"grace": {"rollouts": 2, "forward": forward}}, tmp_path / "out", progress=Quiet())
    assert done.finished.steps == 1


def test_bert_is_refused_by_name(tmp_path: Path) -> None:
    """A model of another kind than a decoder, which transformers loads as one all the same."""
    folder = saved(tmp_path, "bert")
    with pytest.raises(EnvironmentGapError, match=r"BertLMHeadModel .* is not causal"):
        training.train(plain_config(folder), tmp_path / "out", progress=Quiet())


def test_memory_that_runs_out_is_no_fault_of_the_family() -> None:
    """Else a sound base would be refused by name."""
    with pytest.raises(torch.OutOfMemoryError):
        probe.PADDED.fault(without_memory(tiny("llama"), torch.OutOfMemoryError("out")), TOKENIZER)
