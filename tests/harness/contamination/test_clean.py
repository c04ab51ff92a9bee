"""Scores over clean items, against the metric of those items worked out without our code."""

from __future__ import annotations

import numpy as np
import pytest
from cells_support import make_score

from harness.contamination.clean import clean_score
from harness.statistics.items import of_columns, of_scores

PLACE = ("t", "test", "default")
OTHER = ("u", "test", "default")


def test_a_mean_is_that_of_the_clean_items() -> None:
    """Scores 1 1 0 0 of which the first is touched: 50 over all, a third over the rest."""
    score = make_score(type="Retrieval", score=50.0, n=4)
    found = clean_score(
        score, {PLACE: of_scores(["a", "b", "c", "d"], np.array([1.0, 1, 0, 0]))}, {PLACE: frozenset("a")}
    )
    assert found.clean == pytest.approx(100 / 3)
    assert (found.n, found.n_clean) == (4, 3)
    assert found.difference == pytest.approx(100 / 3 - 50)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high


def test_a_correlation_is_that_of_the_clean_pairs() -> None:
    """As scipy has it over the pairs that are left."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    gold = rng.normal(size=60)
    cosine = gold + rng.normal(size=60)
    touched = frozenset(str(item) for item in range(0, 60, 7))
    kept = [item for item in range(60) if str(item) not in touched]
    columns = {"item": np.arange(60), "gold": gold, "cosine": cosine}
    whole = 100 * float(spearmanr(gold, cosine).statistic)
    found = clean_score(make_score(score=whole, n=60), {PLACE: of_columns("STS", columns)}, {PLACE: touched})
    assert found.clean == pytest.approx(100 * float(spearmanr(gold[kept], cosine[kept]).statistic))
    assert found.difference == pytest.approx(found.clean - whole)


def test_the_interval_is_that_of_a_bootstrap_over_all_items() -> None:
    """Drawn by hand, item by item: both scores of every sample are over the same draws."""
    rng = np.random.default_rng(2)
    scores = rng.random(200)
    touched = np.arange(200) < 60
    score = make_score(type="Retrieval", score=100 * scores.mean(), n=200)
    names = frozenset(map(str, np.flatnonzero(touched)))
    found = clean_score(score, {PLACE: of_scores(range(200), scores)}, {PLACE: names})
    draws = rng.integers(0, 200, size=(4000, 200))
    drawn, kept = scores[draws], ~touched[draws]
    by_hand = 100 * ((drawn * kept).sum(axis=1) / kept.sum(axis=1) - drawn.mean(axis=1))
    assert [found.low, found.high] == pytest.approx(list(np.quantile(by_hand, [0.025, 0.975])), abs=0.25)


def test_parts_weigh_as_in_the_score() -> None:
    """Subsets alike; parts of an ability task by the clean items that are left of them."""
    parts = {
        PLACE: of_scores(["a", "b"], np.array([1.0, 0.0])),
        OTHER: of_scores(list("cdef"), np.array([1.0, 1.0, 0.0, 0.0])),
    }
    touched = {PLACE: frozenset("b")}
    embedding = clean_score(make_score(type="Retrieval", score=50.0, n=6), parts, touched)
    assert embedding.clean == pytest.approx(100 * (1.0 + 0.5) / 2)
    ability = clean_score(make_score(axis="ability", type="Ability", score=50.0, n=6), parts, touched)
    assert ability.clean == pytest.approx(100 * 3 / 5)


def test_without_touched_items_nothing_changes() -> None:
    """The difference is 0, and nothing is resampled."""
    found = clean_score(make_score(type="Retrieval"), {PLACE: of_scores(["a"], np.array([0.5]))}, {})
    assert (found.clean, found.difference, found.low, found.n_clean) == (50.0, 0.0, None, 1)


def test_why_there_is_no_clean_score_is_said() -> None:
    """A set of texts, a cell without items, a part of which nothing is left."""
    one = {PLACE: of_scores(["a"], np.array([0.5]))}
    assert clean_score(make_score(type="Clustering"), one, {}).why.startswith("its items are sets")
    assert clean_score(make_score(items_missing="lost"), None, {}).why == "no per-item results: lost"
    gone = clean_score(make_score(type="Retrieval"), one, {PLACE: frozenset("a")})
    assert (gone.clean, gone.why) == (None, "no clean item is left in t test default")
