"""Sampled answers: transformers' filters, each row's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

from harness.backends.lm_eval.sampling import Answer, SampleByRow, check
from harness.errors import HarnessError

SCORES = torch.tensor([[2.0, 1.0, 0.0, -1.0, -3.0]])


def drawn(arguments: dict, answers: list[Answer], *, seed: int = 0, scores: torch.Tensor = SCORES) -> list[int]:
    """Return the token that is drawn for each answer from the first row of `scores`."""
    rows = scores.expand(len(answers), -1)
    ids = torch.zeros((len(answers), 3), dtype=torch.long)
    left = SampleByRow(arguments, seed, answers)(ids, rows)
    assert ((left == 0).sum(dim=1) == 1).all()
    assert torch.isneginf(left).sum() == left.numel() - len(answers)
    return left.argmax(dim=1).tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": 1.0}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 0},
        {"temperature": 2.0, "top_k": 4, "top_p": 0.8}, {"temperature": 0.2, "top_p": 0.95, "min_p": 0.01},
    ],
)  # fmt: skip
def test_tokens_have_the_probabilities_that_transformers_gives_them(arguments):
    """20,000 draws against the softmax after transformers' own processors, by chi-square at the 0.1% level."""
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **arguments})
    config._eos_token_tensor = None
    processors = GenerationMixin()._get_logits_processor(config)
    expected = torch.softmax(processors(torch.zeros((1, 3), dtype=torch.long), SCORES).double(), dim=-1)[0].numpy()
    count = 20_000
    found = np.bincount(drawn(arguments, [Answer("prompt", number) for number in range(count)]), minlength=5)
    likely = expected > 1e-3
    assert found[expected == 0].sum() == 0
    assert found[~likely].sum() <= 30
    share = expected[likely] / expected[likely].sum()
    assert likely.sum() == 1 or chisquare(found[likely], share * found[likely].sum()).pvalue > 0.001


def test_tokens_depend_on_seed_prompt_and_answer_alone():
    """Rows may stand anywhere; two answers to one prompt differ."""
    flat = torch.zeros((1, 50_000))

    def one(*answers: Answer, seed: int = 0) -> list[int]:
        return drawn({}, list(answers), seed=seed, scores=flat)

    rows = one(Answer("a", 0), Answer("b", 0), Answer("a", 1), Answer("a", 0))
    assert rows[0] == rows[3]
    assert one(Answer("a", 1)) == [rows[2]]
    assert one(Answer("b", 0)) == [rows[1]]
    assert len({*rows, *one(Answer("a", 0), seed=1)}) == 4


def test_each_position_has_numbers_of_its_own():
    """A second call is the second position: the same tokens come up whether a row stands alone or among others."""
    scores, ids = torch.zeros((2, 50_000)), torch.zeros((2, 3), dtype=torch.long)
    both = SampleByRow({}, 0, [Answer("a", 0), Answer("b", 0)])
    alone = SampleByRow({}, 0, [Answer("b", 0)])
    together = [both(ids, scores)[1].argmax().item() for _ in range(3)]
    assert together == [alone(ids[:1], scores[:1])[0].argmax().item() for _ in range(3)]
    assert len(set(together)) == 3


def test_an_argument_that_is_not_known_is_named():
    """Rather than ignored."""
    check({"do_sample": True, "temperature": 0.8, "top_p": 0.9})
    with pytest.raises(HarnessError, match=r"temperature, top_k, top_p, min_p.*not typical_p"):
        check({"do_sample": True, "typical_p": 0.9})
