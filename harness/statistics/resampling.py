"""Intervals by resampling items: pure functions over numpy arrays.

A bootstrap sample of n items is a vector of counts that sums to n. Every statistic here takes a (B, n) matrix of such
counts, so that ranks and orders are computed once and not once a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.conventions import CONFIDENCE, Floats

Counts = NDArray[np.float64]
Statistic = Callable[[Counts], Floats]

BOOTSTRAP_SAMPLES = 1000
CHUNK_CELLS = 4_000_000
"""Counts held at once: 32 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A standard error and a percentile interval, in the statistic's own unit."""

    stderr: float
    low: float
    high: float


def resamples(n: int, rng: np.random.Generator, samples: int = BOOTSTRAP_SAMPLES) -> Counts:
    """Return (samples, n) float64: how often each item is drawn in each bootstrap sample; rows sum to n."""
    return rng.multinomial(n, np.full(n, 1.0 / n), size=samples).astype(np.float64)


def bootstrap(
    parts: list[tuple[int, Statistic]], *, seed: int = 0, samples: int = BOOTSTRAP_SAMPLES
) -> Interval | None:
    """Return the interval of the mean of `parts`, items resampled within each; None where a part has under two items.

    Args:
        parts: (number of items, statistic over (B, n) counts -> (B,)) of each split, subset or part.
        seed: of the resampling.
        samples: bootstrap samples.
    """
    values = bootstrap_values(parts, seed=seed, samples=samples)
    if values is None:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(stderr=float(values.std(ddof=1)), low=float(low), high=float(high))


def bootstrap_values(
    parts: list[tuple[int, Statistic]], *, seed: int = 0, samples: int = BOOTSTRAP_SAMPLES
) -> Floats | None:
    """Return (samples,) means of `parts` over resampled items, without those that have no value.

    None where a part has under two items, or most samples have no value. Arguments are those of `bootstrap`.
    """
    if not parts or any(n < 2 for n, _ in parts):
        return None
    rng = np.random.default_rng(seed)
    total = np.zeros(samples)
    for n, statistic in parts:
        step = max(1, CHUNK_CELLS // n)
        drawn = [statistic(resamples(n, rng, min(step, samples - start))) for start in range(0, samples, step)]
        total += np.concatenate(drawn)
    values: Floats = total / len(parts)
    values = values[np.isfinite(values)]
    return values if len(values) >= samples // 2 else None


def percentile_limits(values: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of (B,) bootstrap values, B at least 39.

    The k-th value from either end with k = 0.025 (B + 1), rounded down (Davison & Hinkley 1997, 5.2.1): it leaves out
    0 just where the bootstrap's p-value of 0, which counts the values beyond it, is under 0.05.
    """
    ordered = np.sort(values)
    place = int((1 - CONFIDENCE) / 2 * (len(ordered) + 1) + 1e-9)
    return float(ordered[place - 1]), float(ordered[-place])


def mean_statistic(values: Floats) -> Statistic:
    """Return the mean of (n,) `values` as a statistic."""
    return lambda counts: (counts @ values) / counts.sum(axis=1)


def ratio_statistic(numerators: Floats, denominators: Floats) -> Statistic:
    """Return sum(numerators) / sum(denominators) as a statistic."""
    return lambda counts: (counts @ numerators) / (counts @ denominators)


def spearman_statistic(x: Floats, y: Floats) -> Statistic:
    """Return Spearman's rank correlation of (n,) `x` and `y` as a statistic; ties get their mean rank."""
    rank_x, rank_y = _resampled_ranks(x), _resampled_ranks(y)

    def statistic(counts: Counts) -> Floats:
        return _weighted_pearson(rank_x(counts), rank_y(counts), counts)

    return statistic


def average_precision_statistic(scores: Floats, labels: NDArray[np.int64]) -> Statistic:
    """Return average precision of (n,) `scores` for binary `labels` as a statistic; tied scores share a threshold.

    The definition is scikit-learn's: the sum over thresholds of (recall gained) x (precision there).
    """
    order = np.argsort(-scores, kind="stable")
    positive = labels[order].astype(np.float64)
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # last item of each group of equal scores

    def statistic(counts: Counts) -> Floats:
        weights = counts[:, order]  # (B, n)
        true = np.cumsum(weights * positive, axis=1)[:, ends]
        seen = np.cumsum(weights, axis=1)[:, ends]
        gained = np.diff(true, axis=1, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(seen > 0, true / seen, 0.0)
            result: Floats = (gained * precision).sum(axis=1) / true[:, -1]
        return result

    return statistic


def _resampled_ranks(values: Floats) -> Callable[[Counts], Floats]:
    """Return a function from (B, n) counts to the (B, n) mean ranks that each item has within each sample."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.cumsum(np.append(True, np.diff(values[order]) != 0)) - 1

    def ranks(counts: Counts) -> Floats:
        in_group = np.add.reduceat(counts[:, order], starts, axis=1)  # (B, groups)
        before = np.cumsum(in_group, axis=1) - in_group
        middle: Floats = (before + (in_group + 1) / 2)[:, group]
        return middle

    return ranks


def _weighted_pearson(x: Floats, y: Floats, weights: Counts) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = (weights * x * y).sum(axis=1) / np.sqrt(
            (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
        )
    return result
