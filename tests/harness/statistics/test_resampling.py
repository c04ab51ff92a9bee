"""Resampled statistics against scipy and scikit-learn on the repeated items, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from harness.statistics.resampling import (
    BOOTSTRAP_SAMPLES,
    average_precision_statistic,
    averaged,
    bootstrap,
    bootstrap_values,
    mean_statistic,
    ratio_statistic,
    resamples,
    spearman_statistic,
    values_of_parts,
)

few_values = st.lists(st.integers(-3, 3), min_size=3, max_size=25)


def repeated(counts: np.ndarray) -> np.ndarray:
    """The indices that a row of counts stands for."""
    return np.repeat(np.arange(len(counts)), counts.astype(int))


def test_a_resample_draws_n_items() -> None:
    """Every row of counts sums to n, counts are whole, and the seed decides them."""
    counts = resamples(7, np.random.default_rng(3), 50)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == counts.round()).all()
    assert (counts == resamples(7, np.random.default_rng(3), 50)).all()
    assert not (counts == resamples(7, np.random.default_rng(4), 50)).all()


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=25), seed=st.integers(0, 99)
)
def test_resampled_spearman_equals_scipy_on_the_repeated_items(pairs: list[tuple[int, int]], seed: int) -> None:
    """For any ties, the statistic of a row of counts is spearmanr of the items repeated so often."""
    x, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    counts = resamples(len(x), np.random.default_rng(seed), 4)
    found = spearman_statistic(x, y)(counts)
    for row, value in zip(counts, found, strict=True):
        places = repeated(row)
        if len(set(x[places])) < 2 or len(set(y[places])) < 2:
            assert not np.isfinite(value)
        else:
            assert value == pytest.approx(spearmanr(x[places], y[places])[0], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=3, max_size=25), seed=st.integers(0, 99))
def test_resampled_average_precision_equals_sklearn_on_the_repeated_items(
    pairs: list[tuple[int, bool]], seed: int
) -> None:
    """For any ties, the statistic of a row of counts is average_precision_score of the items repeated so often."""
    scores = np.array([score for score, _ in pairs], dtype=float)
    labels = np.array([int(label) for _, label in pairs])
    counts = resamples(len(pairs), np.random.default_rng(seed), 4)
    found = average_precision_statistic(scores, labels)(counts)
    for row, value in zip(counts, found, strict=True):
        places = repeated(row)
        if labels[places].sum() == 0:
            assert not np.isfinite(value)
        else:
            assert value == pytest.approx(average_precision_score(labels[places], scores[places]), abs=1e-12)


def test_spearman_by_hand() -> None:
    """Ranks 1 2 3 against 1 3 2 correlate by 0.5; three draws of one item by NaN."""
    statistic = spearman_statistic(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    assert statistic(np.array([[1.0, 1.0, 1.0]]))[0] == pytest.approx(0.5)
    assert statistic(np.array([[1.0, 2.0, 0.0]]))[0] == pytest.approx(1.0)
    assert statistic(np.array([[0.0, 1.0, 2.0]]))[0] == pytest.approx(-1.0)
    assert np.isnan(statistic(np.array([[0.0, 3.0, 0.0]]))[0])


def test_average_precision_by_hand() -> None:
    """Labels 1 0 1 in falling order give 1/2 * 1 + 1/2 * 2/3 = 5/6; tied with the negative the last gives 3/4 less."""
    statistic = average_precision_statistic(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1]))
    assert statistic(np.ones((1, 3)))[0] == pytest.approx(5 / 6)
    assert statistic(np.array([[1.0, 2.0, 0.0]]))[0] == pytest.approx(1.0)
    assert statistic(np.array([[0.0, 2.0, 1.0]]))[0] == pytest.approx(1 / 3)
    tied = average_precision_statistic(np.array([3.0, 1.0, 1.0]), np.array([0, 0, 1]))
    assert tied(np.ones((1, 3)))[0] == pytest.approx(1 / 3)
    assert tied(np.array([[1.0, 0.0, 2.0]]))[0] == pytest.approx(2 / 3)


def test_mean_and_ratio_by_hand() -> None:
    """The mean weighs by counts; the ratio divides sums and does not average ratios."""
    counts = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
    assert mean_statistic(np.array([1.0, 4.0, 9.0]))(counts).tolist() == [2.0, 9.0]
    ratio = ratio_statistic(np.array([1.0, 3.0, 0.0]), np.array([2.0, 4.0, 5.0]))
    assert ratio(counts).tolist() == [5 / 8, 0.0]


@pytest.mark.parametrize("parts", [[], [0], [1], [5, 1]])
def test_no_interval_where_a_part_has_under_two_items(parts: list[int]) -> None:
    """Without parts, or with one of a single item, there is no interval."""
    assert bootstrap([(n, mean_statistic(np.arange(float(n)))) for n in parts]) is None


def test_no_interval_where_most_samples_have_no_value() -> None:
    """A statistic that is NaN in most samples has no interval, and one that is NaN in few has one of the others."""
    lone = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    assert bootstrap([(2, spearman_statistic(np.array([1.0, 1.0]), np.array([0.0, 1.0])))]) is None
    some = bootstrap([(5, spearman_statistic(lone, lone))])
    assert some is not None
    assert (some.low, some.high) == (pytest.approx(1.0), pytest.approx(1.0))


def test_two_parts_are_averaged() -> None:
    """With two constant parts every sample is the mean of the two means, however many items each has."""
    found = bootstrap([(2, mean_statistic(np.full(2, 1.0))), (50, mean_statistic(np.full(50, 3.0)))])
    assert found is not None
    assert (found.stderr, found.low, found.high) == (0.0, 2.0, 2.0)


def test_the_parts_are_resampled_apart() -> None:
    """The error of the mean of two alike parts is that of one part divided by the root of two, within a tenth."""
    values = np.random.default_rng(0).normal(size=200)
    one = bootstrap([(200, mean_statistic(values))], samples=4000)
    two = bootstrap([(200, mean_statistic(values)), (200, mean_statistic(values))], samples=4000)
    assert one is not None
    assert two is not None
    assert two.stderr == pytest.approx(one.stderr / np.sqrt(2), rel=0.1)


def test_the_standard_error_of_a_mean_is_the_text_book_one() -> None:
    """Sigma over root n, within a tenth at 4000 samples."""
    values = np.random.default_rng(1).normal(size=100)
    found = bootstrap([(100, mean_statistic(values))], samples=4000)
    assert found is not None
    assert found.stderr == pytest.approx(values.std() / 10, rel=0.1)


def test_the_seed_decides_the_interval() -> None:
    """The same seed gives the same interval to the last bit, another seed another one."""
    parts = [(30, mean_statistic(np.random.default_rng(2).normal(size=30)))]
    assert bootstrap(parts) == bootstrap(parts)
    assert bootstrap(parts) != bootstrap(parts, seed=1)


def test_chunks_change_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the samples in many small chunks gives the interval of one large chunk."""
    parts = [(30, mean_statistic(np.random.default_rng(2).normal(size=30)))]
    whole = bootstrap(parts)
    monkeypatch.setattr("harness.statistics.resampling.CHUNK_CELLS", 30 * 7)
    assert BOOTSTRAP_SAMPLES % 7 != 0
    assert bootstrap(parts) == whole


