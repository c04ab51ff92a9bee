"""Intervals by resampling items: pure functions over numpy arrays.

A bootstrap sample of n items is a vector of counts that sums to n. Every statistic here takes a (B, n) matrix of such
counts, so that ranks and orders are computed once and not once a sample. Draws hang on the seed and the numbers of
items alone: two models' values over the same items are values of the same samples, and their difference is that of the
paired bootstrap.

The matrices are the transpose of (n, B) ones in memory, since a statistic takes the items in an order of its own: a row
of B samples is moved at once, a column of a (B, n) matrix number by number. Counts are whole numbers, so sums of them
are exact in any order, and in float32 up to `EXACT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.conventions import CONFIDENCE, Floats

Counts = NDArray[np.floating[Any]]
Statistic = Callable[[Counts], Floats]

BOOTSTRAP_SAMPLES = 10_000
"""The smallest p-value that so many can show is 2 / (so many + 1)."""
CHUNK_CELLS = 8_000_000
"""Counts held at once: 32 MB."""
DRAWN_AT_ONCE = 65_536
"""Items drawn at once, of one sample at least."""
EXACT = 2**24
"""Up to this whole number all are exact in float32: counts of so many items, and sums of them, need no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A standard error and a percentile interval, in the statistic's own unit."""

    stderr: float
    low: float
    high: float


