"""`logits_of` gives the logits of the model's own forward, whatever a family does between states and logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families import VOCABULARY, tiny

from harness.encoders.head import body_of, logits_of

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 0.5},
    "recurrent_gemma": {"logits_soft_cap": 0.5, "num_hidden_layers": 3},
    "granite": {"logits_scaling": 8.0},
    "granitemoe": {"logits_scaling": 6.0},
    "hyperclovax": {"logits_scaling": 0.125},
    "cohere": {"logit_scale": 0.0625},
    "cohere2": {"logit_scale": 0.25},
    "falcon_h1": {"lm_head_multiplier": 0.04},
    "opt": {},
    "llama4_text": {},
    "biogpt": {},
    "bert": {"is_decoder": True},
}
"""Model type -> what makes its logits other than its head's own."""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_are_those_of_the_models_own_forward(family: str) -> None:
    """For states of its own body, and they can be trained through."""
    model = tiny(family, **FAMILIES[family])
    ids = torch.arange(5, 17)[None]
    with torch.no_grad():
        truth = model(input_ids=ids).logits[0]  # (12, vocabulary)
        states = body_of(model)(input_ids=ids, use_cache=False).last_hidden_state[0]
    states.requires_grad_()
    found = logits_of(model, states)
    assert found.shape == (12, VOCABULARY)
    assert torch.allclose(found, truth, rtol=1e-5, atol=1e-5 * float(truth.abs().max()))
    found.sum().backward()
    assert states.grad is not None


@pytest.mark.parametrize("family", ["granite", "cohere", "hyperclovax", "falcon_h1", "bert"])
def test_a_head_alone_is_another_thing(family: str) -> None:
    """What was taken for the logits is off by the scale, or by a whole layer, so the test above can fail."""
    model = tiny(family, **FAMILIES[family])
    states = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        apart = (model.get_output_embeddings()(states) - logits_of(model, states)).abs().max()
    assert apart > 0.1 * logits_of(model, states).abs().max()
