"""The KL term to the base: over the logits that the model writes with."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cells_support import nested_model

from grace.objectives.losses import kl_to_base
from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from grace.training.contrastive.step import ContrastiveStep, Part

CAP = 0.25


def test_the_base_is_retained_over_capped_logits() -> None:
    """Also where the soft cap stands in a text configuration inside the model's own."""
    base = nested_model(80, cap=CAP)
    model = copy.deepcopy(base)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(-1.0)  # tied: the states are others too
    packing = Packing((5, 6), [(20, 21, 22), (23, 24)], "cpu")
    states = {}
    for one in (model, base):
        with packed_attention_on(one), torch.no_grad():
            states[one] = forward(one.base_model, packing)
    step = object.__new__(ContrastiveStep)
    step._session = SimpleNamespace(trained=SimpleNamespace(model=model, base=lambda: nullcontext(base)))  # type: ignore[assignment]
    _, nats = step._retain(states[model], Part([0, 1], packing, 0), 1.0)

    def logits(one: Any, capped: bool) -> torch.Tensor:
        plain = one.get_output_embeddings()(states[one])
        return (plain / CAP).tanh() * CAP if capped else plain

    expected, uncapped = (float(kl_to_base(logits(model, is_), logits(base, is_)).detach()) for is_ in (True, False))
    assert nats == pytest.approx(expected, rel=1e-5)
    assert expected < 0.5 * uncapped
