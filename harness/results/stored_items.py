"""From the stored per-item results of a cell to the statistic over them, and to the decisions behind a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.results.facts import facts_of
from harness.results.records import Score, SeededScore
from harness.results.store import Store
from harness.statistics.decisions import Decisions, decisions_of
from harness.statistics.items import ItemStatistic, mean_of, of_columns

Statistics = dict[tuple[Any, ...], ItemStatistic]
"""(part, split, subset) -> the statistic over its items."""


def is_same_record(score: Score, base: Score) -> bool:
    """Whether two cells are one and the same on disk: key, score and per-item results.

    The key alone is not enough: cells of two results folders may have one key and be two runs.
    """
    own, other = ((one.task, one.key, one.score, one.items, facts_of(one).began) for one in (score, base))
    return own == other


def statistics_of(store: Store, score: Score) -> Statistics | None:
    """Return (part, split, subset) -> statistic of a cell's items; None where its type has none."""
    if isinstance(score, SeededScore):
        each = [statistics_of(store, one) for one in score.parts]
        return _mean_over_seeds([one for one in each if one]) if all(each) else None
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


def decisions_behind(store: Store, score: Score) -> Decisions | None:
    """Return the discrete decisions that a cell's score is made of; None where its type makes none."""
    table = None if isinstance(score, SeededScore) else store.items_of(score)
    return None if table is None else decisions_of(table.to_pydict())


def _mean_over_seeds(each: Sequence[Statistics]) -> Statistics | None:
    """Return the mean of several seeds' statistics, items drawn alike for all; None where the items differ."""
    first, *others = each
    if any(set(one) != set(first) or any(one[name].items != first[name].items for name in first) for one in others):
        return None
    return {name: mean_of([one[name] for one in each]) for name in first}
