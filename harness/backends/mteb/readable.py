"""What of each item is kept to be read: the beginnings of its texts, as columns beside its results.

A report then shows the items that moved between two models on a machine without the data. Bounded in items and
characters; which items are kept hangs on the suite's seed alone, so that every model has the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.draw import draw_rows, generator
from harness.backends.mteb.items import SubsetItems
from harness.backends.mteb.loaded import Loaded

MOST_ITEMS = 20_000
"""Of a split and subset, whose texts are kept."""


def with_texts(task: Any, one: SubsetItems, *, seed: int) -> SubsetItems:
    """Return per-item results with their texts, and with `is_kept`: whether a row has some.

    Args:
        task: of mteb, with its data.
        one: the items of a split and subset of it; returned as they are where there are none.
        seed: of the suite.
    """
    if not one.columns or one.missing:
        return one
    loaded = Loaded(task=task, split=one.split, subset=one.subset)
    rows = _rows_to_keep(one.columns)
    drawn = draw_rows(generator(seed, loaded.part, one.split, one.subset, "texts"), len(rows), MOST_ITEMS)
    texts = file_of(task.metadata.type).readable(loaded, one, sorted(rows[place] for place in drawn))
    is_kept = [value is not None for value in next(iter(texts.values()))]
    return replace(one, columns={**one.columns, **texts, "is_kept": is_kept})


def _rows_to_keep(columns: Mapping[str, Any]) -> Sequence[int]:
    """Return the rows that may get texts: of a text that newer clustering draws several times, the first alone."""
    if "experiment" not in columns:
        return range(len(next(iter(columns.values()))))
    drawn = np.stack([np.asarray(columns["level"]), np.asarray(columns["item"])], axis=1)
    return [int(row) for row in np.unique(drawn, axis=0, return_index=True)[1]]
