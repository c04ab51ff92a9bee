"""Two cells of one task: their difference and how sure it is, by resampling the items both were scored on.

Computed once for each pair of per-item files and kept beside the results (`comparisons/`), named by their sha256; what
is kept is one way round, and turned for the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from harness.results.records import Score
from harness.results.resampled import values_of
from harness.results.store import Store
from harness.results.stored_items import OpenItems, Statistics, is_same_record
from harness.statistics.conventions import POINTS, Floats
from harness.statistics.difference import Difference, same_record, turned
from harness.statistics.items import ItemStatistic
from harness.statistics.paired import (
    Estimate,
    Part,
    Rounds,
    Spread,
    of_proportions,
    of_spread,
    of_values,
    spread_of_means,
    spread_of_ratios,
)
from harness.statistics.resampling import averaged

COMPARISON_VERSION = 8
"""Raised when the way a difference is computed changes."""
FOLDER = "comparisons"
SAME = 1e-12
"""Shares of parts that differ by less are the same."""


def difference(store: Store, score: Score, base: Score) -> Difference:
    """Return `score` minus `base`, as `Differences` has it."""
    return Differences(store)(score, base)


class Differences:
    """The differences of the cells of a results folder, each made once."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store
        self._known: dict[str, Difference] = {}

    def __call__(self, score: Score, base: Score) -> Difference:
        """Return `score` minus `base`, two cells of one task on the same items.

        Interval and p-value are paired (`harness.statistics.paired` says how). They are None where either cell has no
        per-item results, or the items are not the same. Two models may share a cell (general ability is measured once
        for each language model); then the difference is 0 by construction and says so.
        """
        return self._found(score, base, None)

    def prepare(self, scores: Sequence[Score]) -> None:
        """Make the differences of every two of `scores`, the cells of one task: items are read and drawn once."""
        pairs = [pair for pair in combinations(scores, 2) if _is_paired(*pair)]
        missing = [pair for pair in pairs if self._kept(*_in_order(*pair)) is None]
        opened = OpenItems(self._store)
        those = {one.items: one for pair in missing for one in pair}
        if any(_is_resampled(opened, one) for one in those.values()):
            values_of(list(those.values()), opened)
        for pair in missing:
            self._found(*pair, opened)

    def _found(self, score: Score, base: Score, opened: OpenItems | None) -> Difference:
        plain = without_interval(score, base)
        if not _is_paired(score, base):
            return plain
        first, second = _in_order(score, base)
        found = self._kept(first, second)
        if found is None:
            found = _paired(first, second, opened or OpenItems(self._store))
            self._known[_name(first, second)] = found
            self._store.keep(FOLDER, _name(first, second), json.dumps(asdict(found)).encode("utf-8"))
        return replace(found if first is score else turned(found), value=plain.value)

    def _kept(self, first: Score, second: Score) -> Difference | None:
        """Return the difference as it is known, or as it is on disk, unless that is damaged."""
        name = _name(first, second)
        if name not in self._known:
            content = self._store.kept(FOLDER, name)
            try:
                self._known[name] = Difference(**json.loads(content or b""))
            except (ValueError, TypeError):
                return None
        return self._known[name]


def _is_paired(score: Score, base: Score) -> bool:
    """Whether two cells are two, with items, of one metric and one limit."""
    has_items = score.items is not None and base.items is not None
    is_one_measure = score.metric == base.metric and score.limit == base.limit
    return has_items and is_one_measure and not is_same_record(score, base)


def _in_order(score: Score, base: Score) -> tuple[Score, Score]:
    """Return the two in the order in which their difference is kept."""
    first, second = sorted((score, base), key=lambda one: one.items.sha256 if one.items else "")
    return first, second


def _name(first: Score, second: Score) -> str:
    each = [one.items.sha256[:20] if one.items else "" for one in (first, second)]
    return f"v{COMPARISON_VERSION}-{'-'.join(each)}.json"


def _is_resampled(opened: OpenItems, score: Score) -> bool:
    """Whether the metric is no mean of item scores."""
    return any(one.scores is None for one in (opened.statistics(score) or {}).values())


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


def _paired(score: Score, base: Score, opened: OpenItems) -> Difference:
    """Return the difference with interval, p-value and counts; ability parts weigh by their size, others alike."""
    plain = without_interval(score, base)
    parts = paired_parts(opened.statistics(score), opened.statistics(base), by_size=score.axis == "ability")
    if parts is None:
        return plain
    counted = _counts(plain, [(one.merits, other.merits) for one, other, _ in parts])
    pooled = pooled_scores(parts)
    estimate = _resampled(score, base, parts, opened) if pooled is None else _of_scores(pooled)
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
        detectable=None if estimate.detectable is None else estimate.detectable * scale,
    )


def paired_parts(
    own: Statistics | None, base: Statistics | None, *, by_size: bool
) -> list[tuple[ItemStatistic, ItemStatistic, float]] | None:
    """Return (own, base, weight) of each part, weights summing to 1; None where the items are not the same."""
    if not own or not base or set(own) != set(base) or any(own[name].items != base[name].items for name in own):
        return None
    total = sum(one.n for one in own.values())
    return [(own[name], base[name], own[name].n / total if by_size else 1 / len(own)) for name in own]


def _of_scores(pooled: Pooled) -> Estimate | None:
    if pooled.is_binary:
        own, base = pooled.own, pooled.base
        return of_proportions(int((own > base).sum()), int((own < base).sum()), len(own))
    return of_spread(pooled.spread, pooled.scale)


def _resampled(
    score: Score, base: Score, parts: Sequence[tuple[ItemStatistic, ItemStatistic, float]], opened: OpenItems
) -> Estimate | None:
    own, other = values_of([score, base], opened)
    if own is None or other is None:
        return None
    weights = np.array([[weight * len(parts)] for _, _, weight in parts])
    return of_values(averaged(weights * (own - other)))


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
