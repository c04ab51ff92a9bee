"""The smallest difference that would have been shown: by hand, by enumeration of the interval itself, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multinomial, norm
from scipy.stats import t as student

from harness.statistics.detectable import POWER, of_bootstrap, of_flips, of_mean, of_stderr, power_of_flips
from harness.statistics.difference import Difference, mean_difference, same_record
from harness.statistics.paired import Part, of_proportions, of_spread, of_statistics, of_values, spread_of_means
from harness.statistics.proportions import tango
from harness.statistics.resampling import mean_statistic


def shown_by_enumeration(difference: float, share: float, n: int) -> float:
    """Return the chance, over all outcomes of n items, of a Tango interval that leaves out 0."""
    chances = [(share + difference) / 2, (share - difference) / 2, 1 - share]
    found = 0.0
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            limits = tango(wins, losses, n)
            if limits.low > 0 or limits.high < 0:
                found += float(multinomial.pmf([wins, losses, n - wins - losses], n, chances))
    return found


@pytest.mark.parametrize(("differing", "n"), [(0, 12), (3, 12), (6, 16)])
def test_flips_are_shown_with_the_power_by_the_interval_itself(differing: int, n: int) -> None:
    """Summed over every outcome; a little less would be shown less often."""
    least = of_flips(differing, n)
    share = max(differing / n, least)
    assert shown_by_enumeration(least, share, n) == pytest.approx(POWER, abs=1e-6)
    assert power_of_flips(0.9 * least, max(differing / n, 0.9 * least), n) < POWER


def test_without_a_flip_four_wins_show_a_difference() -> None:
    """4 - 0 is more than 1.96 x 2, and 3 - 0 less than 1.96 x sqrt(3): of 200 items 4 or more with a chance of 80 %."""
    least = of_flips(0, 200)
    three_or_fewer = sum(math.comb(200, k) * least**k * (1 - least) ** (200 - k) for k in range(4))
    assert 1 - three_or_fewer == pytest.approx(POWER, abs=1e-6)
    assert of_flips(0, 3) == 1.0


@pytest.mark.parametrize(("n", "differing"), [(100, 30), (2000, 100), (200_000, 9000)])
def test_many_flips_come_to_the_normal_formula(n: int, differing: int) -> None:
    """(1.96 + 0.84) sqrt(q / n) within a few per cent, and exact rather than equal."""
    usual = (norm.ppf(0.975) + norm.ppf(0.8)) * math.sqrt(differing) / n
    assert of_flips(differing, n) == pytest.approx(usual, rel=0.06)


@pytest.mark.parametrize("freedom", [1, 3, 9, 30.5, 400])
def test_a_mean_is_shown_with_the_power_by_the_t_test(freedom: float) -> None:
    """By simulation: a normal mean over the root of an independent chi-squared; 40,000 draws with a fixed seed."""
    rng = np.random.default_rng(5)
    draws = 40_000
    mean = rng.normal(of_stderr(1.0, freedom), 1.0, draws)
    spread = np.sqrt(rng.chisquare(freedom, draws) / freedom)
    shown = float((np.abs(mean / spread) > student.ppf(0.975, freedom)).mean())
    assert shown == pytest.approx(POWER, abs=0.008)
    assert of_stderr(3.0, freedom) == pytest.approx(3 * of_stderr(1.0, freedom))


def test_many_degrees_of_freedom_come_to_the_normal() -> None:
    """2.80 standard errors; the bootstrap has the same."""
    both = norm.ppf(0.975) + norm.ppf(0.8)
    assert of_stderr(1.0, 1e7) == pytest.approx(both)
    assert of_stderr(1.0, 5e4) == pytest.approx(both, rel=1e-3)
    assert of_bootstrap(2.0) == pytest.approx(2 * both)


def test_paired_means_are_shown_with_the_power_by_the_interval_of_a_comparison() -> None:
    """Fifteen items, the true spread known: 2,000 comparisons with a fixed seed."""
    rng, n, sd = np.random.default_rng(1), 15, 0.2
    least = of_stderr(sd / math.sqrt(n), n - 1)
    shown = 0
    for _ in range(2000):
        base = rng.random(n)
        found = of_spread(spread_of_means([Part(base + rng.normal(least, sd, n), base, 1.0)]), 1.0)
        assert found is not None
        shown += found.low > 0 or found.high < 0
    assert shown / 2000 == pytest.approx(POWER, abs=0.03)


def test_bootstrap_statistics_are_shown_with_the_power() -> None:
    """Means of a hundred items, resampled: 250 comparisons with a fixed seed."""
    rng, n = np.random.default_rng(2), 100
    least = of_bootstrap(1 / math.sqrt(n))
    shown = 0
    for _ in range(250):
        found = of_statistics([(n, mean_statistic(rng.normal(least, 1.0, n)))])
        assert found is not None
        shown += found.low > 0 or found.high < 0
    assert shown / 250 == pytest.approx(POWER, abs=0.08)


def test_each_method_brings_its_own() -> None:
    """Flips in shares; few that differ the larger of t and flips, of the size of the largest."""
    assert of_proportions(5, 3, 40).detectable == of_flips(8, 40)
    own = np.full(300, 0.5)
    own[:3] += 0.1
    few = of_spread(spread_of_means([Part(own, np.full(300, 0.5), 1.0)]), 1.0)
    assert few is not None
    assert few.detectable == pytest.approx(0.1 * of_flips(3, 300))
    assert few.detectable > of_stderr(few.stderr, 299)
    same = of_spread(spread_of_means([Part(own, own, 1.0)]), 1.0)
    assert same is not None
    assert same.detectable == of_flips(0, 300)


def test_ranks_that_are_all_the_same_could_show_nothing_that_is_known() -> None:
    """No sample of the bootstrap differs, which is no proof that the least true difference would have been seen."""
    same = of_values(np.zeros(1000))
    assert same is not None
    assert (same.low, same.high, same.p_value, same.detectable) == (0.0, 0.0, 1.0, None)
    rounded = of_values(np.tile([1e-16, -1e-16], 500))
    assert rounded is not None
    assert rounded.detectable is None
    drawn = of_values(np.random.default_rng(0).normal(0.0, 2.0, 1000))
    assert drawn is not None
    assert drawn.detectable == of_bootstrap(drawn.stderr)


def test_a_mean_over_tasks_adds_squares() -> None:
    """3 and 4 over two tasks are 2.5; one stored cell for both adds nothing; unknown stays unknown."""
    assert of_mean([3.0, 4.0]) == 2.5
    assert of_mean([3.0, None]) is None
    assert of_mean([]) is None
    made = [Difference(value=0.0, stderr=1.0, low=-2.0, high=2.0, n=5, detectable=one) for one in (3.0, 4.0)]
    found = mean_difference(made)
    assert found is not None
    assert found.detectable == 2.5
    assert found.is_undecided
    with_same = mean_difference([made[0], same_record(5)])
    assert with_same is not None
    assert with_same.detectable == 1.5
    assert not same_record(5).is_undecided
