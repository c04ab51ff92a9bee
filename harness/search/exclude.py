"""Documents that a query must not be shown, taken out of what was found for it (BRIGHT's `excluded_ids`).

Where they are few, all documents are searched for so many more hits and the excluded ones are dropped: the same
ranking as a comparison with every other document one by one, at the price of one search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.exact import Found

SHARE = 10
"""Excluded documents are few where they are no more than one in so many."""


def excluded_of(ids: Any, names: Sequence[str], ranked: Mapping[str, Sequence[str]]) -> list[NDArray[np.int64]] | None:
    """Return the positions of the documents that each query does not rank; None where they are not few.

    Args:
        ids: pyarrow array of the documents' ids, (n,).
        names: of the queries.
        ranked: query -> the documents that it ranks.

    None too where a query ranks nothing, an id stands twice in the corpus or a ranked one does not stand in it.
    """
    few = len(ids) // SHARE
    if any(len(ids) - len(ranked.get(name, ())) > few for name in names):
        return None
    places = {document: place for place, document in enumerate(ids.to_pylist())}
    if len(places) < len(ids):
        return None
    found = []
    for name in names:
        own = set(ranked[name])
        left = places.keys() - own
        if len(left) + len(own) != len(places) or len(left) > few:
            return None
        found.append(np.array(sorted(places[document] for document in left), dtype=np.int64))
    return found


def without(found: Found, excluded: Sequence[NDArray[np.int64]], k: int) -> Found:
    """Return the best `k` hits of each query that are not excluded.

    Args:
        found: the best k of each query, and so many more as any of them excludes.
        excluded: positions of documents, a row a query.
        k: documents wanted for each query.
    """
    kept = []
    start = 0
    for end, own in zip(found.ends.tolist(), excluded, strict=True):
        hits = np.arange(start, end)
        kept.append(hits[~np.isin(found.documents[start:end], own)][:k])
        start = end
    rows = np.concatenate(kept)
    ends = np.cumsum([len(one) for one in kept])
    return Found(documents=found.documents[rows], scores=found.scores[rows], ends=ends)
