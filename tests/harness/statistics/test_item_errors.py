"""How wrong a model is on one item, by hand."""

from __future__ import annotations

import numpy as np

from harness.statistics.item_errors import ITEM_ERRORS
from harness.tasks.types import EMBEDDING_TYPES


def test_errors_of_pairs_by_hand() -> None:
    """STS: ranks by gold 1 2 3 and by cosine 3 2 1 are 2 of 2, 0 and 2 of 2 apart."""
    found = ITEM_ERRORS["rank distance"].of({"gold": np.array([0.0, 1.0, 2.0]), "cosine": np.array([0.9, 0.5, 0.1])})
    assert found.tolist() == [1.0, 0.0, 1.0]


def test_errors_of_labelled_pairs_by_hand() -> None:
    """A positive below one of two negatives is wrong by half, a tie counts half; the mean of positives is 1 - AUC."""
    labels, similarity = np.array([1, 1, 0, 0]), np.array([0.9, 0.5, 0.5, 0.1])
    found = ITEM_ERRORS["wrong side"].of({"label": labels, "similarity": similarity})
    assert found.tolist() == [0.0, 0.25, 0.25, 0.0]


def test_errors_of_queries_by_hand() -> None:
    """1 minus the metric."""
    assert ITEM_ERRORS["lost metric"].of({"score": np.array([1.0, 0.25])}).tolist() == [0.0, 0.75]


def test_every_name_in_the_table_of_types_is_a_way_to_judge() -> None:
    """And no way is there that no type takes."""
    assert {row.item_error for row in EMBEDDING_TYPES.values() if row.item_error} == set(ITEM_ERRORS)
