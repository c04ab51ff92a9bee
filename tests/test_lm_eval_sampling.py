"""Sampled answers: transformers' filters, each row's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

from harness.backends.lm_eval_sampling import SampleByRow, check, draws_of
from harness.errors import HarnessError

SCORES = torch.tensor([[2.0, 1.0, 0.0, -1.0, -3.0]])


def drawn(arguments: dict, draws: np.ndarray, scores: torch.Tensor = SCORES) -> list[int]:
    """Return the token that each of (n,) draws chooses from the first row of `scores`."""
    rows = scores.expand(len(draws), -1)
    ids = torch.zeros((len(draws), 3), dtype=torch.long)
    left = SampleByRow(arguments, draws[:, None], prompt_tokens=3)(ids, rows)
    assert ((left == 0).sum(dim=1) == 1).all()
    assert torch.isneginf(left).sum() == left.numel() - len(draws)
    return left.argmax(dim=1).tolist()


def test_a_draw_takes_the_token_where_the_cumulated_probability_passes_it():
    """By hand: probabilities 1/2, 1/3, 1/6 have their borders at 0.5 and 0.8333."""
    scores = torch.log(torch.tensor([[3.0, 2.0, 1.0]]))
    assert drawn({}, np.array([0.0, 0.49, 0.51, 0.83, 0.84, 0.999]), scores) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": 1.0}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 0},
        {"temperature": 2.0, "top_k": 4, "top_p": 0.8}, {"temperature": 0.2, "top_p": 0.95, "min_p": 0.01},
    ],
)  # fmt: skip
def test_tokens_have_the_probabilities_that_transformers_gives_them(arguments):
    """20,000 evenly spread draws against the softmax after transformers' own processors."""
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **arguments})
    config._eos_token_tensor = None
    processors = GenerationMixin()._get_logits_processor(config)
    expected = torch.softmax(processors(torch.zeros((1, 3), dtype=torch.long), SCORES), dim=-1)[0].numpy()
    count = 20_000
    found = np.bincount(drawn(arguments, (np.arange(count) + 0.5) / count), minlength=5)
    np.testing.assert_allclose(found / count, expected, atol=1e-4)


def test_numbers_depend_on_seed_prompt_and_answer_alone():
    """Rows may stand anywhere; two answers to one prompt differ, two like documents do not."""
    draws = draws_of(0, ["a", "b", "a", "a"], [0, 0, 1, 0], 4)
    assert draws.shape == (4, 4)
    assert (draws[0] == draws[3]).all()
    assert (draws_of(0, ["a"], [1], 4)[0] == draws[2]).all()
    assert (draws_of(0, ["b"], [0], 2)[0] == draws[1][:2]).all()
    others = [draws[1], draws[2], draws_of(1, ["a"], [0], 4)[0]]
    assert all((draws[0] != other).any() for other in others)
    many = draws_of(0, [str(number) for number in range(500)], [0] * 500, 8).ravel()
    assert chisquare(np.histogram(many, bins=10, range=(0, 1))[0]).pvalue > 0.001


def test_an_argument_that_is_not_known_is_named():
    """Rather than ignored."""
    check({"do_sample": True, "temperature": 0.8, "top_p": 0.9})
    with pytest.raises(HarnessError, match=r"temperature, top_k, top_p, min_p.*not typical_p"):
        check({"do_sample": True, "typical_p": 0.9})