def resamples(n: int, rng: np.random.Generator, samples: int = BOOTSTRAP_SAMPLES) -> Counts:
    """Return (samples, n): how often each item is drawn in each bootstrap sample; rows sum to n."""
    counts = np.empty((samples, n), dtype=np.float32 if n <= EXACT else np.float64)
    for start in range(0, samples, step := max(1, DRAWN_AT_ONCE // n)):
        rows = counts[start : start + step]
        items = rng.integers(0, n, size=rows.shape)
        items += n * np.arange(len(rows))[:, None]  # so that samples are counted apart, several at once
        rows[:] = np.bincount(items.ravel(), minlength=rows.size).reshape(rows.shape)
    return np.ascontiguousarray(counts.T).T


def bootstrap(
    parts: list[tuple[int, Statistic]], *, seed: int = 0, samples: int = BOOTSTRAP_SAMPLES
) -> Interval | None:
    """Return the interval of the mean of `parts`, items resampled within each; None where a part has under two items.

    Args:
        parts: (number of items, statistic over (B, n) counts -> (B,)) of each split, subset or part.
        seed: of the resampling.
        samples: bootstrap samples.
    """
    return interval_of_values(bootstrap_values(parts, seed=seed, samples=samples))


def interval_of_values(values: Floats | None) -> Interval | None:
    """Return the standard error and the quantiles of (B,) bootstrap values; None where there are none."""
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
    sizes, statistics = [n for n, _ in parts], [one for _, one in parts]
    return averaged(values_of_parts(sizes, [statistics], seed=seed, samples=samples)[0])


def values_of_parts(
    sizes: Sequence[int], cells: Sequence[Sequence[Statistic]], *, seed: int = 0, samples: int = BOOTSTRAP_SAMPLES
) -> list[Floats]:
    """Return the (parts, samples) values of each cell's statistics, items drawn once for all cells.

    Args:
        sizes: number of items of each part, the same in all cells, at least 2.
        cells: a statistic a part, of each cell.
        seed: of the resampling.
        samples: bootstrap samples.

    Returns:
        A matrix a cell; NaN where a sample has no value.
    """
    rng = np.random.default_rng(seed)
    found = [np.empty((len(sizes), samples)) for _ in cells]
    for part, n in enumerate(sizes):
        for start, counts in _chunks(n, rng, samples):
            for values, statistics in zip(found, cells, strict=True):
                values[part, start : start + len(counts)] = statistics[part](counts)
    return found


def averaged(values: Floats) -> Floats | None:
    """Return the finite means over parts of (parts, B) `values`; None where most samples have none."""
    total = np.zeros(values.shape[1])
    for of_part in values:  # in the order of the parts, so that sums round as they always did
        total += of_part
    means: Floats = total / len(values)
    means = means[np.isfinite(means)]
    return means if len(means) >= values.shape[1] // 2 else None


def _chunks(n: int, rng: np.random.Generator, samples: int) -> Iterator[tuple[int, Counts]]:
    step = max(1, CHUNK_CELLS // n)
    for start in range(0, samples, step):
        yield start, resamples(n, rng, min(step, samples - start))


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
    return lambda counts: (values @ counts.T) / counts.sum(axis=1, dtype=np.float64)


def ratio_statistic(numerators: Floats, denominators: Floats) -> Statistic:
    """Return sum(numerators) / sum(denominators) as a statistic."""
    return lambda counts: (numerators @ counts.T) / (denominators @ counts.T)


def spearman_statistic(x: Floats, y: Floats) -> Statistic:
    """Return Spearman's rank correlation of (n,) `x` and `y` as a statistic; ties get their mean rank."""
    of_x, of_y = sorted((_groups(x), _groups(y)), key=lambda group: int(group.max()))  # y: fewer ties
    to_x, to_y = _summing(of_x), _summing(of_y)
    exact = np.float32 if _are_ranks_exact(of_y) else np.float64

    def statistic(counts: Counts) -> Floats:
        drawn: Any = np.array(counts.T, dtype=to_x.dtype, order="C")  # (n, B)
        n = drawn.sum(axis=0, dtype=np.float64)
        drawn_x, drawn_y = to_x @ drawn, to_y @ drawn  # (groups, B)
        rank_x, rank_y = _mean_ranks(drawn_x), _mean_ranks(drawn_y)
        # products of ranks are summed in float64; those of a rank and a count need it where many items are tied
        ranked = drawn.astype(exact, copy=False)
        ranked *= rank_x[of_x]
        centre = n * ((n + 1) / 2) ** 2  # the mean of n ranks is (n + 1) / 2, whatever the ties
        both = _added_products(to_y @ ranked, rank_y) - centre
        own = [_added_products(*one) - centre for one in ((drawn_x, rank_x, rank_x), (drawn_y, rank_y, rank_y))]
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Floats = both / np.sqrt(own[0] * own[1])
        return result

    return statistic


def average_precision_statistic(scores: Floats, labels: NDArray[np.int64]) -> Statistic:
    """Return average precision of (n,) `scores` for binary `labels` as a statistic; tied scores share a threshold.

    The definition is scikit-learn's: the sum over thresholds of (recall gained) x (precision there). A threshold at
    which nothing but negatives comes in gains no recall, so these are counted with the next one that matters.
    """
    group = _groups(-scores)  # (n,) best first
    is_positive = labels > 0
    gaining = np.unique(group[is_positive])
    upto = np.searchsorted(gaining, group)  # the threshold an item comes in with; len(gaining): after the last
    to_seen = _summing(upto, len(gaining))
    to_true = _summing(np.where(is_positive, upto, len(gaining)), len(gaining))

    def statistic(counts: Counts) -> Floats:
        drawn = np.ascontiguousarray(counts.T)  # (n, B)
        gained = to_true @ drawn  # (thresholds, B)
        true, seen = np.split(_running(np.concatenate([gained, to_seen @ drawn], axis=1)), 2, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.divide(true, seen, dtype=np.float64)
            precision[seen == 0] = 0.0
            found = _added_products(gained, precision)
            result: Floats = found / true[-1] if len(true) else np.full(drawn.shape[1], np.nan)
        return result

    return statistic


def _groups(values: Floats) -> NDArray[np.int64]:
    """Return (n,) the place of each value among the distinct ones, from the smallest up."""
    found: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].reshape(-1)
    return found


def _summing(group: NDArray[np.int64], groups: int | None = None) -> Any:
    """Return the sparse (groups, n) matrix that sums items by group; items of group `groups` and up are in no sum."""
    from scipy.sparse import csr_matrix

    groups = int(group.max()) + 1 if groups is None else groups
    items = np.flatnonzero(group < groups)
    ones = np.ones(len(items), dtype=np.float32 if len(group) <= EXACT else np.float64)
    return csr_matrix((ones, (group[items], items)), shape=(groups, len(group)))


def _are_ranks_exact(group: NDArray[np.int64]) -> bool:
    """Whether the ranks of (n,) items, summed over all that are drawn of one of the groups, are exact in float32.

    They are halves of at most n. Of m items in a group, more than m + 8 sqrt(m) + 32 are drawn once in 1e14 samples.
    """
    largest = int(np.bincount(group).max())
    drawn: float = largest + 8 * largest**0.5 + 32
    return drawn * 2 * len(group) <= EXACT


def _mean_ranks(drawn: Any) -> Any:
    """Return the (groups, B) mean rank of each group's items in each sample, from how many of each were drawn."""
    return _running(drawn.copy()) - (drawn - 1) / 2


def _running(rows: Any) -> Any:
    """Turn (m, B) `rows` into their running sums in place, a row at a time: numpy's own goes down each column."""
    for before, row in pairwise(rows):
        np.add(row, before, out=row)
    return rows


def _added_products(*factors: Any) -> Floats:
    """Return (B,) the sums over rows of the products of (m, B) arrays, in float64."""
    terms = ",".join(["gb"] * len(factors))
    found: Floats = np.einsum(f"{terms}->b", *factors, dtype=np.float64, casting="same_kind")
    return found
