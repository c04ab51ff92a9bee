"""Two models right or wrong on the same items: interval, test and non-inferiority of the paired difference; pure.

Counts only: `wins` items that the first model alone has right, `losses` those that the second alone has right, n items
in all. The difference is (wins - losses) / n. A bootstrap over items says "0 +- 0" where nothing was won or lost; these
methods say what n items can exclude. Numpy and scipy only.

- Interval: Tango's score interval (Tango 1998, Statistics in Medicine 17:891-908).
- Test of no difference: McNemar's, exact (the binomial of the items that differ).
- Non-inferiority: unconditional and exact, ordered by Tango's statistic, the largest p-value over the nuisance (how
  many items differ at all), so that its error stays under its level also where almost no item differs (Chan 1998;
  Sidik 2003). With no item won or lost it asks for some log(0.05) / log(1 - margin) items: 599 for half a point at 5 %.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.conventions import CONFIDENCE

NUISANCE_GRID = 120
"""Values of the nuisance at which the exact p-value is taken; the largest counts."""
FIRST_LOOK = 17
"""One of so many of these values is tried first."""
REACH = 7.0
"""Standard deviations of the number of differing items that are summed; beyond lies less than 1e-11."""
NUISANCE_DOUBT = 1e-4
"""Berger & Boos 1994: the nuisance is searched within its interval of this error, which is added to the p-value."""
LIMIT_TOLERANCE = 1e-6
NOTHING = 1e-14
"""A number of differing items that is less likely than this is left out: of any share most numbers are."""


class Limits(NamedTuple):
    """Both ends of an interval of a difference, -1 to 1."""

    low: float
    high: float


def mcnemar(wins: int, losses: int) -> float:
    """Return McNemar's exact two-sided p-value; 1 where no item differs."""
    from scipy.stats import binomtest

    differing = wins + losses
    return float(binomtest(wins, differing, 0.5).pvalue) if differing else 1.0


def score_statistic(wins: Any, losses: Any, n: int, difference: float) -> NDArray[np.float64]:
    """Return Tango's statistic for the hypothesis that the true difference is `difference`; near normal there.

    Args:
        wins: items that only the first has right; number or array.
        losses: items that only the second has right.
        n: items.
        difference: strictly between -1 and 1.
    """
    wins, losses = np.asarray(wins, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    # maximum likelihood of the chance of a loss when the difference is held
    linear = -wins - losses + (2 * n - wins + losses) * difference
    constant = -losses * difference * (1 - difference)
    lost = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * lost + difference * (1 - difference))
    above = wins - losses - n * difference
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.where(variance > 0, above / np.sqrt(np.maximum(variance, 1e-300)), 0.0)
    return found


def tango(wins: float, losses: float, n: int, confidence: float = CONFIDENCE) -> Limits:
    """Return Tango's two-sided score interval of (wins - losses) / n; never of zero width.

    Args:
        wins: items that only the first has right; may be scaled counts.
        losses: items that only the second has right.
        n: items, at least 1.
        confidence: of the interval, both sides together.
    """
    from scipy.stats import norm

    reach = float(norm.ppf(0.5 + confidence / 2))
    centre = (wins - losses) / n

    def end(target: float, first: float, last: float) -> float:
        """Return where the falling statistic passes `target`."""
        from scipy.optimize import brentq

        edge = 1e-12
        low, high = max(first, -1 + edge), min(last, 1 - edge)

        def beyond(difference: float) -> float:
            return float(score_statistic(wins, losses, n, difference)) - target

        if low >= high or beyond(low) * beyond(high) > 0:  # nothing but wins, or nothing but losses
            return last if target < 0 else first
        return float(brentq(beyond, low, high, xtol=1e-12))

    return Limits(end(reach, -1.0, centre), end(-reach, centre, 1.0))


def p_not_worse(wins: int, losses: int, n: int, margin: float) -> float:
    """Return the one-sided p-value of "the first loses `margin` or more": small means it does not.

    Exact and unconditional. `margin` may be negative: then the hypothesis is that it does not gain more than -margin.

    Args:
        wins: items that only the first has right.
        losses: items that only the second has right.
        n: items.
        margin: largest loss that still counts as none, as a share, strictly between -1 and 1.
    """
    observed = float(score_statistic(wins, losses, n, -margin))
    shares = _nuisance(wins + losses, n, abs(margin))
    return min(1.0, float(_tails(observed, n, margin, shares).max()) + NUISANCE_DOUBT)


