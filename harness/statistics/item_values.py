"""What a model made of every single item, as a number that two models' can be subtracted of: pure.

It is the item's own part of the score wherever there is one: a query's metric, the share of training samples with which
a text is classified right, a document's correlation, a question's metric, a set's V-measure. A pair has none, and is
judged by its rank (`harness.statistics.item_errors`); nor has a text of newer clustering tasks, which is judged by its
B-cubed F: the harmonic mean of the share of its cluster that has its label and the share of its label that is in its
cluster. Source: Bagga & Baldwin 1998; Amigo et al. 2009 for the conditions it meets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.conventions import Floats
from harness.statistics.item_errors import ITEM_ERRORS

Indices = NDArray[np.int64]
READ = (
    "part", "split", "subset", "item", "query", "score", "gold", "cosine", "label", "similarity", "set", "level",
    "experiment", "cluster", "is_kept",
)  # fmt: skip
"""Columns that values are made of, and that say whether an item's texts are kept."""


def is_value(column: str) -> bool:
    """Whether `values_of` may look at a column of that name: texts and rankings are much to read for nothing."""
    return column in READ


_PAIRS = (
    ("rank distance", ("gold", "cosine"), "how near the pair's rank by cosine is to its rank by gold, 0 to 1"),
    (
        "wrong side",
        ("label", "similarity"),
        "the share of the pairs of the other label that it is on the right side of",
    ),
)
"""Which error a pair is judged by, the columns that are needed, and what 1 minus it is, in words."""


class ItemValues(NamedTuple):
    """The items of one part, split and subset."""

    names: tuple[str, ...]
    """What each of n items is called."""
    values: Floats
    """(n,)"""
    row: Indices
    """(n,) the first row of each item."""
    said: str
    """What a value is, in words."""
    of_rows: Floats | None = None
    """(rows,) of the texts that an item consists of, each by itself; None where an item is one thing."""
    item_of_row: Indices | None = None
    """(rows,) which item a row belongs to; None where `of_rows` is."""


def values_of(columns: Mapping[str, Any]) -> ItemValues | None:
    """Return the value of every item, or None where the columns hold none.

    Args:
        columns: column name -> (rows,) values, of one part, split and subset.
    """
    if "cluster" in columns:
        return _of_texts(columns) if "experiment" in columns else _of_sets(columns)
    for error, needed, said in _PAIRS:
        if all(name in columns for name in needed):
            return _one_a_row(columns, 1.0 - ITEM_ERRORS[error].of(columns), said)
    if "score" not in columns:
        return None
    return _one_a_row(columns, np.asarray(columns["score"], dtype=np.float64), "the item's own part of the score")


def b_cubed(labels: Any, clusters: Any) -> Floats:
    """Return the B-cubed F of every text, in (0, 1].

    Args:
        labels, clusters: (n,) what each text is, and where it was put; of one clustering.
    """
    of_label = _places(labels)
    of_cluster = _places(clusters)
    both = _places(of_label * (int(of_cluster.max(initial=0)) + 1) + of_cluster)
    together = _counted(both)
    precision, recall = together / _counted(of_cluster), together / _counted(of_label)
    found: Floats = 2 * precision * recall / (precision + recall)
    return found


def _one_a_row(columns: Mapping[str, Any], values: Floats, said: str) -> ItemValues:
    names = tuple(str(one) for one in columns["query" if "query" in columns else "item"])
    return ItemValues(names, values, np.arange(len(names)), said)


def _of_sets(columns: Mapping[str, Any]) -> ItemValues:
    """Return the V-measure of every set, and the B-cubed F of its texts."""
    from sklearn.metrics import v_measure_score

    labels, clusters = np.asarray(columns["label"]), np.asarray(columns["cluster"])
    names, row, item = np.unique(np.asarray(columns["set"]), return_index=True, return_inverse=True)
    values, of_rows = np.zeros(len(names)), np.zeros(len(labels))
    for place in range(len(names)):
        inside = np.flatnonzero(item == place)
        values[place] = v_measure_score(labels[inside], clusters[inside])
        of_rows[inside] = b_cubed(labels[inside], clusters[inside])
    said = "the set's V-measure; of a text in it, its B-cubed F"
    return ItemValues(tuple(f"set {name}" for name in names), values, row, said, of_rows, item)


def _of_texts(columns: Mapping[str, Any]) -> ItemValues:
    """Return the mean B-cubed F of every text over the draws it is in, one level at a time."""
    labels, clusters = np.asarray(columns["label"]), np.asarray(columns["cluster"])
    level, drawn = np.asarray(columns["level"]), np.asarray(columns["experiment"])
    of_rows = np.zeros(len(labels))
    for one in np.unique(np.stack([level, drawn], axis=1), axis=0):
        inside = np.flatnonzero((level == one[0]) & (drawn == one[1]))
        of_rows[inside] = b_cubed(labels[inside], clusters[inside])
    texts = np.stack([level, np.asarray(columns["item"])], axis=1)
    names, row, item = np.unique(texts, axis=0, return_index=True, return_inverse=True)
    item = item.reshape(-1)
    values = np.bincount(item, weights=of_rows) / np.bincount(item)
    said = "the text's B-cubed F, its mean over the draws it is in"
    many = len(np.unique(level)) > 1
    called = tuple(f"{text}, level {at}" if many else str(text) for at, text in names)
    return ItemValues(called, values, row, said)


def _places(values: Any) -> Indices:
    found: Indices = np.unique(np.asarray(values), return_inverse=True)[1].reshape(-1)
    return found


def _counted(places: Indices) -> Floats:
    found: Floats = np.bincount(places)[places].astype(np.float64)
    return found
