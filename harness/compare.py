"""Two cells of one task: their difference and how sure it is, by resampling the items both were scored on.

Computed once for each pair of per-item files and kept beside the results (`comparisons/`), named by their sha256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from harness.digests import write_atomically
from harness.item_stats import ItemStatistic, of_columns
from harness.paired import Difference, Estimate, Part, of_means, of_proportions, of_statistics
from harness.results import Score
from harness.store import Store

COMPARISON_VERSION = 2
"""Raised when the way a difference is computed changes."""
POINTS = 100.0
SAME = 1e-12
"""Shares of parts that differ by less are the same."""
Statistics = dict[tuple[Any, ...], ItemStatistic]
"""(part, split, subset) -> the statistic over its items."""


def difference(store: Store, score: Score, base: Score) -> Difference:
    """Return `score` minus `base`, two cells of one task on the same items.

    Interval and p-value are paired (`harness.paired` says how). They are None where either cell has no per-item
    results, or the items are not the same.
    """
    plain = without_interval(score, base)
    if score.items is None or base.items is None or score.metric != base.metric or score.limit != base.limit:
        return plain
    name = f"v{COMPARISON_VERSION}-{score.items.sha256[:20]}-{base.items.sha256[:20]}.json"
    path = store.folder("comparisons") / name
    if path.is_file():
        return Difference(**json.loads(path.read_text(encoding="utf-8")))
    found = _paired(plain, _statistics(store, score), _statistics(store, base), score)
    write_atomically(path, json.dumps(asdict(found)).encode("utf-8"))
    return found


def without_interval(score: Score, base: Score) -> Difference:
    """Return the bare difference, with no interval."""
    return Difference(
        value=score.score - base.score,
        stderr=None,
        low=None,
        high=None,
        n=min(score.n, base.n),
        lower_is_better=score.lower_is_better,
    )


def _statistics(store: Store, score: Score) -> Statistics | None:
    """Return (part, split, subset) -> statistic of a cell's items; None where its type has none."""
    table = store.items_of(score)
    if table is None:
        return None
    frame = table.to_pandas(use_threads=False)
    found: Statistics = {}
    for name, rows in frame.groupby(["part", "split", "subset"], observed=True, sort=True):
        columns: Mapping[str, Any] = {column: rows[column].to_numpy() for column in rows.columns}
        if any(column in columns and rows[column].isna().all() for column in ("query", "item")):
            return None
        one = of_columns(score.type, columns)
        if one is None:
            return None
        found[tuple(name)] = one
    return found


def _paired(plain: Difference, own: Statistics | None, base: Statistics | None, score: Score) -> Difference:
    """Return `plain` with its interval, p-value and counts; ability parts weigh by their size, others alike."""
    if own is None or base is None or set(own) != set(base):
        return plain
    if any(own[name].items != base[name].items for name in own):
        return plain
    names = list(own)
    total = sum(one.n for one in own.values())
    by_size = score.axis == "ability"
    weights = {name: own[name].n / total if by_size else 1 / len(own) for name in names}
    counted = _counts(plain, [(own[name].merits, base[name].merits) for name in names])
    estimate = _estimate([(own[name], base[name], weights[name]) for name in names])
    if estimate is None:
        return counted
    scale = POINTS if score.unit == "points" else 1.0
    return replace(
        counted,
        stderr=estimate.stderr * scale,
        low=estimate.low * scale,
        high=estimate.high * scale,
        p_value=estimate.p_value,
        method=estimate.method,
    )


def _estimate(parts: Sequence[tuple[ItemStatistic, ItemStatistic, float]]) -> Estimate | None:
    scored = [Part(own.scores, base.scores, w) for own, base, w in parts if own.scores is not None is not base.scores]
    if len(scored) < len(parts):
        return of_statistics([(own.n, _minus(own, base, weight * len(parts))) for own, base, weight in parts])
    own, base = (np.concatenate([part[side] for part in scored]) for side in (0, 1))
    sizes = [len(part.own) for part in scored]
    alike = all(abs(part.weight - size / sum(sizes)) < SAME for part, size in zip(scored, sizes, strict=True))
    if alike and np.isin(own, (0.0, 1.0)).all() and np.isin(base, (0.0, 1.0)).all():
        return of_proportions(int((own > base).sum()), int((own < base).sum()), len(own))
    return of_means(scored)


def _counts(plain: Difference, merits: Sequence[tuple[Any, Any]]) -> Difference:
    """Return `plain` with the items won, tied and lost."""
    if any(own is None or base is None for own, base in merits):
        return plain
    sign = -1 if plain.lower_is_better else 1
    wins = sum(int((sign * own > sign * base).sum()) for own, base in merits)
    losses = sum(int((sign * own < sign * base).sum()) for own, base in merits)
    return replace(plain, wins=wins, losses=losses, ties=sum(len(own) for own, _ in merits) - wins - losses)


def _minus(own: ItemStatistic, base: ItemStatistic, weight: float) -> Any:
    return lambda counts: weight * (np.asarray(own.statistic(counts)) - np.asarray(base.statistic(counts)))
