"""What a long tail of items does to Student's t, and what is done about it: pure functions; numpy and scipy only.

The mean of n losses of which a few are large is low just where its standard error is low too: few of the large ones
were drawn. Student's t is then too sure that a large mean is excluded. Three things are taken into account:

- skewness bends the statistic (Hall 1992, JRSS B 54:221-228);
- the skewness is itself an estimate from items among which the largest may be missing: its error is given too;
- a variance from items with a long tail is known less well than n - 1 degrees of freedom say: by Satterthwaite they
  are 2 / (2 + excess kurtosis) times as many.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from harness.statistics.conventions import Floats

NO_SKEW = 1e-6
"""Skewness over the root of n that is none."""
FEWEST = 4
"""Items below which a tail has no shape."""


class Shape(NamedTuple):
    """The third and fourth moment of items, as far as a test of their mean needs them."""

    skewness: float
    """Unbiased under normality (G1); 0 where all items are alike."""
    error: float
    """Standard error of the skewness."""
    freedom: float
    """Degrees of freedom of the items' variance, at least 1."""


def shape(values: Floats, freedom: float) -> Shape:
    """Return the shape of (n,) `values` whose variance has `freedom` degrees of freedom if they are normal."""
    from scipy.stats import kurtosis, skew

    n = len(values)
    if n < FEWEST or not np.ptp(values) > 0:
        return Shape(0.0, 0.0, freedom)
    skewness = float(skew(values, bias=False))
    z = (values - values.mean()) / values.std(ddof=1)
    # what each item adds to the skewness: the influence function of the third standardised moment
    added = z**3 - skewness - 3 * z - 1.5 * skewness * (z**2 - 1)
    excess = max(0.0, float(kurtosis(values, bias=False)))
    return Shape(skewness, float(np.sqrt((added**2).mean() / n)), max(1.0, freedom * 2 / (2 + excess)))


def unskewed(t: float, skewness: float, n: int) -> float:
    """Return Hall's transformation of Student's t of the mean of n items, which removes their skewness."""
    bend = skewness / math.sqrt(n)
    return t + bend * (t * t / 3 + 1 / 6) + bend * bend * t**3 / 27


def skewed(t: float, skewness: float, n: int) -> float:
    """Return the inverse of `unskewed`."""
    bend = skewness / math.sqrt(n)
    if abs(bend) < NO_SKEW:
        return t
    return float(3 / bend * (np.cbrt(1 + bend * (t - bend / 6)) - 1))
