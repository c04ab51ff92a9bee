"""Keys of scores and documents: their order is that of (score, place), and both come out as they went in."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from harness.search.keys import NOTHING, keys_of, places_of, scores_of

TINY = float(np.float32(1e-45))
SCORES = (-3.4e38, -1.5, -1.0, -TINY, 0.0, TINY, 1.0, float(np.nextafter(np.float32(1), np.float32(2))), 3.4e38)
PLACES = (0, 1, 2**31 - 1, 2**31, 2**32 - 1)


def test_keys_are_in_the_order_of_scores_then_places():
    """Negative, smallest, zero, neighbours of 1, largest; places with and without the 32nd bit."""
    pairs = list(itertools.product(SCORES, PLACES))
    scores, places = torch.tensor([one for one, _ in pairs]), torch.tensor([one for _, one in pairs])
    keys = keys_of(scores, places)
    assert keys.tolist() == sorted(set(keys.tolist()))
    assert keys.min() > NOTHING
    assert torch.equal(scores_of(keys), scores)
    assert torch.equal(places_of(keys), places)


def test_minus_zero_is_zero():
    """The two are equal scores, though their bits differ."""
    places = torch.tensor([5, 4])
    minus, plus = keys_of(torch.tensor([-0.0, -0.0]), places), keys_of(torch.tensor([0.0, 0.0]), places)
    assert torch.equal(minus, plus)
