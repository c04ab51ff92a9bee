"""Two cells of one task: their difference and how sure it is, by resampling the items both were scored on.

Computed once for each pair of per-item files and kept beside the results (`comparisons/`), named by their sha256.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from harness.digests import write_atomically
from harness.results.records import Score
from harness.results.store import Store
from harness.results.stored_items import Statistics, is_same_record, statistics_of
from harness.statistics.conventions import POINTS, Floats
from harness.statistics.difference import Difference, same_record
from harness.statistics.items import ItemStatistic
from harness.statistics.paired import (
    Estimate,
    Part,
    Rounds,
    Spread,
    of_proportions,
    of_spread,
    of_statistics,
    spread_of_means,
    spread_of_ratios,
)

COMPARISON_VERSION = 4
"""Raised when the way a difference is computed changes."""
SAME = 1e-12
"""Shares of parts that differ by less are the same."""


def difference(store: Store, score: Score, base: Score) -> Difference:
    """Return `score` minus `base`, two cells of one task on the same items.

    Interval and p-value are paired (`harness.statistics.paired` says how). They are None where either cell has no
    per-item results, or the items are not the same. Two models may share a cell (general ability is measured once for
    each language model); then the difference is 0 by construction and says so.
    """
    if is_same_record(score, base):
        return same_record(score.n, lower_is_better=score.lower_is_better)
    plain = without_interval(score, base)
    if score.items is None or base.items is None or score.metric != base.metric or score.limit != base.limit:
        return plain
    name = f"v{COMPARISON_VERSION}-{score.items.sha256[:20]}-{base.items.sha256[:20]}.json"
    path = store.folder("comparisons") / name
    if path.is_file():
        return Difference(**json.loads(path.read_text(encoding="utf-8")))
    found = _paired(plain, statistics_of(store, score), statistics_of(store, base), score)
    write_atomically(path, json.dumps(asdict(found)).encode("utf-8"))
    return found


def without_interval(score: Score, base: Score) -> Difference:
    """Return the bare difference, with no interval; 0 by construction where both are one record."""
    if is_same_record(score, base):
        return same_record(score.n, lower_is_better=score.lower_is_better)
    return Difference(
        value=score.score - base.score,
        stderr=None,
        low=None,
        high=None,
        n=min(score.n, base.n),
        lower_is_better=score.lower_is_better,
    )


def _paired(plain: Difference, own: Statistics | None, base: Statistics | None, score: Score) -> Difference:
    """Return `plain` with its interval, p-value and counts; ability parts weigh by their size, others alike."""
    parts = paired_parts(own, base, by_size=score.axis == "ability")
    if parts is None:
        return plain
    counted = _counts(plain, [(one.merits, other.merits) for one, other, _ in parts])
    estimate = _estimate(parts)
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


def paired_parts(
    own: Statistics | None, base: Statistics | None, *, by_size: bool
) -> list[tuple[ItemStatistic, ItemStatistic, float]] | None:
    """Return (own, base, weight) of each part, weights summing to 1; None where the items are not the same."""
    if not own or not base or set(own) != set(base) or any(own[name].items != base[name].items for name in own):
        return None
    total = sum(one.n for one in own.values())
    return [(own[name], base[name], own[name].n / total if by_size else 1 / len(own)) for name in own]


def _estimate(parts: Sequence[tuple[ItemStatistic, ItemStatistic, float]]) -> Estimate | None:
    pooled = pooled_scores(parts)
    if pooled is None:
        return of_statistics([(own.n, _minus(own, base, weight * len(parts))) for own, base, weight in parts])
    if pooled.is_binary:
        own, base = pooled.own, pooled.base
        return of_proportions(int((own > base).sum()), int((own < base).sum()), len(own))
    return of_spread(pooled.spread, pooled.scale)


class Pooled(NamedTuple):
    """The item scores of all parts of two cells."""

    own: Floats
    """(n,)"""
    base: Floats
    """(n,)"""
    is_binary: bool
    """Whether every item is right or wrong and weighs alike."""
    spread: Spread | None
    """None where a part has under two items, or two cells do not weigh their items alike."""
    scale: float
    """The size of a whole win: 1, or for a ratio what an item of the baseline's contributes on average."""


def pooled_scores(parts: Sequence[tuple[ItemStatistic, ItemStatistic, float]]) -> Pooled | None:
    """Return the paired item scores of (own, base, weight) parts; None where the metric has none."""
    own = [one.scores for one, _, _ in parts if one.scores is not None]
    base = [one.scores for _, one, _ in parts if one.scores is not None]
    if not len(parts) == len(own) == len(base):
        return None
    n = sum(len(one) for one in own)
    together = np.concatenate(own), np.concatenate(base)
    sizes = [(one.sizes, other.sizes) for one, other, _ in parts]
    if any(one is not None or other is not None for one, other in sizes):
        if any(one is None or other is None or not np.array_equal(one, other) for one, other in sizes):
            return None  # other tokens: nats per token are not paired then
        tokens = [one for one, _ in sizes if one is not None]
        scale = float(together[1].sum() / max(1.0, sum(float(one.sum()) for one in tokens)))
        return Pooled(*together, False, spread_of_ratios(own, base, tokens), scale)
    weighs_alike = all(abs(weight - one.n / n) < SAME for one, _, weight in parts)
    is_binary = weighs_alike and all(bool(np.isin(one, (0.0, 1.0)).all()) for one in together)
    spread = spread_of_means([_part(*part) for part in parts])
    return Pooled(*together, is_binary, spread, 1.0)


def _part(own: ItemStatistic, base: ItemStatistic, weight: float) -> Part:
    """Return the paired scores, with their rounds where both cells have the same number of them."""
    rounds = None
    if own.rounds is not None and base.rounds is not None and own.rounds.shape == base.rounds.shape:
        rounds = Rounds(own.rounds, base.rounds, own.are_crossed)
    scores = [np.empty(0) if one.scores is None else one.scores for one in (own, base)]
    return Part(scores[0], scores[1], weight, rounds)


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
