"""Paired differences: numbers by hand, scipy as the second implementation, and what must never be zero wide."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_rel

from harness.statistics.difference import Difference, adjusted, mean_difference
from harness.statistics.paired import Estimate, Part, of_proportions, of_spread, of_statistics, spread_of_means
from harness.statistics.proportions import tango
from harness.statistics.resampling import mean_statistic, percentile_limits


def made(value: float, reach: float = 1.0, **changes: object) -> Difference:
    """Return a difference with a symmetric interval."""
    plain = {
        "value": value, "stderr": reach / 2, "low": value - reach, "high": value + reach, "n": 10, "p_value": 0.5,
    }  # fmt: skip
    return Difference(**plain | changes)  # type: ignore[arg-type]


def estimate(parts: list[Part]) -> Estimate | None:
    """Return the estimate of a mean of item scores from 0 to 1."""
    return of_spread(spread_of_means(parts), 1.0)


def test_one_part_is_the_paired_t_test() -> None:
    """Interval and p-value are scipy's."""
    rng = np.random.default_rng(0)
    own, base = rng.random(40), rng.random(40)
    ours, theirs = estimate([Part(own, base, 1.0)]), ttest_rel(own, base)
    assert ours is not None
    interval = theirs.confidence_interval(0.95)
    assert (ours.p_value, ours.low, ours.high) == pytest.approx((theirs.pvalue, interval.low, interval.high))


def test_parts_are_weighed_and_their_variances_added() -> None:
    """Weights 0.75 and 0.25, differences of variance 1 and 4 over 5 items: 0.5625 / 5 + 0.25 / 5."""
    flat = np.zeros(5)
    wave = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    found = estimate([Part(wave, flat, 0.75), Part(2 * wave, flat, 0.25)])
    assert found is not None
    assert found.stderr == pytest.approx(np.sqrt(0.5625 / 5 + 0.25 * 0.25 * 4 / 5))


@pytest.mark.parametrize("n", [20, 1000])
def test_scores_that_do_not_differ_have_an_interval(n: int) -> None:
    """Where no item differs the interval is that of no win and no loss, and p is 1: never "+0.00 [0.00, 0.00]"."""
    same = np.linspace(0.1, 0.9, n)
    found = estimate([Part(same, same, 1.0)])
    assert found is not None
    assert (found.low, found.high) == tango(0, 0, n)
    assert found.p_value == 1.0
    assert of_proportions(0, 0, n)[1:3] == tango(0, 0, n)


def test_few_items_that_differ_widen_the_interval() -> None:
    """Three queries of 300 that each win 0.1: t leaves out 0, ours holds 0.1 x the score interval of 3:0."""
    own = np.full(300, 0.5)
    own[:3] += 0.1
    found = estimate([Part(own, np.full(300, 0.5), 1.0)])
    limits = tango(3, 0, 300)
    assert found is not None
    assert found.low == pytest.approx(0.1 * limits.low)
    assert found.high == pytest.approx(0.1 * limits.high)
    assert found.p_value >= 0.25


def test_the_bootstrap_p_value_is_never_zero() -> None:
    """A difference of 5 standard errors has the smallest p-value that so many samples can show."""
    rng = np.random.default_rng(1)
    found = of_statistics([(50, mean_statistic(rng.normal(0.7, 1.0, 50)))])
    assert found is not None
    assert 0 < found.p_value <= 2 / 1001
    assert found.low > 0


@pytest.mark.parametrize("shift", [0.05, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.25])
def test_the_bootstrap_interval_leaves_out_0_just_where_p_is_under_005(shift: float) -> None:
    """Over twenty data sets a shift, some of which lie close to the edge."""
    edge = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = of_statistics([(60, mean_statistic(rng.normal(shift, 0.5, 60)))])
        assert found is not None
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05), seed
        edge += 0.02 < found.p_value < 0.1
    assert shift < 0.1 or edge


def test_the_limits_are_the_25th_values_of_a_thousand() -> None:
    """0.025 x 1001 = 25.025: of 1 to 1000 they are 25 and 976; of 999, 25 and 975."""
    assert percentile_limits(np.arange(1000, 0, -1.0)) == (25.0, 976.0)
    assert percentile_limits(np.arange(1, 1000.0)) == (25.0, 975.0)


def test_the_mean_over_tasks_adds_the_distances_to_the_limits_in_squares() -> None:
    """Values 1 and 3, limits 3 and 4 away: the mean 2 +- sqrt(9 + 16) / 2; asymmetric limits side by side."""
    found = mean_difference([made(1.0, 3.0), made(3.0, 4.0)])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, -0.5, 4.5))
    skewed = mean_difference([made(1.0, low=0.0, high=4.0), made(1.0, low=1.0, high=5.0)])
    assert skewed is not None
    assert (skewed.low, skewed.high) == pytest.approx((0.5, 1 + 5 / 2))


def test_a_mean_counts_the_tasks_that_are_clear() -> None:
    """A clear gain, a clear loss, one undecided: 1 / 1 / 1; where less is better a fall is a gain."""
    found = mean_difference([made(5.0), made(-5.0), made(0.5)])
    assert found is not None
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert made(-5.0, lower_is_better=True).is_gain
    assert made(5.0, lower_is_better=True).is_loss
    assert not made(0.5).is_gain


def test_a_task_without_an_interval_leaves_the_mean_without_one() -> None:
    """No interval is made up for it, and no p-value."""
    found = mean_difference([made(1.0), made(2.0, low=None, high=None, stderr=None)])
    assert found is not None
    assert (found.value, found.low, found.p_value) == (1.5, None, None)
    assert mean_difference([]) is None


def test_the_p_value_of_a_mean_agrees_with_its_interval() -> None:
    """Exactly 0.05 where the limit touches 0, below it where it does not reach 0."""
    touching = mean_difference([made(2.0, 2.0)])
    clear = mean_difference([made(-2.0, 1.9)])
    assert touching is not None
    assert clear is not None
    assert touching.p_value == pytest.approx(0.05)
    assert clear.p_value is not None
    assert clear.p_value < 0.05


def test_q_values_are_those_of_scipy_over_the_tested_cells() -> None:
    """0.01, 0.02, 0.04 become 0.03, 0.03, 0.04; a cell without a p-value neither counts nor gets one."""
    cells = {name: made(1.0, p_value=p) for name, p in (("a", 0.02), ("b", None), ("c", 0.01), ("d", 0.04))}
    found = adjusted(cells)
    assert [found[name].q_value for name in "abcd"] == [
        pytest.approx(0.03), None, pytest.approx(0.03), pytest.approx(0.04),
    ]  # fmt: skip
    rng = np.random.default_rng(3)
    values = rng.random(30)
    many = adjusted({number: made(1.0, p_value=value) for number, value in enumerate(values)})
    assert [many[number].q_value for number in range(30)] == pytest.approx(false_discovery_control(values))
    assert adjusted({}) == {}


def test_an_interval_that_few_changed_items_widen_is_named() -> None:
    """Three of fifty items changed: wider than Student's, not symmetric, and not called t; with all changed it is t."""
    few = np.zeros(50)
    few[:3] = (0.9, 0.5, 0.4)
    for apart, method in ((few, "t held to a score interval"), (np.linspace(-0.4, 0.6, 50), "t")):
        spread = spread_of_means([Part(apart, np.zeros(50), 1.0)])
        found = of_spread(spread, 1.0)
        assert found.method == method
        middle = (found.low + found.high) / 2
        assert (middle == pytest.approx(spread.value)) == (method == "t")
