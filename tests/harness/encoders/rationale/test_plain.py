"""`forward: plain` writes and pools as the model's own forward pass does, for families of every kind of layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import CHATML
from cells_support import SENTENCES, located, tiny_tokenizer
from families import forgetful, tiny

from harness.encoders.explain.states import token_states
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.generate import Sampling, forward_on, generate, with_prompt
from harness.encoders.rationale.plain import PlainPrefix
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.errors import EnvironmentGapError
from harness.suite.model_entries import RationaleSpec

FAMILIES = ("llama", "lfm2", "qwen3_next", "falcon_h1", "mamba", "rwkv", "recurrent_gemma", "bloom", "stablelm", "gptj")
TEXTS = list(SENTENCES[:3])


def saved(folder: Path, family: str, **changes: Any) -> Path:
    """Save a tiny model of a family with a chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    tiny(family, vocab_size=len(tokenizer), max_position_embeddings=512, **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load(folder: Path, *, seed: int = 3, **options: Any) -> RationaleEncoder:
    """Return the encoder of a saved model, without a cache."""
    attention = {} if options.get("forward") != "plain" else {"attn_implementation": "eager"}
    spec = RationaleSpec(
        name="tiny", encoder="rationale", model=str(folder), device="cpu", max_text_tokens=20, **attention, **options
    )
    return RationaleEncoder(spec, located(folder), None, fingerprint="f", seed=seed, cache=None)


def whole_rows(encoder: RationaleEncoder, written: list[list[int]]) -> list[tuple[list[int], int]]:
    """Return prefix + text + suffix + rationale of each text, and the length of the prefix."""
    template, own = encoder.template, tokenise(encoder.tokenizer, TEXTS)
    p = len(template.prefix)
    return [([*template.prefix, *ids[:20], *template.suffix, *new], p) for ids, new in zip(own, written, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_and_pooled_is_what_the_model_itself_gives(family: str, tmp_path: Path) -> None:
    """Each token is the likeliest of the model's own logits over all before it; the vector is its own states' mean."""
    encoder = load(saved(tmp_path / "m", family), forward="plain", generation={"max_new_tokens": 5})
    entries = encoder.write(TEXTS, prompt=None)
    written = [entry.about["ids"] for entry in entries]
    assert any(written)
    for (row, start), new, entry in zip(whole_rows(encoder, written), written, entries, strict=True):
        ids = torch.tensor([row])
        with torch.no_grad():
            output = encoder.model(input_ids=ids, output_hidden_states=True)
            states = encoder.model.base_model(input_ids=ids).last_hidden_state[0]
        before = output.logits[0, len(row) - len(new) - 1 :]
        assert before[: len(new)].argmax(dim=1).tolist() == new
        assert np.abs(entry.vector - states[start:].float().mean(dim=0).numpy()).max() < 1e-5
    facts = encoder.describe()
    assert (facts["forward"], isinstance(encoder.prefix, PlainPrefix)) == ("plain", True)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_both_ways_write_the_same_where_both_can(temperature: float) -> None:
    """The same random numbers choose the same tokens, and the vectors are equal to rounding."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    template, model = render_template(tokenizer), tiny("qwen3", vocab_size=400)
    rows = list(zip(TEXTS, tokenise(tokenizer, TEXTS), strict=True))
    sampling = Sampling(max_new_tokens=8, temperature=temperature, seed=5)
    found = []
    for forward in ("shared-prefix", "plain"):
        with forward_on(model, forward):
            prompted = with_prompt(model, template, end_tokens(model, tokenizer, template), forward=forward)
            found.append(generate(prompted, rows, sampling, rollouts=[0, 1, 2]))
    for shared, plain in zip(*found, strict=True):
        assert (shared.ids, shared.is_truncated, shared.end) == (plain.ids, plain.is_truncated, plain.end)
        assert np.abs(shared.vector - plain.vector).max() < 1e-5


def test_the_model_keeps_its_own_generation_settings(tmp_path: Path) -> None:
    """They are put aside while a rationale is written, so that a penalty in them does not count."""
    folder = saved(tmp_path / "m", "llama")
    encoder = load(folder, forward="plain", generation={"max_new_tokens": 6})
    encoder.model.generation_config.repetition_penalty = 5.0
    penalised = [entry.about["ids"] for entry in encoder.write(TEXTS, prompt=None)]
    assert encoder.model.generation_config.repetition_penalty == 5.0
    assert penalised == [
        entry.about["ids"] for entry in load(folder, generation={"max_new_tokens": 6}).write(TEXTS, prompt=None)
    ]


def test_a_cache_that_is_wrong_is_not_used() -> None:
    """Everything is read again for each token then, and the rationale is still the model's own."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    template, model = render_template(tokenizer), tiny("llama")
    rows = [("x", tokenise(tokenizer, ["x"])[0])]
    sampling = Sampling(max_new_tokens=6)
    right = generate(with_prompt(model, template, frozenset(), forward="plain"), rows, sampling)
    prompted = with_prompt(forgetful(model), template, frozenset(), forward="plain")
    assert isinstance(prompted.prefix, PlainPrefix)
    assert not prompted.prefix.uses_cache
    assert generate(prompted, rows, sampling)[0].ids == right[0].ids


def test_explanations_take_the_same_states(tmp_path: Path) -> None:
    """Their mean is the vector."""
    encoder = load(saved(tmp_path / "m", "lfm2"), forward="plain", generation={"max_new_tokens": 4})
    vectors = encoder.encode(TEXTS, role=None, prompt=None)
    for vector, one in zip(vectors, token_states(encoder, TEXTS), strict=True):
        assert np.abs(vector - one.vector).max() < 1e-5


@pytest.mark.parametrize("forward", ["plain", "shared-prefix"])
def test_a_model_that_sees_both_ways_writes_nothing(forward: str, tmp_path: Path) -> None:
    """By either way it would see what it is about to write."""
    folder = saved(tmp_path / "m", "qwen3", is_causal=False)
    with pytest.raises(EnvironmentGapError, match=r"Qwen3ForCausalLM .*not causal.*encoder: rationale"):
        load(folder, forward=forward)


def test_a_model_whose_states_lead_to_no_logits_is_refused(tmp_path: Path) -> None:
    """ProphetNet's head reads other states than its last."""
    folder = saved(tmp_path / "m", "prophetnet")
    with pytest.raises(EnvironmentGapError, match=r"ProphetNetForCausalLM .*cannot be had from its last states"):
        load(folder, forward="plain")


def test_an_end_is_found_where_the_text_configuration_alone_names_it(tmp_path: Path) -> None:
    """Models of several modalities have it there."""
    model, tokenizer = tiny("gemma4"), tiny_tokenizer()
    tokenizer.chat_template = CHATML
    assert not hasattr(model.config, "eos_token_id")
    model.generation_config.eos_token_id = None
    model.config.text_config.eos_token_id = [9, 11]
    assert {9, 11} <= end_tokens(model, tokenizer, render_template(tokenizer))
