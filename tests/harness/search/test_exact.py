"""Exact search against the plainest search there is: all scores in one matrix, sorted by (score, id) in Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sentence_transformers.util import quantize_embeddings

from harness.search import exact
from harness.search.best import ScoreNotFiniteError
from harness.search.comparison import Comparison, ranges_of
from harness.search.exact import Found, Pairs, rerank, search
from harness.search.ranks import ranks_of


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Tiles of 16 documents by 4 queries, so that small corpora have many."""
    monkeypatch.setattr(exact, "TILE_DOCUMENTS", 16)
    monkeypatch.setattr(exact, "TILE_SCORES", 64)
    monkeypatch.setattr(exact, "PAIR_VALUES", 50)


def blocks(vectors, size):
    """Yield the rows in blocks."""
    for start in range(0, len(vectors), size):
        yield start, vectors[start : start + size]


def ids_of(n, seed=0):
    """Ids whose order as strings is neither that of the rows nor that of their numbers; some beyond ASCII."""
    names = [f"{'é' if i % 7 == 0 else '文' if i % 11 == 0 else 'd'}{i}" for i in range(n)]
    np.random.default_rng(seed).shuffle(names)
    return names


def plainly(scores, ids, k):
    """Return [(id, score)] of each row, sorted the way pytrec_eval does."""
    rows = []
    for row in scores:
        ranked = sorted(zip(row.tolist(), (name.encode() for name in ids), strict=True), reverse=True)[:k]
        rows.append([(name.decode(), score) for score, name in ranked])
    return rows


def listed(found: Found, ids):
    """Return [(id, score)] of each query."""
    starts = np.concatenate([[0], found.ends[:-1]])
    return [
        [
            (ids[document], score)
            for document, score in zip(found.documents[a:b].tolist(), found.scores[a:b].tolist(), strict=True)
        ]
        for a, b in zip(starts, found.ends, strict=True)
    ]


def whole_numbers(n, d, seed, most=3):
    """Vectors of small whole numbers: their products are exact, and many tie."""
    return np.random.default_rng(seed).integers(-most, most + 1, size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 7, 40, 1000])
@pytest.mark.parametrize("size", [1, 13, 64, 500])
def test_every_tie_is_broken_by_falling_id_at_the_cut_too(k, size):
    """Small whole numbers in three dimensions: hundreds of documents have the same score."""
    documents, queries, ids = whole_numbers(300, 3, 1), whole_numbers(9, 3, 2), ids_of(300)
    found = search(
        queries, blocks(documents, size), ranks_of(pa.array(ids)), k, comparison=Comparison(similarity="dot")
    )
    assert listed(found, ids) == plainly(queries @ documents.T, ids, k)


def test_nothing_but_ties():
    """All documents alike: the ids alone decide, however many they are."""
    documents, ids = np.ones((500, 4), dtype=np.float32), ids_of(500)
    found = search(
        documents[:3], blocks(documents, 37), ranks_of(pa.array(ids)), 10, comparison=Comparison(similarity="cosine")
    )
    best = sorted(ids, key=str.encode, reverse=True)[:10]
    assert [[name for name, _ in row] for row in listed(found, ids)] == [best] * 3


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_equal_vectors_tie_wherever_they_stand(similarity):
    """Real numbers, each vector five times over, far apart, in tiles of different fill: ids decide among the five."""
    rng = np.random.default_rng(3)
    distinct = rng.normal(size=(41, 33)).astype(np.float32)
    documents, ids = np.tile(distinct, (5, 1)), ids_of(205)
    queries = rng.normal(size=(6, 33)).astype(np.float32)
    found = search(
        queries, blocks(documents, 50), ranks_of(pa.array(ids)), 50, comparison=Comparison(similarity=similarity)
    )
    for row in listed(found, ids):
        for at in range(0, 50, 5):
            names, scores = zip(*row[at : at + 5], strict=True)
            assert len(set(scores)) == 1
            assert list(names) == sorted(names, key=str.encode, reverse=True)
            assert len({ids.index(name) % 41 for name in names}) == 1


