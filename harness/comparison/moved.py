"""The items that moved between two models: those whose value changed most, with what each model made of them.

Values are those of `harness.statistics.item_values`; what is shown of one stands in `harness.comparison.moved_items`.
Columns are read twice: those that values are made of, of all items, then everything of the few that are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from harness.comparison.moved_items import Item, Moved, moved_item
from harness.results.facts import facts_of
from harness.results.records import Score, SeededScore
from harness.results.store import Store
from harness.results.stored_items import is_same_record
from harness.statistics.conventions import Floats
from harness.statistics.item_values import Indices, ItemValues, is_value, values_of

Place = tuple[str, str, str]
"""Part, split and subset."""
SAME = 1e-9
"""Values that differ by less are the same."""
TEXTS_OF_A_SET = 4
"""Shown of a set of texts: those that moved most."""
OLDER = "cells of earlier versions, and of suites with `keep_texts: false`, hold no texts; run them again to have some"


class Group(NamedTuple):
    """The items of one part, split and subset of a cell."""

    found: ItemValues
    rows: Indices
    """(rows,) where each of its rows stands in the cell's table."""
    is_kept: Any
    """(rows,) whether a row's texts are kept; None where the cell has none."""


Opened = Mapping[Place, Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """One task of two models."""

    task: str
    type: str
    metric: str
    said: str
    """What an item's value is."""
    n: int
    """Items both have."""
    better: int
    """Items on which the first model is better; the others are alike or worse."""
    worse: int
    items: tuple[Moved, ...]
    """Those that changed most, the largest change first."""
    lower_is_better: bool = False
    remark: str = ""
    """Why there is nothing to show, or what must be known of it; empty where all is plain."""


class Change(NamedTuple):
    """An item that moved."""

    place: Place
    own: int
    """Which item of the first model's group it is."""
    base: int
    value: float
    """First model's value minus the other's."""


def opened(store: Store, score: Score) -> Opened | None:
    """Return the values of a cell's items; None where it has none.

    Args:
        store: where its per-item results are.
        score: the cell; of a mean over seeds its first seed.
    """
    from pandas import factorize

    table = store.items_of(score, is_value)
    if table is None:
        return None
    frame = table.to_pandas(use_threads=False)
    if "cluster" in frame.columns:  # labels are only told apart, and strings take seconds to sort
        frame["label"] = factorize(frame["label"])[0]
    found: dict[Place, Group] = {}
    for place, rows in frame.groupby(["part", "split", "subset"], observed=True, sort=True):
        columns = {name: rows[name].to_numpy() for name in rows.columns}
        values = values_of(columns)
        if values is None:
            return None
        kept = columns.get("is_kept")
        found[place] = Group(values, rows.index.to_numpy(), None if kept is None else kept.astype(bool))
    return found


def moves(
    store: Store,
    task: str,
    own: Score,
    base: Score,
    *,
    most: int,
    with_texts: bool = True,
) -> Moves:
    """Return the items of a task that moved between two models.

    Args:
        store: where the items of both are.
        task: as it is shown.
        own, base: the two cells; a change is the first one's value minus the second's.
        most: items that are returned.
        with_texts: with what is text of the data.
    """
    why = why_none(own, base)
    if why:
        return nothing(task, own, why)
    opened_own, opened_base = opened(store, own), opened(store, base)
    if opened_own is None or opened_base is None:
        return nothing(task, own, "its metric is no matter of single items")
    sides = (opened_own, opened_base)
    counts, changed = changes(*sides, lower_is_better=own.lower_is_better, most=most)
    if not counts[0]:
        return nothing(task, own, "the two have no item in common")
    rows = [rows_shown(sides, one) for one in changed]
    tables = tuple(
        read_rows(store, score, [row for each in rows for row in each[side]]) for side, score in enumerate((own, base))
    )
    items = [
        moved_item(item_of(sides, one, tables, shown), own.metric, with_texts=with_texts)
        for one, shown in zip(changed, rows, strict=True)
    ]
    return Moves(
        task=task,
        type=own.type,
        metric=own.metric,
        said=next(iter(opened_own.values())).found.said,
        n=counts[0],
        better=counts[1],
        worse=counts[2],
        items=tuple(items),
        lower_is_better=own.lower_is_better,
        remark=remark_on(own, base, sides, with_texts=with_texts),
    )


def item_of(
    sides: tuple[Opened, Opened], one: Change, tables: Sequence[Mapping[int, Any]], shown: tuple[list[int], list[int]]
) -> Item:
    """Return what is known of an item that moved, from both models' tables and its rows in them."""
    own, base = (side[one.place].found for side in sides)
    first, second = ([table[row] for row in rows] for table, rows in zip(tables, shown, strict=True))
    return Item(
        name=own.names[one.own],
        where=" ".join(one.place) if len(sides[0]) > 1 else "",
        change=one.value,
        values=(float(own.values[one.own]), float(base.values[one.base])),
        of_texts=_of_texts(sides, one),
        rows=(first, second),
    )


def why_none(own: Score, base: Score) -> str:
    """Return why two cells have no items that moved, before any file is opened; empty where they may have."""
    if is_same_record(own, base):
        return "both models share one stored cell: nothing moved"
    for first in map(_first, (own, base)):
        if first.items is None:
            return (
                f"{facts_of(first).cell or first.model} has no per-item results: {first.items_missing or 'none kept'}"
            )
    return ""


def has_items(score: Score) -> bool:
    """Whether a cell has per-item results; a mean over seeds where its first seed has."""
    return _first(score).items is not None


def _first(score: Score) -> Score:
    return score.parts[0] if isinstance(score, SeededScore) else score


def nothing(task: str, score: Score, why: str) -> Moves:
    """Return that there is nothing to show of a task, and why."""
    return Moves(task=task, type=score.type, metric=score.metric, said="", n=0, better=0, worse=0, items=(), remark=why)


def changes(
    own: Opened, base: Opened, *, lower_is_better: bool, most: int
) -> tuple[tuple[int, int, int], list[Change]]:
    """Return how many items both have, on how many the first is better and worse, and those that changed most.

    Of equal changes those whose texts are kept come first, then those that come first in the data.
    """
    total = [0, 0, 0]
    found: list[tuple[float, bool, int, Change]] = []
    for place in (one for one in own if one in base):
        at_own, at_base = _paired(own[place].found, base[place].found)
        moved: Floats = own[place].found.values[at_own] - base[place].found.values[at_base]
        gained = -moved if lower_is_better else moved
        for at, count in enumerate((len(moved), int((gained > SAME).sum()), int((gained < -SAME).sum()))):
            total[at] += count
        group = own[place]
        lacks = np.zeros(len(moved), bool) if group.is_kept is None else ~group.is_kept[group.found.row[at_own]]
        lacks &= group.found.of_rows is None  # a set has texts enough
        order = np.lexsort((np.arange(len(moved)), lacks, -np.round(np.abs(moved), 9)))[:most]
        found += [
            (
                -round(abs(float(moved[at])), 9),
                bool(lacks[at]),
                len(found),
                Change(place, int(at_own[at]), int(at_base[at]), float(moved[at])),
            )
            for at in order
            if abs(moved[at]) > SAME
        ]
    return (total[0], total[1], total[2]), [one[3] for one in sorted(found, key=lambda one: one[:3])[:most]]


def _paired(own: ItemValues, base: ItemValues) -> tuple[Indices, Indices]:
    """Return the places of the items that both have, in the order of the first."""
    if own.names == base.names:
        every = np.arange(len(own.names))
        return every, every
    places = {name: place for place, name in enumerate(base.names)}
    both = [(at, places[name]) for at, name in enumerate(own.names) if name in places]
    found = np.array(both, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def rows_shown(sides: tuple[Opened, Opened], one: Change) -> tuple[list[int], list[int]]:
    """Return the rows of an item in the tables of both: its own, or those of the texts of a set that moved most."""
    groups = [side[one.place] for side in sides]
    inside = _texts_of_set(sides, one)
    if inside is None:
        own, base = (int(group.rows[group.found.row[at]]) for group, at in zip(groups, one[1:3], strict=True))
        return [own], [base]
    return [int(row) for row in groups[0].rows[inside[0]]], [int(row) for row in groups[1].rows[inside[1]]]


def _texts_of_set(sides: tuple[Opened, Opened], one: Change) -> tuple[Indices, Indices] | None:
    """Return which rows of both groups are the texts of a set that moved most; None where items are no sets."""
    own, base = (side[one.place] for side in sides)
    if own.found.of_rows is None or base.found.of_rows is None:
        return None
    at_own, at_base = (
        np.flatnonzero(own.found.item_of_row == one.own),
        np.flatnonzero(base.found.item_of_row == one.base),
    )
    if len(at_own) != len(at_base):
        return at_own[:0], at_base[:0]
    moved = np.abs(own.found.of_rows[at_own] - base.found.of_rows[at_base])
    lacks = np.zeros(len(moved), bool) if own.is_kept is None else ~own.is_kept[at_own]
    order = np.lexsort((np.arange(len(moved)), -np.round(moved, 9), lacks))[:TEXTS_OF_A_SET]
    return at_own[order], at_base[order]


def _of_texts(sides: tuple[Opened, Opened], one: Change) -> list[tuple[float, float]]:
    """Return the values of the texts of a set that are shown, one model's and the other's."""
    inside = _texts_of_set(sides, one)
    if inside is None:
        return []
    each = [side[one.place].found.of_rows[rows] for side, rows in zip(sides, inside, strict=True)]  # type: ignore[index]
    return [(float(own), float(base)) for own, base in zip(*each, strict=True)]


def read_rows(store: Store, score: Score, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return row -> everything that the cell's table holds of it."""
    if not rows:
        return {}
    table = store.items_of(score)
    wanted = sorted(set(rows))
    found: list[dict[str, Any]] = table.take(wanted).to_pylist() if table is not None else []
    return dict(zip(wanted, found, strict=True))


def remark_on(own: Score, base: Score, sides: tuple[Opened, Opened], *, with_texts: bool) -> str:
    """Return what must be known of the items of two cells; empty where all is plain."""
    return "; ".join(_remarks(own, base, sides, with_texts=with_texts))


def _remarks(own: Score, base: Score, sides: tuple[Opened, Opened], *, with_texts: bool) -> Iterator[str]:
    if any(isinstance(one, SeededScore) for one in (own, base)):
        yield "of a model with seeds, its first seed"
    groups = [group for side in sides for group in side.values()]
    if with_texts and own.axis == "embedding":
        if any(group.is_kept is None for group in groups):
            yield OLDER
            return
        each = [group for group in sides[0].values() if len(group.found.names) == len(group.rows)]
        kept, every = sum(int(group.is_kept.sum()) for group in each), sum(len(group.rows) for group in each)
        if kept < every:
            yield f"the texts of {kept:,} of its {every:,} items are kept"
