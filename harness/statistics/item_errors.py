"""How wrong a model is on one item, 0 to 1, whatever the task's measure is: for sorting items and finding flips.

It is not the task's score. A cosine has no scale of its own (two models' .8 mean different things), so pairs are judged
by their place among the others: of an STS pair the distance between its rank by similarity and its rank by gold, as a
share of the largest possible; of a labelled pair the share of pairs of the other label that it stands on the wrong side
of (1 minus its part in the area under the ROC curve); of a query 1 minus its own metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.statistics.conventions import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """One way to judge an item."""

    said: str
    """In words, as a report has it."""
    value: str
    """Column of what the model made of the item: a similarity, a metric."""
    of: Callable[[Mapping[str, Any]], Floats]
    """Per-item results of one split and subset -> (n,) errors in [0, 1]."""


def _rank_distance(columns: Mapping[str, Any]) -> Floats:
    gold, cosine = _ranks(columns["gold"]), _ranks(columns["cosine"])
    return np.abs(cosine - gold) / max(len(gold) - 1, 1)


def _lost_metric(columns: Mapping[str, Any]) -> Floats:
    return np.clip(1.0 - np.asarray(columns["score"], dtype=np.float64), 0.0, 1.0)


def _ranks(values: Any) -> Floats:
    from scipy.stats import rankdata

    ranks: Floats = rankdata(np.asarray(values, dtype=np.float64))
    return ranks


def _wrong_side(columns: Mapping[str, Any]) -> Floats:
    labels, similarity = np.asarray(columns["label"]), np.asarray(columns["similarity"], dtype=np.float64)
    errors = np.zeros(len(labels))
    for label, sign in ((1, 1.0), (0, -1.0)):
        own, other = labels == label, np.sort(sign * similarity[labels != label])
        if len(other):
            # Ties count half, as in the area under the curve.
            below = np.searchsorted(other, sign * similarity[own], side="left")
            upto = np.searchsorted(other, sign * similarity[own], side="right")
            errors[own] = 1.0 - (below + upto) / (2 * len(other))
    return errors


ITEM_ERRORS = {
    "rank distance": ItemError(
        said="distance between the pair's rank by similarity and by gold, 1 = from one end to the other",
        value="cosine",
        of=_rank_distance,
    ),
    "wrong side": ItemError(
        said="share of the pairs of the other label that the pair stands on the wrong side of",
        value="similarity",
        of=_wrong_side,
    ),
    "lost metric": ItemError(said="1 minus the query's own metric", value="score", of=_lost_metric),
}
"""By the name that a task type's row gives it (`harness.tasks.types`)."""
