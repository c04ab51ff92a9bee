"""A prefix is shared where that gives what the model gives; elsewhere the family is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cells_support import tiny_tokenizer
from families import tiny

from harness.encoders.rationale.probe import check_shared_prefix, shared_prefix_fault
from harness.errors import EnvironmentGapError

SHARING: dict[str, dict[str, Any]] = {
    "llama": {},
    "granite": {"logits_scaling": 8.0},
    "cohere": {},
    "gemma2": {},
    "gpt_oss": {},
    "gpt_bigcode": {},
}
NOT_SHARING = {
    "stablelm": "StableLmAttention does not pass on",
    "nemotron": "does not pass on",
    "lfm2": "layers of the kind conv",
    "qwen3_next": "layers of the kind linear_attention",
    "falcon_h1": "layers of the kind hybrid",
    "recurrent_gemma": ".",
    "bloom": "does not let its attention be replaced",
    "bart": "would differ from its own forward pass",
    "diffllama": "would differ from its own forward pass",
}


@pytest.mark.parametrize("family", SHARING)
def test_families_that_share_a_prefix(family: str) -> None:
    """Scaled logits, soft caps, windows and sinks among them."""
    assert shared_prefix_fault(tiny(family, **SHARING[family]), tiny_tokenizer()) is None


@pytest.mark.parametrize("family", NOT_SHARING)
def test_families_that_do_not(family: str) -> None:
    """Named with the reason and the way out."""
    with pytest.raises(EnvironmentGapError, match=rf"model_type '{family}'.*{NOT_SHARING[family]}.*`forward: plain`"):
        check_shared_prefix(tiny(family), tiny_tokenizer())


def test_a_wrong_number_is_seen() -> None:
    """Sinks that are left out, logits that are scaled elsewhere: the probe compares both states and logits."""
    model = tiny("gpt_oss")
    assert shared_prefix_fault(model, tiny_tokenizer()) is None
    handle = model.lm_head.register_forward_hook(
        lambda _module, _inputs, output: output * (1.01 if output.shape[1] == 3 else 1.0)
    )
    fault = shared_prefix_fault(model, tiny_tokenizer())
    handle.remove()
    assert fault is not None
    assert "would differ" in fault


@pytest.mark.parametrize("name", ["position_bias", "head_mask"])
def test_what_a_layer_asks_and_nobody_knows_is_refused(name: str) -> None:
    """It would be dropped in silence."""
    model = tiny("llama")
    for layer in model.model.layers:
        forward = layer.self_attn.forward
        layer.self_attn.forward = lambda *args, forward=forward, **kwargs: forward(
            *args, **kwargs | {name: torch.ones(1)}
        )
    assert f"LlamaAttention asks of its attention {name}" in str(shared_prefix_fault(model, tiny_tokenizer()))


def test_a_window_beyond_the_first_tokens_is_reached() -> None:
    """Rows are made longer than it: PhiMoE's own masks and what its layers ask for agree only below the window."""
    tokenizer = tiny_tokenizer()
    assert shared_prefix_fault(tiny("mistral", sliding_window=40), tokenizer) is None
    assert shared_prefix_fault(tiny("phimoe", sliding_window=300), tokenizer) is None
    assert "would differ" in str(shared_prefix_fault(tiny("phimoe", sliding_window=40), tokenizer))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sound_models_pass_in_half_precision(dtype: torch.dtype) -> None:
    """Twelve layers of rounding, and the scaled logits."""
    assert shared_prefix_fault(tiny("llama", num_hidden_layers=12).to(dtype), tiny_tokenizer()) is None
    assert shared_prefix_fault(tiny("granite", logits_scaling=8.0).to(dtype), tiny_tokenizer()) is None
