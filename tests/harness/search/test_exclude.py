"""Documents that a query must not be shown: the ranking of all the others, by a sort."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from harness.search.comparison import Comparison
from harness.search.exact import search
from harness.search.exclude import SHARE, excluded_of, without
from harness.search.ranks import ranks_of


def test_what_is_left_is_the_ranking_of_all_other_documents() -> None:
    """Of vectors with many ties, for every number wanted, with queries that exclude nothing or the best one."""
    rng = np.random.default_rng(0)
    documents = rng.integers(-2, 3, (60, 4)).astype(np.float32)
    queries = rng.integers(-2, 3, (5, 4)).astype(np.float32)
    names = [f"d{n:02}" for n in rng.permutation(60)]
    scores = queries @ documents.T
    order = [sorted(range(60), key=lambda d, row=row: (row[d], names[d]), reverse=True) for row in scores]
    excluded = [np.array(sorted(found[:n]), dtype=np.int64) for n, found in enumerate(order)]
    for k in (1, 10, 60):
        comparison = Comparison(similarity="dot", precision="float32", ranges=None)
        more = search(queries, [(0, documents)], ranks_of(pa.array(names)), k + 4, comparison=comparison)
        found = without(more, excluded, k)
        starts = [0, *found.ends[:-1].tolist()]
        for start, end, own, truth in zip(starts, found.ends.tolist(), excluded, order, strict=True):
            assert found.documents[start:end].tolist() == [one for one in truth if one not in set(own.tolist())][:k]


def test_few_excluded_documents_are_known_by_their_places() -> None:
    """And the candidates of reranking, an unknown document or a query that ranks nothing are left to the other way."""
    names = [f"d{n}" for n in range(2 * SHARE)]
    ids = pa.chunked_array([pa.array(names)])
    most = [one for one in names if one not in ("d3", "d7")]
    found = excluded_of(ids, ["a", "b"], {"a": most, "b": names})
    assert found is not None
    assert [one.tolist() for one in found] == [[3, 7], []]
    assert excluded_of(ids, ["a"], {"a": most[1:]}) is None
    assert excluded_of(ids, ["a"], {"a": [*most, "x"]}) is None
    assert excluded_of(ids, ["a", "b"], {"a": most}) is None
    assert excluded_of(pa.chunked_array([pa.array([*names, "d1"])]), ["a"], {"a": names}) is None
