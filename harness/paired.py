"""Paired differences of two models on the same items: interval, standard error and p-value; pure.

Which method stands behind a difference is chosen by what an item's score is, and named in the result:

- right or wrong: Tango's score interval, McNemar's exact test (`harness.proportions`);
- a number an item, the score its mean: Student's t over items, parts apart (Welch);
- anything else (a rank correlation, average precision, a ratio of sums): the paired bootstrap.

A mean over tasks takes the limits of its tasks (MOVER: Zou & Donner 2008), so that a task without a flip does not count
as measured without error. Numpy and scipy only.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from harness.designs import Term, added, crossed, nested
from harness.proportions import mcnemar, tango
from harness.stats import CONFIDENCE, Floats, Statistic, bootstrap_values, percentile_limits

Method = Literal["score interval, exact McNemar", "t", "bootstrap", "combined"]
NORMAL_QUANTILE = 1.959963984540054
"""Of a two-sided 95 % interval."""
FEW = 10
"""Where fewer items differ, Student's t is not trusted alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One model minus another, in points (or the task's own unit)."""

    value: float
    """The difference of the two scores as they are shown."""
    stderr: float | None
    """Over items, paired; None where the task has no items to resample."""
    low: float | None
    """Of the 95 % interval."""
    high: float | None
    n: int
    """Items (one task) or tasks (a mean over tasks)."""
    p_value: float | None = None
    """Two-sided, of no difference; None where there is no interval."""
    q_value: float | None = None
    """Benjamini-Hochberg over all differences shown together (`adjusted`); None until a table sets it."""
    wins: int | None = None
    """Items (or tasks: those clear of 0) on which the first is better; None where an item has no score of its own."""
    ties: int | None = None
    losses: int | None = None
    method: Method | None = None
    """How interval and p-value are made; None where there are none."""
    lower_is_better: bool = False
    is_same_record: bool = False
    """Whether both are one stored cell: the difference is 0 by construction, `low` and `high` are 0, nothing is tested.
    """

    @property
    def is_clear(self) -> bool:
        """Whether the 95 % interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def is_gain(self) -> bool:
        """Whether the first model is clearly better."""
        return self.is_clear and (self.value < 0) == self.lower_is_better

    @property
    def is_loss(self) -> bool:
        """Whether the first model is clearly worse."""
        return self.is_clear and not self.is_gain


class Estimate(NamedTuple):
    """What is known of a difference beside its value, in the unit of the items."""

    stderr: float
    low: float
    high: float
    p_value: float
    method: Method


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
    return Estimate(stderr, limits.low, limits.high, mcnemar(wins, losses), "score interval, exact McNemar")


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
    if few_differ(wins, losses, len(spread.apart)):
        limits = tango(wins, losses, len(spread.apart))
        largest = float(np.abs(spread.apart).max()) or scale
        low, high = min(low, largest * limits.low), max(high, largest * limits.high)
        p_value = max(p_value, mcnemar(wins, losses))
    return Estimate(stderr, low, high, p_value, "t")


def of_means(parts: Sequence[Part]) -> Estimate | None:
    """Return the estimate for a mean of item scores from 0 to 1; None where a part has under two items."""
    return of_spread(spread_of_means(parts), 1.0)


def of_statistics(parts: Sequence[tuple[int, Statistic]]) -> Estimate | None:
    """Return the estimate for the mean of the parts' statistics by the paired bootstrap; None where it has no value.

    Args:
        parts: (number of items, statistic over (B, n) counts of the difference) a part.
    """
    values = bootstrap_values(list(parts))
    if values is None:
        return None
    low, high = percentile_limits(values)
    stderr = float(values.std(ddof=1))
    # the smallest level whose interval leaves out 0; +1 keeps it from being 0 (Davison & Hinkley 1997, 4.11)
    beyond = min(float((values <= 0).sum()), float((values >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (len(values) + 1))
    return Estimate(stderr, low, high, p_value, "bootstrap")


def same_record(n: int, *, lower_is_better: bool = False) -> Difference:
    """Return the difference of a cell to itself, or the mean of n such: 0, with nothing to resample or to test."""
    return Difference(
        value=0.0, stderr=0.0, low=0.0, high=0.0, n=n, lower_is_better=lower_is_better, is_same_record=True
    )


def mean_difference(differences: Sequence[Difference]) -> Difference | None:
    """Return the mean over tasks; tasks are fixed, items are resampled within each.

    The limits are MOVER's: the distances from value to limit are added in squares, side by side. They are None where a
    task has none. Wins and losses count the tasks that are clear of 0.
    """
    if not differences:
        return None
    n = len(differences)
    value = sum(one.value for one in differences) / n
    wins, losses = sum(one.is_gain for one in differences), sum(one.is_loss for one in differences)
    plain = Difference(
        value=value, stderr=None, low=None, high=None, n=n, wins=wins, ties=n - wins - losses, losses=losses
    )
    if any(one.low is None or one.high is None or one.stderr is None for one in differences):
        return plain
    if all(one.is_same_record for one in differences):
        return same_record(n)
    below = math.sqrt(sum((one.value - (one.low or 0.0)) ** 2 for one in differences)) / n
    above = math.sqrt(sum(((one.high or 0.0) - one.value) ** 2 for one in differences)) / n
    stderr = math.sqrt(sum((one.stderr or 0.0) ** 2 for one in differences)) / n
    return replace(
        plain,
        stderr=stderr,
        low=value - below,
        high=value + above,
        p_value=_normal_p(value, below if value > 0 else above),
        method="combined",
    )


Key = TypeVar("Key", bound=Hashable)


def adjusted(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Return the differences with `q_value` set: Benjamini-Hochberg over all of them that have a p-value.

    Source: Benjamini & Hochberg 1995, by `scipy.stats.false_discovery_control`.
    """
    from scipy.stats import false_discovery_control

    tested = [key for key, one in differences.items() if one.p_value is not None]
    if not tested:
        return dict(differences)
    found = false_discovery_control([differences[key].p_value for key in tested])
    q_values = dict(zip(tested, (float(one) for one in found), strict=True))
    return {key: replace(one, q_value=q_values.get(key)) for key, one in differences.items()}


def _normal_p(value: float, reach: float) -> float:
    """Return the two-sided p-value of a value whose 95 % limit towards 0 is `reach` away."""
    from scipy.stats import norm

    if value == 0 or reach == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(norm.sf(abs(value) / reach * NORMAL_QUANTILE))
