"""What is picked out of a block of scores: the same on every device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.search.best import Best, ScoreNotFiniteError, by_numpy, by_torch
from harness.search.keys import NOTHING, places_of, scores_of


@pytest.mark.parametrize("pick", [by_numpy, by_torch])
@pytest.mark.parametrize("is_part", [False, True])
def test_what_is_not_below_is_picked_row_after_row(pick, is_part):
    """Equal to the least, infinite and NaN are; also of scores that are a part of a wider tile."""
    rows = [[1.0, 2.0, float("nan")], [float("-inf"), 5.0, 4.0], [float("inf"), -3.0, -2.0]]
    scores = torch.tensor([[*row, 9.0] for row in rows])[:, :3] if is_part else torch.tensor(rows)
    assert pick(scores, torch.tensor([2.0, 5.0, -2.0])).tolist() == [1, 2, 4, 6, 8]


def test_the_best_of_blocks_is_the_best_of_all():
    """Four queries, in two blocks of rows; a query with fewer documents than k has nothing in the rest."""
    scores = torch.from_numpy(np.random.default_rng(0).integers(0, 9, size=(4, 50)).astype(np.float32))
    places = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    best = Best(4, 6, 10, "cpu")
    for start in range(0, 50, 10):
        for first in (0, 2):
            best.add(first, scores[first : first + 2, start : start + 10], places[start : start + 10])
    keys = torch.from_numpy(best.taken())
    for row in range(4):
        expected = sorted(zip(scores[row].tolist(), places.tolist(), strict=True), reverse=True)[:6]
        found = zip(scores_of(keys[row]).tolist(), places_of(keys[row]).tolist(), strict=True)
        assert list(found) == expected
    few = Best(1, 3, 10, "cpu")
    few.add(0, scores[:1, :2], places[:2])
    assert few.taken()[0, 2] == NOTHING


@pytest.mark.parametrize("room", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 8, 30])
def test_reservoirs_that_fill_unlike_fast_are_cut_apart(room, k):
    """Scores of the first query only rise, of the second only fall, the third's are all equal: ids decide there."""
    rise = torch.arange(200, dtype=torch.float32)
    scores = torch.stack([rise, -rise, torch.zeros(200)])
    places = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    best = Best(3, k, room, "cpu")
    for start in range(0, 200, room):
        best.add(0, scores[:, start : start + room], places[start : start + room])
    for row, keys in enumerate(torch.from_numpy(best.taken())):
        expected = sorted(zip(scores[row].tolist(), places.tolist(), strict=True), reverse=True)[:k]
        assert list(zip(scores_of(keys).tolist(), places_of(keys).tolist(), strict=True)) == expected


def test_a_score_that_would_be_kept_has_to_be_finite():
    """Minus infinity is kept where nothing is better yet."""
    best = Best(1, 1, 1, "cpu")
    with pytest.raises(ScoreNotFiniteError, match="1 of 1 similarities"):
        best.add(0, torch.tensor([[-torch.inf]]), torch.tensor([0]))
