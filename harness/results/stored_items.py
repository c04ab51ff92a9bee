"""From the stored per-item results of a cell to the statistic over them, and to the decisions behind a score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.results.facts import facts_of
from harness.results.records import Score, SeededScore
from harness.results.store import Store
from harness.statistics.decisions import Decisions, decisions_of, is_decision
from harness.statistics.items import ItemStatistic, is_for_statistics, mean_of, of_columns

Statistics = dict[tuple[Any, ...], ItemStatistic]
"""(part, split, subset) -> the statistic over its items."""


def is_same_record(score: Score, base: Score) -> bool:
    """Whether two cells are one and the same on disk: key, score and per-item results.

    The key alone is not enough: cells of two results folders may have one key and be two runs.
    """
    own, other = ((one.task, one.key, one.score, one.items, facts_of(one).began) for one in (score, base))
    return own == other


class OpenItems:
    """The items of cells as statistics, each file read once as long as this lives."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self.store = store
        self._read: dict[str, Statistics | None] = {}

    def statistics(self, score: Score) -> Statistics | None:
        """Return (part, split, subset) -> statistic of a cell's items, by name; None where its type has none."""
        if isinstance(score, SeededScore):
            each = [self.statistics(one) for one in score.parts]
            return _mean_over_seeds([one for one in each if one]) if all(each) else None
        if score.items is None:
            return None
        if score.items.sha256 not in self._read:
            self._read[score.items.sha256] = _statistics(score, self.store.items_of(score, is_for_statistics))
        return self._read[score.items.sha256]


def statistics_of(store: Store, score: Score) -> Statistics | None:
    """Return (part, split, subset) -> statistic of a cell's items, by name; None where its type has none."""
    return OpenItems(store).statistics(score)


def _statistics(score: Score, table: Any) -> Statistics | None:
    """Return the statistics of a table, part by part in the order of their names: all models' draws then agree."""
    found: Statistics = {}
    for name, columns in _by_part(table):
        one = None if _lacks_names(columns) else of_columns(score.type, columns)
        if one is None:
            return None
        found[name] = one
    return found


def _by_part(table: Any) -> Iterator[tuple[tuple[str, str, str], Mapping[str, Any]]]:
    """Yield (part, split, subset) and the columns of its rows, by name."""
    frame = _with_numbers(table).to_pandas(use_threads=False)
    groups = frame.groupby(["part", "split", "subset"], observed=True, sort=False)
    for name, rows in sorted(groups, key=lambda one: one[0]):
        yield name, {column: rows[column].to_numpy() for column in rows.columns}


def _with_numbers(table: Any) -> Any:
    """Return the table with a clustering's labels as numbers in the order of their names.

    They are only told apart, and hundreds of thousands of strings take seconds to sort.
    """
    import pyarrow as pa

    if "cluster" not in table.column_names or not pa.types.is_string(table.schema.field("label").type):
        return table
    coded = table["label"].combine_chunks().dictionary_encode()
    if coded.null_count:
        return table
    place = np.argsort(np.argsort(coded.dictionary.to_numpy(zero_copy_only=False)))
    index = table.schema.get_field_index("label")
    return table.set_column(index, "label", pa.array(place[coded.indices.to_numpy()]))


def _lacks_names(columns: Mapping[str, Any]) -> bool:
    """Whether the items are not called anything."""
    from pandas import isna

    return any(column in columns and isna(columns[column]).all() for column in ("query", "item"))


def decisions_behind(store: Store, score: Score) -> Decisions | None:
    """Return the discrete decisions that a cell's score is made of; None where its type makes none."""
    table = None if isinstance(score, SeededScore) else store.items_of(score, is_decision)
    return None if table is None else decisions_of(table.to_pydict())


def _mean_over_seeds(each: Sequence[Statistics]) -> Statistics | None:
    """Return the mean of several seeds' statistics, items drawn alike for all; None where the items differ."""
    first, *others = each
    if any(set(one) != set(first) or any(one[name].items != first[name].items for name in first) for one in others):
        return None
    return {name: mean_of([one[name] for one in each]) for name in first}
