"""How wrong a model is on one item, 0 to 1, whatever the task's measure is: for sorting items and finding flips.

It is not the task's score. A cosine has no scale of its own (two models' .8 mean different things), so pairs are judged
by their place among the others: of an STS pair the distance between its rank by similarity and its rank by gold, as a
share of the largest possible; of a labelled pair the share of pairs of the other label that it stands on the wrong side
of (1 minus its part in the area under the ROC curve); of a query 1 minus its own metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAID = {
    "STS": "distance between the pair's rank by similarity and by gold, 1 = from one end to the other",
    "PairClassification": "share of the pairs of the other label that the pair stands on the wrong side of",
    "Retrieval": "1 minus the query's own metric",
    "Reranking": "1 minus the query's own metric",
}


def errors_of(kind: str, columns: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the error of every row, (n,) in [0, 1].

    Args:
        kind: type of the task, one of `SAID`.
        columns: per-item results of one split and subset, as `harness.backends.mteb.items` writes them.
    """
    if kind == "STS":
        gold, cosine = _ranks(columns["gold"]), _ranks(columns["cosine"])
        return np.abs(cosine - gold) / max(len(gold) - 1, 1)
    if kind == "PairClassification":
        return _wrong_side(np.asarray(columns["label"]), np.asarray(columns["similarity"], dtype=np.float64))
    return np.clip(1.0 - np.asarray(columns["score"], dtype=np.float64), 0.0, 1.0)


def _ranks(values: Any) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(np.asarray(values, dtype=np.float64))
    return ranks


def _wrong_side(labels: NDArray[Any], similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    errors = np.zeros(len(labels))
    for label, sign in ((1, 1.0), (0, -1.0)):
        own, other = labels == label, np.sort(sign * similarity[labels != label])
        if len(other):
            # Ties count half, as in the area under the curve.
            below = np.searchsorted(other, sign * similarity[own], side="left")
            upto = np.searchsorted(other, sign * similarity[own], side="right")
            errors[own] = 1.0 - (below + upto) / (2 * len(other))
    return errors
