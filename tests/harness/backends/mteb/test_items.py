"""When gold scores and similarities cannot be correlated, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.backends.mteb.items import why_no_correlation

GOLD = np.array([1.0, 2.0, 3.0])
SPREAD = np.array([0.1, 0.5, 0.3])


@pytest.mark.parametrize(
    ("gold", "cosine", "said"),
    [
        (GOLD, SPREAD, None),
        (GOLD, np.full(3, 0.25), "all 3 similarities are equal, so that"),
        (GOLD, np.array([1.0, 1.0 - 6e-8, 1.0 + 2e-7]), "all 3 similarities are equal but for rounding, so that"),
        (GOLD, np.array([1.0, 1.0 - 1e-6, 1.0]), None),
        (np.full(3, 4.0), SPREAD, "all 3 gold scores are equal, so that"),
        (np.array([1.0, 1.0 + 1e-9, 1.0]), SPREAD, None),
    ],
)
def test_equal_values_have_no_rank_correlation(gold: np.ndarray, cosine: np.ndarray, said: str | None) -> None:
    """Gold scores are taken as they are; similarities that differ in the last digits alone are equal."""
    found = why_no_correlation({"gold": gold, "cosine": cosine})
    assert found is None if said is None else found is not None and found.startswith(said)


def test_other_tasks_have_nothing_to_correlate() -> None:
    """A pair classification with equal cosines has an average precision."""
    assert why_no_correlation({"label": np.array([0, 1]), "cosine": np.array([1.0, 1.0])}) is None
