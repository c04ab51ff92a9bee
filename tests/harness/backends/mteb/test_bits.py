"""Bits are as like as their Hamming distance says, to the last digit: scipy's is the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import hamming

from harness.backends.mteb.bits import cosines, exact_cosines, paired_cosines


@pytest.mark.parametrize("dimension", [1, 7, 44, 64, 128, 384, 768])
def test_equal_hamming_distances_are_equal_cosines(dimension: int) -> None:
    """One value for each distance, whichever bits differ: 1 less twice the share of bits that do."""
    rng = np.random.default_rng(dimension)
    one, other = (np.where(rng.normal(size=(60, dimension)) > 0, 1, -1).astype(np.float32) for _ in range(2))
    other[:20] = one[:20]
    wanted = np.array([[hamming(a, b) for b in other] for a in one])
    made = np.asarray(cosines(one, other))
    assert np.allclose(made, 1 - 2 * wanted, rtol=0, atol=1e-15)
    assert len(np.unique(made)) == len(np.unique(np.round(wanted * dimension)))
    assert np.array_equal(np.asarray(paired_cosines(one, other)), np.diagonal(made))
    assert np.asarray(cosines(one[0], other)).shape == (1, 60)


def test_mtebs_evaluators_take_them_and_give_them_back() -> None:
    """Of pairs, with and without a graded gold score, and of summaries."""
    from mteb._evaluators import any_sts_evaluator, pair_classification_evaluator
    from mteb._evaluators.text import summarization_evaluator

    before = any_sts_evaluator.paired_cosine_distances
    bits = np.where(np.random.default_rng(0).normal(size=(9, 12)) > 0, 1, -1).astype(np.float32)
    with exact_cosines():
        assert summarization_evaluator.cos_sim is cosines
        for module in (any_sts_evaluator, pair_classification_evaluator):
            assert np.array_equal(1 - module.paired_cosine_distances(bits, bits), np.ones(9))
            assert module.paired_cosine_distances is not before
    assert any_sts_evaluator.paired_cosine_distances is before
