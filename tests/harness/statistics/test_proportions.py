"""Paired proportions against hand-made tables, a second implementation and full enumeration."""

from __future__ import annotations

import itertools
from math import comb, factorial

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from harness.statistics.proportions import (
    NUISANCE_DOUBT,
    is_not_worse,
    items_without_flips,
    largest_loss,
    mcnemar,
    p_not_worse,
    p_worse,
    score_statistic,
    tango,
)


def test_mcnemar_is_the_binomial_of_the_items_that_differ() -> None:
    """One win and seven losses: 2 (1 + 8) / 2^8; none at all: 1; and scipy's exact binomial on a grid."""
    assert mcnemar(1, 7) == pytest.approx(2 * (comb(8, 0) + comb(8, 1)) / 2**8)
    assert mcnemar(0, 0) == 1.0
    for wins, losses in itertools.product(range(6), range(1, 9)):
        assert mcnemar(wins, losses) == binomtest(losses, wins + losses, 0.5).pvalue


@pytest.mark.parametrize(("wins", "losses", "n", "difference"), [(3, 9, 40, 0.05), (0, 4, 25, -0.1), (7, 0, 30, 0.02)])
def test_the_statistic_is_the_score_at_the_restricted_likelihood(
    wins: int, losses: int, n: int, difference: float
) -> None:
    """The chance of a loss that the closed form finds is the one a numerical search of the likelihood finds."""

    def unlikely(lost: float) -> float:
        same = 1 - 2 * lost - difference
        if lost < 0 or lost + difference < 0 or same <= 0:
            return np.inf
        parts = [(wins, lost + difference), (losses, lost), (n - wins - losses, same)]
        return -sum(count * np.log(max(chance, 1e-300)) for count, chance in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    lost = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    expected = (wins - losses - n * difference) / np.sqrt(n * (2 * lost + difference - difference**2))
    assert float(score_statistic(wins, losses, n, difference)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n", [1, 7, 100, 14042])
def test_no_flips_is_no_zero_width_interval(n: int) -> None:
    """With no item won or lost the interval is +- z^2 / (n + z^2): 3.70 points at 100 items."""
    square = float(norm.ppf(0.975)) ** 2
    found = tango(0, 0, n)
    assert found == (pytest.approx(-square / (n + square)), pytest.approx(square / (n + square)))


def test_the_interval_turns_round_with_its_models_and_holds_the_difference() -> None:
    """Swapping wins and losses swaps and negates the limits, which lie on both sides of the difference."""
    for wins, losses, n in itertools.product((0, 1, 5, 20), (0, 2, 11), (40, 300)):
        one, other = tango(wins, losses, n), tango(losses, wins, n)
        assert one.low == pytest.approx(-other.high, abs=1e-9)
        assert one.low < (wins - losses) / n < one.high
    square = float(norm.ppf(0.975)) ** 2
    assert tango(30, 0, 30) == (pytest.approx((30 - square) / (30 + square)), 1.0)  # z^2 = n (1 - d) / (1 + d)


def chance(outcomes: list[tuple[int, int]], n: int, margin: float, share: float) -> float:
    """Return the chance of any of the (wins, losses) when `share` of the items differ and `margin` is lost."""
    won, lost, same = (share - margin) / 2, (share + margin) / 2, max(0.0, 1 - share)
    return sum(
        factorial(n) / factorial(b) / factorial(c) / factorial(n - b - c) * won**b * lost**c * same ** (n - b - c)
        for b, c in outcomes
    )


def enumerated(wins: int, losses: int, n: int, margin: float) -> float:
    """Return the exact p-value by summing the trinomial over every outcome, on a grid of the nuisance."""
    observed = float(score_statistic(wins, losses, n, -margin))
    tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    tail = [one for one in tables if float(score_statistic(*one, n, -margin)) >= observed - 1e-9]
    within = binomtest(wins + losses, n).proportion_ci(1 - NUISANCE_DOUBT)
    shares = np.linspace(max(margin, within.low), within.high, 400)
    return max(chance(tail, n, margin, share) for share in shares) + NUISANCE_DOUBT


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 12), (1, 0, 10), (2, 3, 12), (0, 2, 9), (5, 1, 11)])
def test_the_exact_p_value_is_that_of_full_enumeration(wins: int, losses: int, n: int) -> None:
    """At a margin of 0.2, all tables of n items summed one by one give it."""
    assert p_not_worse(wins, losses, n, 0.2) == pytest.approx(enumerated(wins, losses, n, 0.2), abs=1e-4)


@pytest.mark.parametrize(("n", "margin"), [(12, 0.2), (20, 0.1)])
def test_the_test_errs_in_at_most_five_percent_at_the_margin(n: int, margin: float) -> None:
    """All tables that it calls not worse, summed: never above 5 %, whatever share of the items differs."""
    tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    called = [one for one in tables if p_not_worse(*one, n, margin) <= 0.05]
    assert called
    assert max(chance(called, n, margin, share) for share in np.linspace(margin, 1, 60)) <= 0.05


def test_so_many_items_without_a_flip_exclude_half_a_point() -> None:
    """0.995^n first falls under 5 % at 598 items, at 599 with the search's own error; 100 exclude no less than 2.95."""
    assert 0.995**598 < 0.05 < 0.995**597
    assert items_without_flips(0.005) == 599
    assert p_not_worse(0, 0, 599, 0.005) <= 0.05 < p_not_worse(0, 0, 598, 0.005)
    assert largest_loss(0, 0, 100) == pytest.approx(1 - (0.05 - NUISANCE_DOUBT) ** (1 / 100), abs=1e-4)
    assert largest_loss(0, 0, 100) == pytest.approx(0.0295, abs=1e-4)


def test_the_largest_loss_is_where_the_test_turns() -> None:
    """Just above it the loss is excluded, just below it is not; more losses leave a larger one."""
    for wins, losses in ((0, 0), (2, 3), (0, 6)):
        limit = largest_loss(wins, losses, 200)
        assert p_not_worse(wins, losses, 200, limit * 1.01) <= 0.05 < p_not_worse(wins, losses, 200, limit * 0.98)
    limits = [largest_loss(1, losses, 200) for losses in range(5)]
    assert limits == sorted(limits)


def test_worse_is_not_worse_turned_round() -> None:
    """Thirty losses of a hundred exceed a margin of half a point; one does not; both tests never reject at once."""
    assert p_worse(0, 30, 100, 0.005) < 0.01
    assert p_worse(0, 1, 100, 0.005) > 0.05
    for wins, losses in itertools.product((0, 1, 10), (0, 1, 5, 40)):
        assert min(p_worse(wins, losses, 100, 0.005), 1) + p_not_worse(wins, losses, 100, 0.005) > 0.9


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 600), (3, 9, 400), (60, 80, 1000), (20, 5, 60)])
def test_a_first_look_never_decides_otherwise(wins: int, losses: int, n: int) -> None:
    """At every margin around the limit the yes or no is that of the p-value itself."""
    limit = largest_loss(wins, losses, n)
    for margin in (limit - 0.02, limit - 1e-4, limit + 1e-4, limit + 0.02, 0.3):
        expected = p_not_worse(wins, losses, n, margin) <= 0.05
        assert is_not_worse(wins, losses, n, margin, level=0.05) == expected
