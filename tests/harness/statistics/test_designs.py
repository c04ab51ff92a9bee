"""Items scored several times: variances by hand and by simulation of both layouts; intervals of one cell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway, ttest_1samp

from harness.statistics.designs import Term, added, crossed, nested
from harness.statistics.intervals import interval_of, wilson
from harness.statistics.items import of_columns


def test_terms_are_added_with_satterthwaites_degrees() -> None:
    """3 of 4 degrees and 1 of 9: variance 4, degrees 16 / (9/4 + 1/9); nothing at all has 1."""
    assert added([Term(3.0, 4), Term(1.0, 9)]) == (4.0, pytest.approx(16 / (9 / 4 + 1 / 9)))
    assert added([Term(0.0, 4)]) == (0.0, 1.0)


def test_one_round_is_the_plain_variance_of_a_mean() -> None:
    """Crossed and nested alike: the variance of the items over their number."""
    values = np.array([1.0, 2.0, 4.0, 7.0])
    plain = Term(values.var(ddof=1) / 4, 3)
    assert crossed(values[None, :]) == [plain]
    assert nested(values[:, None]) == [plain]


def test_rounds_that_all_agree_add_nothing() -> None:
    """Ten seeds that give the same score leave the variance over sets; items that are alike leave that over rounds."""
    values = np.array([1.0, 2.0, 4.0, 7.0])
    assert added(nested(np.repeat(values[:, None], 10, axis=1))).value == pytest.approx(values.var(ddof=1) / 4)
    assert added(crossed(np.repeat(values[:, None], 50, axis=1))).value == pytest.approx(values.var(ddof=1) / 4)


def test_the_nested_variance_is_that_of_one_round() -> None:
    """Between-set variance of the means plus what one seed has beyond the mean of K: 1/S of their sum."""
    values = np.random.default_rng(0).normal(size=(6, 10))
    within = np.mean([row.var(ddof=1) for row in values])
    expected = (values.mean(axis=1).var(ddof=1) + within * 0.9) / 6
    assert added(nested(values)).value == pytest.approx(expected)
    between = f_oneway(*values)  # the same mean squares, as scipy has them
    assert 10 * values.mean(axis=1).var(ddof=1) / within == pytest.approx(between.statistic)


@pytest.mark.parametrize("layout", ["crossed", "nested"])
def test_the_variance_is_unbiased(layout: str) -> None:
    """Over 3000 draws the estimated variance is the true one of the score within 8 %."""
    rng = np.random.default_rng(1)
    found, scores = [], []
    for _ in range(3000):
        items = rng.normal(0, 1.0, (12, 1))
        if layout == "nested":
            values = items + rng.normal(0, 2.0, (12, 10))
            scores.append(values[:, 0].mean())
            found.append(added(nested(values)).value)
        else:
            values = (items + rng.normal(0, 0.7, (1, 10)) + rng.normal(0, 1.5, (12, 10))).T
            scores.append(values.mean())
            found.append(added(crossed(values)).value)
    assert np.mean(found) == pytest.approx(np.var(scores), rel=0.08)


def test_a_cell_at_0_or_100_has_an_interval() -> None:
    """Sixty wrong answers of sixty: Wilson's 0 to 6.02, not 0 to 0."""
    cell = of_columns("Arithmetic", {"item": np.arange(60), "score": np.zeros(60)})
    assert cell is not None
    found = interval_of([(cell, 1.0)])
    assert found == wilson(0, 60)
    assert found is not None
    assert (found.low, found.high) == (0.0, pytest.approx(1.959964**2 / (60 + 1.959964**2), rel=1e-4))


def test_a_cell_of_means_has_students_interval() -> None:
    """nDCG of 30 queries: scipy's one-sample interval; a single query has none."""
    scores = np.random.default_rng(2).random(30)
    cell = of_columns("Retrieval", {"query": np.arange(30), "score": scores})
    assert cell is not None
    found, theirs = interval_of([(cell, 1.0)]), ttest_1samp(scores, 0).confidence_interval()
    assert found is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    alone = of_columns("Retrieval", {"query": [1], "score": [0.5]})
    assert alone is not None
    assert interval_of([(alone, 1.0)]) is None


def test_classification_counts_texts_and_training_samples() -> None:
    """A text right in one of two samples; the rounds are the columns `prediction_*`, by number."""
    columns = {
        "item": [0, 1, 2], "label": ["a", "b", "b"], "score": [0.5, 1.0, 0.0],
        "prediction_0": ["a", "b", "a"], "prediction_1": ["b", "b", "a"],
    }  # fmt: skip
    found = of_columns("Classification", columns)
    assert found is not None
    assert found.are_crossed
    assert found.rounds.tolist() == [[1, 0], [1, 1], [0, 0]]  # type: ignore[union-attr]


def test_clustering_takes_the_engines_seed_first() -> None:
    """The set's own score is recomputed from its clusters; the further seeds stand beside it."""
    columns = {
        "set": [0, 0, 1, 1], "label": ["a", "b", "a", "b"], "cluster": [0, 1, 0, 0],
        "v_measure_seed_1": [0.25, 0.25, 0.5, 0.5], "v_measure_seed_10": [0.1] * 4, "v_measure_seed_2": [0.2] * 4,
    }  # fmt: skip
    found = of_columns("Clustering", columns)
    assert found is not None
    assert not found.are_crossed
    assert found.rounds.tolist() == [[1.0, 0.25, 0.2, 0.1], [0.0, 0.5, 0.2, 0.1]]  # type: ignore[union-attr]
