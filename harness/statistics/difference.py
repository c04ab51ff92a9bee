"""What is said of one model minus another: a difference, the mean of several, and many of them tested together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from harness.statistics.conventions import NORMAL_QUANTILE
from harness.statistics.detectable import of_mean

Method = Literal["score interval, exact McNemar", "t", "t held to a score interval", "bootstrap", "combined"]


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
    detectable: float | None = None
    """The smallest true difference, either way, whose interval would have left out 0 with a chance of 80 %; None where
    there is no interval, or nothing is tested."""
    lower_is_better: bool = False
    is_same_record: bool = False
    """Whether both are one stored cell: the difference is 0 by construction, `low` and `high` are 0, nothing is tested.
    """

    @property
    def is_clear(self) -> bool:
        """Whether the 95 % interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def is_undecided(self) -> bool:
        """Whether there is an interval, and it holds 0."""
        return self.low is not None and not self.is_clear and not self.is_same_record

    @property
    def is_gain(self) -> bool:
        """Whether the first model is clearly better."""
        return self.is_clear and (self.value < 0) == self.lower_is_better

    @property
    def is_loss(self) -> bool:
        """Whether the first model is clearly worse."""
        return self.is_clear and not self.is_gain


def same_record(n: int, *, lower_is_better: bool = False) -> Difference:
    """Return the difference of a cell to itself, or the mean of n such: 0, with nothing to resample or to test."""
    return Difference(
        value=0.0, stderr=0.0, low=0.0, high=0.0, n=n, lower_is_better=lower_is_better, is_same_record=True
    )


def turned(one: Difference) -> Difference:
    """Return the second model minus the first."""
    low, high = (None, None) if one.low is None or one.high is None else (0.0 - one.high, 0.0 - one.low)
    return replace(one, value=0.0 - one.value, low=low, high=high, wins=one.losses, losses=one.wins)


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
        detectable=of_mean([0.0 if one.is_same_record else one.detectable for one in differences]),
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
