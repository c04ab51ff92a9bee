"""The KL term to the base: over the logits that the model writes with, a chunk of tokens at a time."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from families import tiny

from grace.objectives.losses import kl_to_base
from grace.training.contrastive import step as module
from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from grace.training.contrastive.step import ContrastiveStep, Part

PREFIX, ROWS = (5, 6), [(20, 21, 22), (23, 24)]
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 0.25},
    "granite": {"logits_scaling": 8.0},
    "cohere": {"logit_scale": 0.0625},
    "hyperclovax": {"logits_scaling": 0.125},
    "gpt_oss": {},
}
"""Model type -> what its logits are scaled or capped by."""


def retained(model: Any, base: Any) -> tuple[torch.Tensor, float]:
    """Return gradient and KL of a part, with the packed forward."""
    packing = Packing(PREFIX, ROWS, "cpu")
    with packed_attention_on(model), torch.no_grad():
        states = forward(model.base_model, packing)
    step = object.__new__(ContrastiveStep)
    step._is_packed = True
    step._session = SimpleNamespace(trained=SimpleNamespace(model=model, base=lambda: nullcontext(base)))  # type: ignore[assignment]
    return step._retain(states, Part([0, 1], packing, 0), 0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_base_is_retained_over_the_models_own_logits(family: str) -> None:
    """KL(base || trained) of both models' own forward passes, one row at a time."""
    base = tiny(family, **FAMILIES[family])
    model = copy.deepcopy(base)
    with torch.no_grad():
        for one in model.parameters():
            one.mul_(1.3)
    _, nats = retained(model, base)
    expected = 0.0
    with torch.no_grad():
        for row in ROWS:
            ids = torch.tensor([[*PREFIX, *row]])
            trained, reference = (one(input_ids=ids).logits[0, len(PREFIX) :] for one in (model, base))
            expected += float(kl_to_base(trained, reference))
    assert nats == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert nats > 1e-3


def test_chunks_change_neither_the_kl_nor_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token at a time, two, or all."""
    base = tiny("llama")
    model = copy.deepcopy(base)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(-1.0)
    found = []
    for tokens in (1, 2, 1024):
        monkeypatch.setattr(module, "HEAD_TOKENS", tokens)
        model.zero_grad()
        gradient, nats = retained(model, base)
        found.append((gradient, nats, model.get_output_embeddings().weight.grad.clone()))
    for gradient, nats, of_head in found[1:]:
        assert nats == pytest.approx(found[0][1], rel=1e-5)
        torch.testing.assert_close(gradient, found[0][0], atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(of_head, found[0][2], atol=1e-6, rtol=1e-4)


def test_the_base_has_one_chunk_of_logits_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the part: the logits that are alive together never grow beyond two chunks."""
    base = tiny("llama")
    alive: list[int] = []
    most: list[int] = []
    real = module.logits_of

    def counted(model: Any, states: torch.Tensor) -> torch.Tensor:
        import weakref

        made = real(model, states)
        alive.append(len(states))
        weakref.finalize(made, alive.remove, len(states))
        most.append(sum(alive))
        return made

    monkeypatch.setattr(module, "HEAD_TOKENS", 1)
    monkeypatch.setattr(module, "logits_of", counted)
    retained(copy.deepcopy(base), base)
    assert len(most) == 2 * sum(map(len, ROWS))
    assert max(most) <= 4  # the last chunk's may not be forgotten yet
