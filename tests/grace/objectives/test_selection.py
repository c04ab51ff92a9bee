"""Which rationale is kept: margins by hand."""

from __future__ import annotations

import math

import pytest
import torch

from grace.objectives.selection import cross_entropy_sum, margins, mean_direction

ROLLOUTS = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [1.0, 1.0]]])
OTHERS = torch.tensor([[[4.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])
R = math.sqrt(0.5)


def test_margins_by_hand():
    """Cosines of text 0 with the three: (1, 0, r) and (0, 1, r); of text 1: (0, 1, r) and (r, r, 1)."""
    found = margins(ROLLOUTS, mean_direction(OTHERS))
    assert found[0].tolist() == pytest.approx([1 - R, 0 - 1])
    assert found[1].tolist() == pytest.approx([1 - R, R - 1])


def test_what_is_no_negative_is_left_out():
    """Down to nothing: then the cosine to the partner is the margin."""
    ignored = torch.tensor([[False, True, True], [False, False, True]])
    found = margins(ROLLOUTS, mean_direction(OTHERS), ignored)
    assert found[0].tolist() == pytest.approx([1.0, 0.0])
    assert found[1].tolist() == pytest.approx([1.0 - 0.0, R - R], abs=1e-6)


def test_of_several_states_of_a_text_the_mean_cosine_counts():
    """Not the cosine to their mean: (1, 0) and (0, 1) have cosine 1/2 on the average with (1, 0)."""
    partner = torch.tensor([[[5.0, 0.0], [0.0, 1.0]]])
    assert float(margins(ROLLOUTS[:1], mean_direction(partner))[0, 0]) == pytest.approx(0.5)


def test_cross_entropy_by_hand():
    """Uniform over four: log 4 a token."""
    logits = torch.zeros(3, 4)
    assert float(cross_entropy_sum(logits, torch.tensor([0, 1, 3]))) == pytest.approx(3 * math.log(4))
