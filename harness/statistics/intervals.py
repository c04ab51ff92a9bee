"""The interval of one cell's score, from its items: pure.

As `harness.statistics.paired` does for differences: right-or-wrong items have Wilson's score interval (1927), which is
no zero width at 0 or 100; means have Student's t, over rounds too where items were scored several times; rank
correlations, average precision and ratios have the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.statistics.conventions import CONFIDENCE
from harness.statistics.items import ItemStatistic
from harness.statistics.paired import Part, Rounds, spread_of_means
from harness.statistics.resampling import Interval, Statistic, bootstrap


def interval_of(parts: Sequence[tuple[ItemStatistic, float]]) -> Interval | None:
    """Return the interval of the weighted mean over parts; None where a part has under two items.

    Args:
        parts: the items of each split, subset or part, and its share in the score; the shares sum to 1.
    """
    if not parts or any(one.n < 2 for one, _ in parts):
        return None
    scores = [one.scores for one, _ in parts if one.scores is not None and one.sizes is None]
    if len(scores) < len(parts):
        return bootstrap([(one.n, _scaled(one.statistic, weight * len(parts))) for one, weight in parts])
    together = np.concatenate(scores)
    weighs_alike = all(math.isclose(weight, one.n / len(together)) for one, weight in parts)
    if weighs_alike and np.isin(together, (0.0, 1.0)).all():
        return wilson(int(together.sum()), len(together))
    return _student(parts, is_share=bool(together.min() >= 0 and together.max() <= 1))


def wilson(right: int, n: int) -> Interval:
    """Return Wilson's score interval of `right` of `n`, 0 to 1."""
    from scipy.stats import binomtest

    found = binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    share = right / n
    return Interval(stderr=math.sqrt(share * (1 - share) / n), low=float(found.low), high=float(found.high))


def _student(parts: Sequence[tuple[ItemStatistic, float]], *, is_share: bool) -> Interval | None:
    """Return Student's interval, cut at 0 and 1 where the scores are shares."""
    from scipy.stats import t as student

    spread = spread_of_means([_against_nothing(one, weight) for one, weight in parts])
    if spread is None:
        return None
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, spread.freedom)) * spread.stderr
    low, high = spread.value - reach, spread.value + reach
    return Interval(
        stderr=spread.stderr, low=max(low, 0.0) if is_share else low, high=min(high, 1.0) if is_share else high
    )


def _against_nothing(one: ItemStatistic, weight: float) -> Part:
    scores = np.zeros(one.n) if one.scores is None else one.scores
    rounds = None if one.rounds is None else Rounds(one.rounds, np.zeros_like(one.rounds), one.are_crossed)
    return Part(scores, np.zeros(one.n), weight, rounds)


def _scaled(statistic: Statistic, factor: float) -> Statistic:
    return lambda counts: factor * statistic(counts)
