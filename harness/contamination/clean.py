"""A cell's score over the items that no training text touches, beside the score over all, and their paired difference.

The difference has a percentile interval of a bootstrap over all items: each sample is scored whole and without the
touched items that are in it, so that both see the same items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.results.records import Score
from harness.results.stored_items import Statistics
from harness.statistics.conventions import POINTS, Floats
from harness.statistics.items import ItemStatistic
from harness.statistics.resampling import Statistic, averaged, percentile_limits, values_of_parts

SAMPLES = 2000
"""Of the bootstrap."""
Place = tuple[str, str, str]
"""Part, split and subset."""
Touched = Mapping[Place, frozenset[str]]
"""The items of each place that a training text touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """A score over all items and over the clean ones, in the cell's unit."""

    score: float
    clean: float | None
    """None where `why` says so."""
    n: int
    """All items."""
    n_clean: int
    difference: float | None = None
    """Clean minus all."""
    low: float | None = None
    """Of the 95 % interval of the difference."""
    high: float | None = None
    why: str = ""
    """Why there is no clean score; empty where there is one."""


def clean_score(score: Score, statistics: Statistics | None, touched: Touched) -> Clean:
    """Return a cell's score over its clean items.

    Args:
        score: the cell.
        statistics: (part, split, subset) -> statistic over its items.
        touched: items that a training text touches, by the names that the cell's results have.
    """
    none = Clean(score=score.score, clean=None, n=score.n, n_clean=0)
    why = _why_none(score, statistics)
    if why or statistics is None:
        return _with(none, why)
    masks = {place: _mask(one, touched.get(place, frozenset())) for place, one in statistics.items()}
    n, n_clean = sum(map(len, masks.values())), sum(int(mask.sum()) for mask in masks.values())
    emptied = [" ".join(map(str, place)) for place, mask in masks.items() if not mask.any()]
    none = Clean(score=score.score, clean=None, n=n, n_clean=n_clean)
    if emptied:
        return _with(none, f"no clean item is left in {', '.join(emptied)}")
    if n_clean == n:
        return Clean(score=score.score, clean=score.score, n=n, n_clean=n, difference=0.0)
    parts = list(zip(statistics.values(), masks.values(), strict=True))
    scale = POINTS if score.unit == "points" else 1.0
    by_size = score.axis == "ability"
    clean = scale * sum(
        weight * float(one.statistic(mask[None, :].astype(np.float64))[0])
        for (one, mask), weight in zip(parts, _weights([int(mask.sum()) for _, mask in parts], by_size), strict=True)
    )
    if not np.isfinite(clean):
        return _with(none, "the metric has no value over the clean items")
    low, high = _limits(parts, by_size)
    return Clean(
        score=score.score,
        clean=clean,
        n=n,
        n_clean=n_clean,
        difference=clean - score.score,
        low=None if low is None else scale * low,
        high=None if high is None else scale * high,
    )


def _with(none: Clean, why: str) -> Clean:
    return Clean(score=none.score, clean=None, n=none.n, n_clean=none.n_clean, why=why)


def _why_none(score: Score, statistics: Statistics | None) -> str:
    if score.type == "Clustering":
        return "its items are sets or draws of texts, not single texts"
    if statistics is None:
        return f"no per-item results: {score.items_missing}" if score.items_missing else "its metric has no items"
    return ""


def _mask(one: ItemStatistic, touched: frozenset[str]) -> Any:
    """Return (n,) whether an item is clean."""
    return np.array([str(item) not in touched for item in one.items], dtype=np.bool_)


def _weights(sizes: list[int], by_size: bool) -> list[float]:
    """Return the share of each part in a score: those of ability tasks weigh by their items, others alike."""
    return [size / sum(sizes) if by_size else 1 / len(sizes) for size in sizes]


def _limits(parts: list[tuple[ItemStatistic, Any]], by_size: bool) -> tuple[float | None, float | None]:
    """Return the ends of the interval of the difference; None where a part has under two items."""
    sizes = [one.n for one, _ in parts]
    if min(sizes) < 2:
        return None, None
    whole: list[Statistic] = [one.statistic for one, _ in parts]
    clean = [_without(one.statistic, mask) for one, mask in parts]
    with np.errstate(invalid="ignore", divide="ignore"):  # a sample may hold no clean item
        of_whole, of_clean = values_of_parts(sizes, [whole, clean], samples=SAMPLES)
        count = len(parts)
        shares = [_weights([int(mask.sum()) for _, mask in parts], by_size), _weights(sizes, by_size)]
        own, other = (np.array(each)[:, None] * count for each in shares)
        found = averaged(own * of_clean - other * of_whole)
    return (None, None) if found is None else percentile_limits(found)


def _without(statistic: Statistic, mask: Any) -> Statistic:
    def of_clean(counts: Any) -> Floats:
        return statistic(counts * mask)

    return of_clean