def covered(draw: object, statistic: object, truth: float, *, n: int, trials: int = 600) -> float:
    """Share of `trials` data sets of `n` items whose 95 % interval holds `truth`."""
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(trials):
        found = bootstrap([(n, statistic(draw(rng, n)))], seed=trial, samples=400)  # type: ignore[operator]
        assert found is not None
        hits += found.low <= truth <= found.high
    return hits / trials


def test_the_interval_of_a_mean_covers_the_truth() -> None:
    """Of 600 samples of 60 normal values, 92 to 98 % have an interval that holds the true mean."""
    share = covered(lambda rng, n: rng.normal(3.0, 2.0, n), mean_statistic, 3.0, n=60)
    assert 0.92 <= share <= 0.98


def test_the_interval_of_spearman_covers_the_truth() -> None:
    """Of 600 samples of 120 pairs with Pearson 0.6, 92 to 98 % hold the true rank correlation 6/pi asin(0.3)."""
    shape = [[1.0, 0.6], [0.6, 1.0]]
    share = covered(
        lambda rng, n: rng.multivariate_normal([0, 0], shape, n),
        lambda pairs: spearman_statistic(pairs[:, 0], pairs[:, 1]),
        6 / np.pi * np.arcsin(0.3),
        n=120,
    )
    assert 0.92 <= share <= 0.98


def test_cells_drawn_together_have_the_values_they_have_alone() -> None:
    """And the difference of two cells' values is the bootstrap of their difference, to the last digit."""
    rng = np.random.default_rng(5)
    labels, gold = (rng.random(300) < 0.3).astype(int), np.round(rng.uniform(0, 5, 300), 1)
    cells = [
        [spearman_statistic(gold[:70], rng.normal(size=70)), average_precision_statistic(rng.normal(size=300), labels)]
        for _ in range(2)
    ]
    together = values_of_parts([70, 300], cells)
    for cell, values in zip(cells, together, strict=True):
        np.testing.assert_array_equal(values, values_of_parts([70, 300], [cell])[0])
    pairs = [(n, lambda counts, at=at: cells[0][at](counts) - cells[1][at](counts)) for at, n in enumerate((70, 300))]
    np.testing.assert_array_equal(averaged(together[0] - together[1]), bootstrap_values(pairs))


def test_a_statistic_does_not_hang_on_how_counts_lie_in_memory() -> None:
    """Rows or columns first, whole numbers in whichever type: the same values, to the last digit."""
    rng = np.random.default_rng(6)
    x, labels = rng.integers(0, 400, 5000).astype(float), rng.integers(0, 2, 5000)
    counts = rng.multinomial(5000, np.full(5000, 1 / 5000), size=3)
    for statistic in (spearman_statistic(x, rng.normal(size=5000)), average_precision_statistic(x, labels)):
        expected = statistic(counts.astype(np.float64))
        np.testing.assert_array_equal(statistic(np.asfortranarray(counts, dtype=np.float32)), expected)
        np.testing.assert_array_equal(statistic(np.ascontiguousarray(counts, dtype=np.float32)), expected)


@pytest.mark.parametrize("n", [3_000, 200_000, 300_000])
@pytest.mark.parametrize("ties", [1, 50, 100_000])
def test_ranks_are_exact_whatever_the_ties(n: int, ties: int) -> None:
    """Where sums of ranks fit into float32 and where they do not: spearmanr of the repeated items, either way round."""
    rng = np.random.default_rng(7)
    x = rng.integers(0, max(2, n // ties), n).astype(float)
    y = np.round(x + rng.normal(size=n), 2)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=1).astype(np.float32)
    places = repeated(counts[0])
    found = spearman_statistic(x, y)(counts)[0]
    assert found == pytest.approx(spearmanr(x[places], y[places])[0], abs=1e-12)
    assert spearman_statistic(y, x)(counts)[0] == found
