"""Two cells of one task: their difference and how sure it is, by resampling the items both were scored on.

Computed once for each pair of per-item files and kept beside the results (`comparisons/`), named by their sha256.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.digests import write_atomically
from harness.item_stats import ItemStatistic, of_columns
from harness.results import Score
from harness.stats import BOOTSTRAP_SAMPLES, bootstrap
from harness.store import Store

COMPARISON_VERSION = 1
"""Raised when the way a difference is computed changes."""
POINTS = 100.0
NORMAL_QUANTILE = 1.959963984540054
"""Of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One model minus another, in points."""

    value: float
    stderr: float | None
    """Paired bootstrap over items; None where the task has no items to resample."""
    low: float | None
    high: float | None
    n: int
    """Items (one task) or tasks (a mean over tasks)."""

    @property
    def is_clear(self) -> bool:
        """Whether the 95 % interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def difference(store: Store, score: Score, base: Score) -> Difference:
    """Return `score` minus `base`, two cells of one task on the same items.

    The interval is a paired percentile bootstrap: each sample draws items once and scores both models on them. It is
    None where either cell has no per-item results, or the items are not the same.
    """
    plain = Difference(value=score.score - base.score, stderr=None, low=None, high=None, n=min(score.n, base.n))
    if score.items is None or base.items is None or score.metric != base.metric or score.limit != base.limit:
        return plain
    name = f"v{COMPARISON_VERSION}-{score.items.sha256[:20]}-{base.items.sha256[:20]}.json"
    path = store.folder("comparisons") / name
    if path.is_file():
        return Difference(**json.loads(path.read_text(encoding="utf-8")))
    found = _paired(
        plain,
        _statistics(store, score),
        _statistics(store, base),
        scale=POINTS if score.unit == "points" else 1.0,
        by_size=score.axis == "ability",
    )
    write_atomically(path, json.dumps(asdict(found)).encode("utf-8"))
    return found


def mean_difference(differences: Sequence[Difference]) -> Difference | None:
    """Return the mean over tasks; tasks are fixed, items are resampled within each.

    Tasks are independent samples of items, so the variances add; their sum over tasks is close to normal. The interval
    is None where a task has none.
    """
    if not differences:
        return None
    value = sum(one.value for one in differences) / len(differences)
    errors = [one.stderr for one in differences]
    if any(error is None for error in errors):
        return Difference(value=value, stderr=None, low=None, high=None, n=len(differences))
    stderr = math.sqrt(sum(error * error for error in errors if error is not None)) / len(differences)
    reach = NORMAL_QUANTILE * stderr
    return Difference(value=value, stderr=stderr, low=value - reach, high=value + reach, n=len(differences))


def _statistics(store: Store, score: Score) -> dict[tuple[Any, ...], ItemStatistic] | None:
    """Return (part, split, subset) -> statistic of a cell's items; None where its type has none."""
    table = store.items_of(score)
    if table is None:
        return None
    frame = table.to_pandas(use_threads=False)
    found: dict[tuple[Any, ...], ItemStatistic] = {}
    for name, rows in frame.groupby(["part", "split", "subset"], observed=True, sort=True):
        columns: Mapping[str, Any] = {column: rows[column].to_numpy() for column in rows.columns}
        if any(column in columns and rows[column].isna().all() for column in ("query", "item")):
            return None
        one = of_columns(score.type, columns)
        if one is None:
            return None
        found[tuple(name)] = one
    return found


def _paired(
    plain: Difference,
    own: dict[tuple[Any, ...], ItemStatistic] | None,
    base: dict[tuple[Any, ...], ItemStatistic] | None,
    *,
    scale: float,
    by_size: bool,
) -> Difference:
    """Return `plain` with its interval, `scale` times that of the statistics; parts weigh alike, or by their size."""
    if own is None or base is None or set(own) != set(base):
        return plain
    if any(own[name].items != base[name].items for name in own):
        return plain
    total = sum(one.n for one in own.values())
    weights = {name: len(own) * own[name].n / total if by_size else 1.0 for name in own}
    parts = [(own[name].n, _minus(own[name], base[name], weights[name])) for name in own]
    interval = bootstrap(parts, samples=BOOTSTRAP_SAMPLES)
    if interval is None:
        return plain
    return Difference(
        value=plain.value,
        stderr=interval.stderr * scale,
        low=interval.low * scale,
        high=interval.high * scale,
        n=plain.n,
    )


def _minus(own: ItemStatistic, base: ItemStatistic, weight: float) -> Any:
    return lambda counts: weight * (np.asarray(own.statistic(counts)) - np.asarray(base.statistic(counts)))
