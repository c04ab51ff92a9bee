"""The value of a single item against small numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics.item_values import b_cubed, values_of


def test_b_cubed_is_the_harmonic_mean_of_both_shares() -> None:
    """Labels a a a b in clusters 0 0 1 1: the first a has precision 2/2 and recall 2/3, the last 1/2 and 1/3."""
    found = b_cubed(["a", "a", "a", "b"], [0, 0, 1, 1])
    assert found == pytest.approx([0.8, 0.8, 0.4, 2 * 0.5 * 1 / 1.5])
    assert b_cubed(["a", "b"], [7, 3]) == pytest.approx([1.0, 1.0])


def test_a_querys_value_is_its_own_metric() -> None:
    """By the query's name, in the order of the rows."""
    found = values_of({"query": np.array(["q2", "q1"]), "score": np.array([0.25, 1.0])})
    assert found is not None
    assert (found.names, found.values.tolist(), found.row.tolist()) == (("q2", "q1"), [0.25, 1.0], [0, 1])


def test_a_pair_is_judged_by_its_rank() -> None:
    """Gold 0 1 2 against cosines .1 .9 .5: the ends are right or one of two places off."""
    found = values_of({"item": np.arange(3), "gold": np.array([0.0, 1, 2]), "cosine": np.array([0.1, 0.9, 0.5])})
    assert found is not None
    assert found.values.tolist() == [1.0, 0.5, 0.5]


def test_a_labelled_pair_is_judged_by_the_pairs_of_the_other_label() -> None:
    """A match below one of two others stands on the wrong side of half of them."""
    columns = {"item": np.arange(3), "label": np.array([1, 0, 0]), "similarity": np.array([0.5, 0.9, 0.1])}
    found = values_of(columns)
    assert found is not None
    assert found.values.tolist() == [0.5, 0.0, 1.0]


def test_a_set_has_its_v_measure_and_its_texts_their_own_value() -> None:
    """The first set is clustered as labelled, the second all into one cluster, whose homogeneity is 0."""
    found = values_of(
        {
            "set": np.array([0, 0, 1, 1]),
            "item": np.array([0, 1, 0, 1]),
            "label": np.array(["a", "b", "a", "b"]),
            "cluster": np.array([1, 0, 0, 0]),
        }
    )
    assert found is not None
    assert found.names == ("set 0", "set 1")
    assert found.values == pytest.approx([1.0, 0.0])
    assert found.of_rows == pytest.approx([1.0, 1.0, 2 / 3, 2 / 3])
    assert found.item_of_row is not None
    assert found.item_of_row.tolist() == [0, 0, 1, 1]


def test_a_drawn_text_is_worth_the_mean_over_its_draws() -> None:
    """Text 4 is clustered alone in the first draw, and with another label in the second."""
    found = values_of(
        {
            "level": np.zeros(4, dtype=int),
            "experiment": np.array([0, 0, 1, 1]),
            "item": np.array([4, 9, 4, 9]),
            "label": np.array(["a", "b", "a", "b"]),
            "cluster": np.array([0, 1, 0, 0]),
        }
    )
    assert found is not None
    assert found.names == ("4", "9")
    assert found.values == pytest.approx([5 / 6, 5 / 6])
    assert found.row.tolist() == [0, 1]


def test_columns_without_a_value_have_none() -> None:
    """Such as those of a metric that is no mean over items."""
    assert values_of({"item": np.arange(2), "answers": np.array(["a", "b"])}) is None