@pytest.mark.parametrize("order", ["worst first", "best first"])
def test_the_order_of_the_stream_does_not_matter(order):
    """Scores that only rise fill every reservoir again and again; scores that only fall never do."""
    values = np.arange(1000, dtype=np.float32)[:, None] * (1 if order == "worst first" else -1)
    ids = ids_of(1000)
    found = search(
        np.ones((5, 1), dtype=np.float32),
        blocks(values, 100),
        ranks_of(pa.array(ids)),
        20,
        comparison=Comparison(similarity="dot"),
    )
    assert listed(found, ids) == plainly(np.ones((5, 1)) @ values.T, ids, 20)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_a_score_that_is_no_number_is_an_error(bad):
    """NaN, infinity, and finite numbers whose product is none."""
    documents = np.ones((40, 2), dtype=np.float32)
    documents[33] = bad
    with pytest.raises(ScoreNotFiniteError, match="NaN or infinite"):
        search(
            np.full((3, 2), 9, dtype=np.float32),
            blocks(documents, 40),
            ranks_of(pa.array(ids_of(40))),
            5,
            comparison=Comparison(similarity="dot"),
        )
    with pytest.raises(ScoreNotFiniteError, match="NaN or infinite"):
        rerank(
            np.full((3, 2), 9, dtype=np.float32),
            blocks(documents, 40),
            ranks_of(pa.array(ids_of(40))),
            5,
            pairs=Pairs(queries=np.array([1]), documents=np.array([33])),
            comparison=Comparison(similarity="dot"),
        )


@pytest.mark.parametrize("place", [0, 17, 39])
def test_nan_is_seen_wherever_it_stands(place):
    """Behind documents that are all better than any number could be bad, too: nothing is above NaN, or below."""
    documents = np.arange(40, 0, -1, dtype=np.float32)[:, None]
    documents[place] = np.nan
    with pytest.raises(ScoreNotFiniteError, match="NaN or infinite"):
        search(
            np.ones((1, 1), dtype=np.float32),
            blocks(documents, 40),
            ranks_of(pa.array(ids_of(40))),
            1,
            comparison=Comparison(similarity="dot"),
        )


@pytest.mark.parametrize(
    "stream",
    [
        lambda v: blocks(v[:90], 40),
        lambda v: [(0, v[:40]), (60, v[60:])],
        lambda v: [(0, v[:60]), (40, v[40:])],
        lambda v: blocks(np.concatenate([v, v[:1]]), 40),
    ],
    ids=["too few", "a hole", "twice", "too many"],
)
def test_a_stream_with_holes_is_never_searched(stream):
    """Documents that are missing, twice or too many."""
    with pytest.raises(ValueError, match="documents"):
        search(
            np.ones((1, 2), dtype=np.float32),
            stream(np.ones((100, 2), dtype=np.float32)),
            ranks_of(pa.array(ids_of(100))),
            5,
            comparison=Comparison(similarity="dot"),
        )


@pytest.mark.parametrize(("queries", "documents"), [(0, 5), (5, 0), (0, 0)])
def test_nothing_is_found_in_nothing(queries, documents):
    """No query, no document."""
    found = search(
        np.ones((queries, 2), dtype=np.float32),
        blocks(np.ones((documents, 2), dtype=np.float32), 2),
        ranks_of(pa.array(ids_of(documents), pa.string())),
        5,
        comparison=Comparison(similarity="cosine"),
    )
    assert (found.documents.tolist(), found.scores.tolist(), found.ends.tolist()) == ([], [], [0] * queries)


def int8_scores(queries, documents, similarity):
    """Return the scores of sentence-transformers' own integers, in Python's exact arithmetic but for the division."""
    one, two = (quantize_embeddings(v, "int8", calibration_embeddings=documents) for v in (queries, documents))
    one, two = one.astype(object), two.astype(object)
    products = one @ two.T
    if similarity == "cosine":
        lengths = [np.sqrt(np.maximum((v * v).sum(axis=1).astype(np.float64), 1)) for v in (one, two)]
        return (products.astype(np.float64) / lengths[0][:, None] / lengths[1]).astype(np.float32)
    return products.astype(np.float32)


@pytest.mark.parametrize("dimension", [5, 64, 1024, 1500])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_int8_is_that_of_sentence_transformers_in_exact_arithmetic(dimension, similarity):
    """One dimension never varies; queries go beyond the documents' ranges; each document stands twice."""
    rng = np.random.default_rng(dimension)
    documents = np.tile(rng.normal(size=(60, dimension)).astype(np.float32), (2, 1))
    documents[:, 2] = 0.25
    queries, ids = (3 * rng.normal(size=(7, dimension))).astype(np.float32), ids_of(120)
    comparison = Comparison(similarity=similarity, precision="int8", ranges=ranges_of(blocks(documents, 11)))
    found = search(queries, blocks(documents, 50), ranks_of(pa.array(ids)), 31, comparison=comparison)
    assert listed(found, ids) == plainly(int8_scores(queries, documents, similarity), ids, 31)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_int8_keeps_large_sums_whole(similarity):
    """1,500 dimensions of 100 to 127: float32 would round the sums on the way."""
    rng = np.random.default_rng(0)
    documents = rng.integers(228, 256, size=(60, 1500)).astype(np.float32)
    documents[0], documents[1] = 0, 255  # the ranges: a value v becomes v - 128
    comparison = Comparison(similarity=similarity, precision="int8", ranges=ranges_of(blocks(documents, 3)))
    exactly, ids = int8_scores(documents, documents, similarity), ids_of(60)
    found = search(documents, blocks(documents, 30), ranks_of(pa.array(ids)), 60, comparison=comparison)
    assert listed(found, ids) == plainly(exactly, ids, 60)


