"""The smallest true difference that a comparison would have shown, at 80 % power: pure functions; numpy and scipy only.

What is asked of each is its own test: that the paired 95 % interval leaves out 0, on the wrong side of it too, which at
this power hardly ever happens. With s the standard error of the difference, as it was seen:

- Student's t with v degrees of freedom: d = L s, L the noncentrality at which P(|T_v(L)| > t_v(0.975)) = 0.8, exact
  (about t_v(0.975) + t_v(0.8); Cohen 1988, ch. 2);
- right or wrong: of n items a share q differs, as was seen, or d where that is more. The number that differ is binomial
  (n, q), those of them that are won binomial with (1 + d / q) / 2, and the score interval leaves out 0 where
  |won - lost| > 1.96 sqrt(won + lost) (Tango 1998 at 0): d is the least for which the sum of those chances is 0.8;
- the bootstrap: d = (1.960 + 0.842) s, its values taken as normal;
- where few items differ, so that t is held to a score interval: the larger of the two;
- a mean over tasks: the square root of the sum of the tasks' d squared, over their number, as its limits are.

It says what the items could show, not what the models are: the nuisance, how much items scatter or how many differ, is
that of these two models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from harness.statistics.conventions import CONFIDENCE, NORMAL_QUANTILE

POWER = 0.8
"""Chance of an interval that leaves out 0."""
NORMAL_POWER_QUANTILE = 0.8416212335729143
"""Of `POWER`, where a figure is normal."""
_NORMAL_FROM = 1e5
"""Degrees of freedom from which Student's t is the normal."""
_NODES = 200
"""Quantiles of the standard error that are summed (Gauss-Legendre)."""
_REACH = 8.0
"""Standard deviations of the number of differing items that are summed."""
_TOLERANCE = 1e-9


def of_stderr(stderr: float, freedom: float) -> float:
    """Return what Student's t with `freedom` degrees of freedom shows, in the unit of `stderr`; 0 where that is 0."""
    return _noncentrality(max(1.0, round(freedom, 3))) * stderr


def of_bootstrap(stderr: float) -> float:
    """Return what a bootstrap of this standard error shows, in its unit."""
    return (NORMAL_QUANTILE + NORMAL_POWER_QUANTILE) * stderr


def of_flips(differing: int, n: int) -> float:
    """Return what `n` right-or-wrong items show, of which `differing` were won or lost: a share, 0 to 1.

    1 where even all of n items won would not be enough (n under 4).
    """
    from scipy.optimize import brentq

    seen = differing / n

    def lacks(difference: float) -> float:
        return power_of_flips(difference, max(seen, difference), n) - POWER

    if lacks(1.0) < 0:
        return 1.0
    return float(brentq(lacks, 1e-12, 1.0, xtol=_TOLERANCE))


def power_of_flips(difference: float, share: float, n: int) -> float:
    """Return the chance that the score interval of n items leaves out 0, exact up to 1e-14.

    Args:
        difference: true, of the shares won and lost, above 0.
        share: of items that differ, at least `difference`.
        n: items.
    """
    from scipy.stats import binom

    spread = _REACH * math.sqrt(n * share * (1 - share)) + _REACH
    differing = np.arange(max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread)) + 1)
    # won - lost = 2 won - differing; strictly more than the quantile's share of the root
    reach = NORMAL_QUANTILE * np.sqrt(differing)
    least = np.floor((differing + reach) / 2 + _TOLERANCE) + 1
    most = np.ceil((differing - reach) / 2 - _TOLERANCE) - 1
    won = (1 + difference / share) / 2
    shown = binom.sf(least - 1, differing, won) + binom.cdf(most, differing, won)
    return float((binom.pmf(differing, n, share) * shown).sum())


def of_mean(each: Sequence[float | None]) -> float | None:
    """Return what a mean over tasks shows by what each of them does; None where one is unknown, or there is none."""
    if not each or any(one is None for one in each):
        return None
    return math.sqrt(sum(one**2 for one in each if one is not None)) / len(each)


@lru_cache(maxsize=4096)
def _noncentrality(freedom: float) -> float:
    """Return how many standard errors from 0 a mean lies whose test has the power.

    The chance is summed over the quantiles of the standard error, whose square is chi-squared over its degrees of
    freedom: scipy's noncentral t has no value in the far tail.
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm
    from scipy.stats import t as student

    if freedom >= _NORMAL_FROM:
        return NORMAL_QUANTILE + NORMAL_POWER_QUANTILE
    limit = float(student.ppf(0.5 + CONFIDENCE / 2, freedom))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    reach = limit * np.sqrt(chi2.ppf((nodes + 1) / 2, freedom) / freedom)  # of an interval, in true standard errors

    def lacks(noncentrality: float) -> float:
        beyond = norm.sf(reach - noncentrality) + norm.cdf(-reach - noncentrality)
        return float((weights / 2 * beyond).sum()) - POWER

    return float(brentq(lacks, 0.0, 8 * limit, xtol=_TOLERANCE))