def is_not_worse(wins: int, losses: int, n: int, margin: float, *, level: float) -> bool:
    """Whether `p_not_worse` is at most `level`; a few shares of the nuisance often say that it is not.

    Args:
        wins, losses, n, margin: as there.
        level: error of the test.
    """
    observed = float(score_statistic(wins, losses, n, -margin))
    few = _nuisance(wins + losses, n, abs(margin))[::FIRST_LOOK]
    if min(1.0, float(_tails(observed, n, margin, few).max()) + NUISANCE_DOUBT) > level:
        return False
    return p_not_worse(wins, losses, n, margin) <= level


def p_worse(wins: int, losses: int, n: int, margin: float) -> float:
    """Return the one-sided p-value of "the first loses `margin` or less": small means it loses more.

    Args:
        wins: items that only the first has right.
        losses: items that only the second has right.
        n: items.
        margin: as in `p_not_worse`.
    """
    return p_not_worse(losses, wins, n, -margin)


def largest_loss(wins: int, losses: int, n: int, level: float = 1 - CONFIDENCE) -> float:
    """Return the smallest loss that the exact one-sided test excludes, -1 to 1: an upper limit of the loss.

    Args:
        wins: items that only the first has right.
        losses: items that only the second has right.
        n: items.
        level: error of the test.
    """
    if not is_not_worse(wins, losses, n, 1 - 1e-9, level=level):
        return 1.0
    low, high = (losses - wins) / n, 1 - 1e-9  # excluded at `high`, not at `low`
    guess = -tango(wins, losses, n, 1 - 2 * level).low
    step = max(guess - low, 1.0 / n) / 8
    for trial in (guess - step, guess + step, guess + 4 * step):  # close in before halving
        if low < trial < high:
            if not is_not_worse(wins, losses, n, trial, level=level):
                low = trial
            else:
                high = trial
    while high - low > max(LIMIT_TOLERANCE, 1e-3 * abs(high)):
        middle = (low + high) / 2
        if not is_not_worse(wins, losses, n, middle, level=level):
            low = middle
        else:
            high = middle
    return high


def items_without_flips(margin: float, level: float = 1 - CONFIDENCE) -> int:
    """Return how many items, none of them won or lost, exclude a loss of `margin`."""
    return int(np.ceil(np.log(level - NUISANCE_DOUBT) / np.log1p(-margin)))


def _nuisance(differing: int, n: int, least: float) -> NDArray[np.float64]:
    """Return shares of differing items to search: their Clopper-Pearson interval, from `least` up."""
    from scipy.stats import beta

    half = NUISANCE_DOUBT / 2
    low = float(beta.ppf(half, differing, n - differing + 1)) if differing else 0.0
    high = float(beta.ppf(1 - half, differing + 1, n - differing)) if differing < n else 1.0
    low, high = max(low, least), max(high, least)
    # denser where the share is small: there the p-value moves fastest
    return np.asarray(low + (high - low) * np.linspace(0.0, 1.0, NUISANCE_GRID) ** 2)


def _tails(observed: float, n: int, margin: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each share of items that differ, the chance of a statistic of `observed` or more at the margin."""
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    spread = REACH * np.sqrt(n * shares * (1 - shares)) + REACH
    first, last = max(0, int((n * shares - spread).min())), min(n, int((n * shares + spread).max()) + 1)
    differing = np.arange(first, last + 1)  # (m,)
    most = _most_losses(differing, observed, n, margin)
    ways = gammaln(n + 1) - gammaln(differing + 1) - gammaln(n - differing + 1)
    share = shares[:, None]  # (s, 1)
    lost = np.clip((share + margin) / (2 * np.maximum(share, 1e-300)), 0.0, 1.0)
    so_many = np.exp(ways + xlogy(differing, share) + xlog1py(n - differing, -share))  # (s, m)
    few_lost = np.broadcast_to(np.where(most >= differing, 1.0, 0.0), so_many.shape).copy()  # all of them, or none
    at = np.nonzero((so_many > NOTHING) & (most >= 0) & (most < differing))
    some, of = most[at[1]], differing[at[1]]
    few_lost[at] = betainc(of - some, some + 1, 1 - lost[at[0], 0])  # the binomial's distribution function
    found: NDArray[np.float64] = (so_many * few_lost).sum(axis=1)
    return found


def _most_losses(differing: NDArray[np.int64], observed: float, n: int, margin: float) -> NDArray[np.int64]:
    """Return the most losses among so many differing items whose statistic is still `observed`; -1: not even none."""
    low, high = np.full(len(differing), -1), differing.copy()
    near = 1e-9 * max(1.0, abs(observed))
    while (low < high).any():
        middle = (low + high + 1) // 2
        reached = score_statistic(differing - middle, middle, n, -margin) >= observed - near
        low, high = np.where(reached, middle, low), np.where(reached, high, middle - 1)
    return low
