"""Paired differences of two models on the same items: interval, standard error and p-value; pure.

Which method stands behind a difference is chosen by what an item's score is, and named in the result:

- right or wrong: Tango's score interval, McNemar's exact test (`harness.statistics.proportions`);
- a number an item, the score its mean: Student's t over items, parts apart (Welch);
- anything else (a rank correlation, average precision, a ratio of sums): the paired bootstrap.

A mean over tasks takes the limits of its tasks (MOVER: Zou & Donner 2008), so that a task without a flip does not count
as measured without error. Numpy and scipy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.statistics import detectable
from harness.statistics.conventions import CONFIDENCE, Floats
from harness.statistics.designs import Term, added, crossed, nested
from harness.statistics.difference import Method
from harness.statistics.proportions import mcnemar, tango
from harness.statistics.resampling import Statistic, bootstrap_values, percentile_limits

FEW = 10
"""Where fewer items differ, Student's t is not trusted alone."""
SAME = 1e-12
"""A standard error under this is rounding."""


class Estimate(NamedTuple):
    """What is known of a difference beside its value, in the unit of the items."""

    stderr: float
    low: float
    high: float
    p_value: float
    method: Method
    detectable: float | None
    """The smallest true difference, either way, that would have been shown (`harness.statistics.detectable`).

    None where no sample of a bootstrap differs: items that are all alike say nothing of how much others would scatter.
    """


class Part(NamedTuple):
    """The paired scores of one split, subset or part of a task."""

    own: Floats
    """(n,)"""
    base: Floats
    """(n,)"""
    weight: float
    """Share of the part in the score; the shares of all parts sum to 1."""
    rounds: Rounds | None = None
    """Where every item was scored several times."""


class Rounds(NamedTuple):
    """The scores of every item in every round, of both models."""

    own: Floats
    """(items, rounds)"""
    base: Floats
    """(items, rounds)"""
    are_crossed: bool
    """Whether a round is the same for all items (a training sample) or the item's own (a k-means seed)."""


def of_proportions(wins: int, losses: int, n: int) -> Estimate:
    """Return the estimate for items that are right or wrong; never of zero width."""
    limits = tango(wins, losses, n)
    share = (wins - losses) / n
    stderr = math.sqrt(max(0.0, (wins + losses) / n - share**2) / n)
    least = detectable.of_flips(wins + losses, n)
    return Estimate(stderr, limits.low, limits.high, mcnemar(wins, losses), "score interval, exact McNemar", least)


class Spread(NamedTuple):
    """A mean of differences over items, its standard error and how well that is known."""

    value: float
    stderr: float
    freedom: float
    """Degrees of freedom; 1 where nothing differs."""
    apart: Floats
    """(n,) what each item adds to n times the value."""


def spread_of_means(parts: Sequence[Part]) -> Spread | None:
    """Return the spread of a mean over parts, their variances added; None where a part has under two items.

    Items are drawn at random, and so are the rounds of a part that has some.
    """
    if not parts or any(len(part.own) < 2 for part in parts):
        return None
    apart = [part.own - part.base for part in parts]
    value = sum(part.weight * float(one.mean()) for part, one in zip(parts, apart, strict=True))
    terms = [
        Term(part.weight**2 * term.value, term.freedom)
        for part, one in zip(parts, apart, strict=True)
        for term in _terms(part, one)
    ]
    n = sum(len(one) for one in apart)
    each = np.concatenate([n * part.weight / len(one) * one for part, one in zip(parts, apart, strict=True)])
    variance = added(terms)
    return Spread(value, math.sqrt(variance.value), variance.freedom, each)


def _terms(part: Part, apart: Floats) -> list[Term]:
    if part.rounds is None:
        return [Term(float(apart.var(ddof=1)) / len(apart), len(apart) - 1)]
    values = part.rounds.own - part.rounds.base
    return crossed(values.T) if part.rounds.are_crossed else nested(values)


def spread_of_ratios(own: Sequence[Floats], base: Sequence[Floats], sizes: Sequence[Floats]) -> Spread | None:
    """Return the spread of sum(own) / sum(sizes) - sum(base) / sum(sizes), items pooled over parts.

    Linearised (Cochran 1977, 6.4): an item adds what it has beyond the ratio times its size.

    Args:
        own: (n_p,) of each part, such as nats of one model.
        base: (n_p,) of the other.
        sizes: (n_p,) such as tokens, the same for both.

    Returns:
        The spread, or None where a part has under two items or all sizes are 0.
    """
    total = sum(float(one.sum()) for one in sizes)
    if not own or total <= 0 or any(len(one) < 2 for one in own):
        return None
    n = sum(len(one) for one in own)
    apart = [one - other for one, other in zip(own, base, strict=True)]
    value = sum(float(one.sum()) for one in apart) / total
    each = [(one - value * size) * n / total for one, size in zip(apart, sizes, strict=True)]
    variance = added([Term((len(one) / n) ** 2 * float(one.var(ddof=1)) / len(one), len(one) - 1) for one in each])
    return Spread(value, math.sqrt(variance.value), variance.freedom, n / total * np.concatenate(apart))


def few_differ(wins: int, losses: int, n: int) -> bool:
    """Whether so few of n items differ that Student's t is not to be trusted alone."""
    return wins + losses < min(FEW, n / 2)


def of_spread(spread: Spread | None, scale: float) -> Estimate | None:
    """Return Student's estimate of a spread.

    Where fewer than ten items differ, and most do not, the interval is widened to hold the score interval of as many
    whole wins and losses as differ, scaled by the largest difference (by `scale` where none differs): three changed
    items have a t interval that is too sure of itself.
    """
    from scipy.stats import t as student

    if spread is None:
        return None
    value, stderr = spread.value, spread.stderr
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, spread.freedom)) * stderr
    p_value = 2 * float(student.sf(abs(value) / stderr, spread.freedom)) if stderr else 1.0
    low, high = value - reach, value + reach
    wins, losses = int((spread.apart > 0).sum()), int((spread.apart < 0).sum())
    method: Method = "t"
    least = detectable.of_stderr(stderr, spread.freedom)
    if few_differ(wins, losses, len(spread.apart)):
        limits = tango(wins, losses, len(spread.apart))
        largest = float(np.abs(spread.apart).max()) or scale
        low, high = min(low, largest * limits.low), max(high, largest * limits.high)
        p_value, method = max(p_value, mcnemar(wins, losses)), "t held to a score interval"
        least = max(least, largest * detectable.of_flips(wins + losses, len(spread.apart)))
    return Estimate(stderr, low, high, p_value, method, least)


def of_statistics(parts: Sequence[tuple[int, Statistic]]) -> Estimate | None:
    """Return the estimate for the mean of the parts' statistics by the paired bootstrap; None where it has no value.

    Args:
        parts: (number of items, statistic over (B, n) counts of the difference) a part.
    """
    return of_values(bootstrap_values(list(parts)))


def of_values(values: Floats | None) -> Estimate | None:
    """Return the estimate for a difference by its (B,) bootstrap values; None where there are none."""
    if values is None:
        return None
    low, high = percentile_limits(values)
    stderr = float(values.std(ddof=1))
    # the smallest level whose interval leaves out 0; +1 keeps it from being 0 (Davison & Hinkley 1997, 4.11)
    beyond = min(float((values <= 0).sum()), float((values >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (len(values) + 1))
    least = detectable.of_bootstrap(stderr) if stderr > SAME else None
    return Estimate(stderr, low, high, p_value, "bootstrap", least)