def test_int8_without_direction_is_as_like_to_all():
    """All integers 0: neither NaN nor an error."""
    documents = np.array([[0.0, 0.0], [255.0, 255.0], [128.0, 128.0]], dtype=np.float32)
    comparison = Comparison(similarity="cosine", precision="int8", ranges=ranges_of(blocks(documents, 3)))
    assert not quantize_embeddings(documents, "int8", calibration_embeddings=documents)[2].any()
    found = search(documents[:2], blocks(documents, 3), ranks_of(pa.array(["a", "b", "c"])), 3, comparison=comparison)
    assert dict(listed(found, ["a", "b", "c"])[0])["c"] == 0.0


def test_int8_wants_ranges():
    """Of some document at least."""
    with pytest.raises(ValueError, match="no ranges"):
        ranges_of([])
    with pytest.raises(ValueError, match="ranges of the documents"):
        search(
            np.ones((1, 2), dtype=np.float32),
            blocks(np.ones((2, 2), dtype=np.float32), 2),
            ranks_of(pa.array(["a", "b"])),
            1,
            comparison=Comparison(similarity="dot", precision="int8"),
        )


def hamming_scores(queries, documents):
    """Return d - 2 * (Hamming distance) of sentence-transformers' packed bits."""
    one, two = (quantize_embeddings(v, "ubinary") for v in (queries, documents))
    distance = np.bitwise_count(one[:, None, :] ^ two[None, :, :]).sum(axis=2, dtype=np.int64)
    return (queries.shape[1] - 2 * distance).astype(np.float32)


@pytest.mark.parametrize("dimension", [3, 8, 33, 576])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_binary_is_the_hamming_distance_of_packed_bits(dimension, similarity):
    """A value of 0 is no bit, as in sentence-transformers; with three dimensions there are four scores."""
    rng = np.random.default_rng(dimension)
    documents, ids = np.round(rng.normal(size=(300, dimension)), 0).astype(np.float32), ids_of(300)
    queries = rng.normal(size=(7, dimension)).astype(np.float32)
    comparison = Comparison(similarity=similarity, precision="binary")
    found = search(queries, blocks(documents, 77), ranks_of(pa.array(ids)), 50, comparison=comparison)
    assert listed(found, ids) == plainly(hamming_scores(queries, documents), ids, 50)


@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
@pytest.mark.parametrize("size", [1, 13, 500])
def test_reranking_ranks_the_candidates_of_each_query(precision, size):
    """One has none, one has all, one has fewer than k; exact numbers, many ties."""
    documents, queries, ids = whole_numbers(100, 4, 5), whole_numbers(4, 4, 6), ids_of(100)
    scores = {
        "float32": lambda: (queries @ documents.T).astype(np.float32),
        "int8": lambda: int8_scores(queries, documents, "dot"),
        "binary": lambda: hamming_scores(queries, documents),
    }[precision]()
    own = [np.arange(100), np.array([], dtype=np.int64), np.array([4, 99, 3, 50]), np.arange(99, 20, -2)]
    pairs = Pairs(queries=np.repeat(np.arange(4), [len(one) for one in own]), documents=np.concatenate(own))
    ranges = ranges_of(blocks(documents, 9)) if precision == "int8" else None
    found = rerank(
        queries,
        blocks(documents, size),
        ranks_of(pa.array(ids)),
        25,
        pairs=pairs,
        comparison=Comparison(similarity="dot", precision=precision, ranges=ranges),
    )
    expected = [
        plainly(scores[row : row + 1, one], [ids[place] for place in one], 25)[0] for row, one in enumerate(own)
    ]
    assert listed(found, ids) == expected


def test_pytrec_eval_ranks_as_the_search_does():
    """The rank that pytrec_eval gives each document is its place in what was found."""
    import pytrec_eval

    documents, queries, ids = whole_numbers(60, 2, 7), whole_numbers(1, 2, 8), ids_of(60)
    (ranked,) = listed(
        search(queries, blocks(documents, 17), ranks_of(pa.array(ids)), 60, comparison=Comparison(similarity="cosine")),
        ids,
    )
    for place, (name, _) in enumerate(ranked, 1):
        judged = pytrec_eval.RelevanceEvaluator({"q": {name: 1}}, {"recip_rank"})
        assert judged.evaluate({"q": dict(ranked)})["q"]["recip_rank"] == pytest.approx(1 / place)
