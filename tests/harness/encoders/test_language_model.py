"""What is written and what is trained come from the same logits, wherever the soft cap of these is configured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cells_support import nested_model, tiny_model

from harness.encoders.head import logits_of
from harness.encoders.rationale.draws import Draws, pick
from harness.encoders.rationale.generate import Sampling, generate, with_prompt
from harness.encoders.rationale.prefix_attention import prefix_attention_on
from harness.encoders.rationale.template import Template

VOCABULARY = 80
CAP = 0.25
TEXT = [20, 21, 22]
TEMPLATE = Template(prefix=(5, 6, 7), suffix=(8, 9), has_system_role=True, sha256="")


@pytest.fixture(scope="module")
def model() -> Any:
    """A model whose configuration has the cap inside its text configuration."""
    return nested_model(VOCABULARY, cap=CAP)


def last_states(model: Any) -> torch.Tensor:
    """Return the states of the text and its suffix, (5, h)."""
    ids = torch.tensor([[*TEMPLATE.prefix, *TEXT, *TEMPLATE.suffix]])
    with torch.no_grad():
        return model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, len(TEMPLATE.prefix) :]


def by_hand(model: Any, states: torch.Tensor) -> torch.Tensor:
    """Return the logits as Gemma's own code caps them."""
    return (model.get_output_embeddings()(states) / CAP).tanh() * CAP


def test_a_rationale_is_drawn_from_capped_logits(model: Any) -> None:
    """Each first token is the one that its random numbers choose with the cap; most would be others without it."""
    seeds = range(40)
    with prefix_attention_on(model):
        prompted = with_prompt(model, TEMPLATE, frozenset())
        samplings = [Sampling(max_new_tokens=1, temperature=1.0, seed=seed) for seed in seeds]
        written = [generate(prompted, [("a", TEXT)], sampling) for sampling in samplings]
    found = [rollouts[0].ids[0] for rollouts in written]
    states = last_states(model)[-1:]
    draws = [Draws(seed, ["a"], [0], VOCABULARY).next() for seed in seeds]
    capped, plain = by_hand(model, states), model.get_output_embeddings()(states)
    assert found == [int(pick(capped, 1.0, one)) for one in draws]
    assert sum(one != int(pick(plain, 1.0, draw)) for one, draw in zip(found, draws, strict=True)) > 10


def test_the_cap_is_that_of_the_text_configuration(model: Any) -> None:
    """Wherever it stands; a model without one has its head's own logits."""
    states = last_states(model)
    assert torch.allclose(logits_of(model, states), by_hand(model, states))
    plain = tiny_model("llama", VOCABULARY)
    assert torch.equal(logits_of(plain, states), plain.get_output_embeddings()(states))
