"""Search through mteb's protocol: the rankings of mteb's own wrapper on the same vectors, and ties by id.

The other side of each comparison is `SearchEncoderWrapper`, which mteb puts around an encoder by itself; where equal
scores are cut it keeps any of them, so there the truth is a sort of all scores by (score, id).
"""

from __future__ import annotations

import inspect
import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import mteb
import numpy as np
import pytest
from cells_support import HashEncoder, hashed
from datasets import Dataset
from mteb.models.search_wrappers import SearchEncoderWrapper
from mteb.timing import TimingStack
from sentence_transformers.util import quantize_embeddings

from harness.backends.mteb import documents as documents_file
from harness.backends.mteb.model import MtebModel
from harness.backends.mteb.search import MTEB_CHUNK, ExactSearch
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError
from harness.tasks.catalogue import catalogue

DIMENSION = 12
WORDS = ("cat", "dog", "moon", "hill", "card", "lost", "protein", "chain", "rain", "roof", "night", "long", "fox")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of seven documents."""
    monkeypatch.setattr(documents_file, "BLOCK_BYTES", 7 * 4 * DIMENSION)


class WholeNumbers(HashEncoder):
    """Small whole numbers: products are exact, whatever multiplies them, and many are equal."""

    def encode(self, texts, *, role, prompt):
        """Return rounded vectors, none of them zero."""
        vectors = np.round(super().encode(texts, role=role, prompt=prompt) / 2)
        vectors[:, 0] += ~vectors.any(axis=1)
        return vectors.astype(np.float32)


def model_of(inner: HashEncoder, task: str = "SciFact") -> MtebModel:
    """Return mteb's view of an encoder, for the cell of a task without prompts."""
    info = catalogue().tasks[task]
    cell = SimpleNamespace(task=SimpleNamespace(type=info.type, info=info), prompts={}, model="m", size=None)
    return MtebModel(SimpleNamespace(cell=cell, fingerprint="f" * 64), CheckedEncoder(inner, name="m"))


def corpus_of(n: int, seed: int = 0) -> Dataset:
    """Documents of a few words, some with a title, a tenth of them twice under two ids, in an order unlike the ids'."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 6))) for _ in range(n)]
    titles = [str(rng.choice(["", "", "the cat", "a hill"])) for _ in range(n)]
    for place in range(0, n, 10):
        texts[place], titles[place] = texts[n - 1 - place], titles[n - 1 - place]
    ids = [f"d{number}" for number in rng.permutation(n)]
    return Dataset.from_dict({"id": ids, "title": titles, "text": texts})


def queries_of(n: int, seed: int = 1) -> Dataset:
    """Queries of a few words."""
    rng = np.random.default_rng(seed)
    return Dataset.from_dict(
        {"id": [f"q{i}" for i in range(n)], "text": [" ".join(rng.choice(WORDS, size=3)) for _ in range(n)]}
    )


def searched(wrapper: Any, corpus: Any, queries: Any, *, k: int, task: str = "SciFact", **more: Any) -> Any:
    """Index and search, as mteb's evaluator does."""
    said = {
        "task_metadata": mteb.get_task(task).metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {"show_progress_bar": False},
    }
    wrapper.index(corpus, **said)
    return wrapper.search(queries, top_k=k, **said, **more)


def both(inner: HashEncoder, corpus: Any, queries: Any, **more: Any) -> tuple[Any, Any]:
    """Return what ours finds, and what mteb's own wrapper finds with the same encoder."""
    ours = searched(ExactSearch(model_of(inner), "float32", "cpu"), corpus, queries, **more)
    theirs = searched(SearchEncoderWrapper(model_of(inner), corpus_chunk_size=10), corpus, queries, **more)
    return ours, theirs


def assert_same_but_for_cut_ties(ours: Any, theirs: Any) -> None:
    """The scores are the same; so are the documents, but for those that are as good as the worst that was kept."""
    assert list(ours) == list(theirs)
    for query, found in theirs.items():
        # Dot products are tens: some units in the last place of float32, which processors round differently.
        off = max(1e-5, 1e-6 * max(map(abs, found.values()), default=0.0))
        assert sorted(ours[query].values()) == pytest.approx(sorted(found.values()), abs=off)
        cut = min(found.values(), default=0.0) + off
        assert {one: pytest.approx(value, abs=off) for one, value in found.items() if value > cut} == {
            one: value for one, value in ours[query].items() if value > cut
        }


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("k", [1, 5, 30, 100, 1000])
def test_the_whole_corpus_is_ranked_as_mteb_ranks_it(similarity, k):
    """More documents than a block, k below and above their number, documents twice."""
    ours, theirs = both(HashEncoder(DIMENSION, similarity=similarity), corpus_of(100), queries_of(9), k=k)
    assert_same_but_for_cut_ties(ours, theirs)
    assert all(len(found) == min(k, 100) for found in ours.values())


@pytest.mark.parametrize("k", [3, 20])
def test_ties_at_the_cut_go_by_falling_id(k):
    """Exact products, many of them equal: what is kept is the head of a sort by (score, id)."""
    inner = WholeNumbers(DIMENSION, similarity="dot")
    corpus, queries = corpus_of(100), queries_of(5)
    ours = searched(ExactSearch(model_of(inner), "float32", "cpu"), corpus, queries, k=k)
    texts = [f"{title} {text}".strip() for title, text in zip(corpus["title"], corpus["text"], strict=True)]
    vectors = inner.encode(texts, role=None, prompt=None)
    ties = 0
    for query, text in zip(queries["id"], queries["text"], strict=True):
        scores = (vectors @ inner.encode([text], role=None, prompt=None)[0]).tolist()
        ranked = sorted(zip(scores, corpus["id"], strict=True), reverse=True)
        assert list(ours[query].items()) == [(name, score) for score, name in ranked[:k]]
        ties += ranked[k - 1][0] == ranked[k][0]
    assert ties


def candidates_of(corpus: Any, queries: Any) -> dict[str, list[str]]:
    """Of each query some documents, one of them twice; of the last none, and one query is not named at all."""
    rng = np.random.default_rng(4)
    own = {query: [str(one) for one in rng.choice(corpus["id"], size=12)] for query in queries["id"]}
    own[queries["id"][0]] += own[queries["id"][0]][:1]
    own[queries["id"][-1]] = []
    del own[queries["id"][-2]]
    return own


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("k", [4, 1000])
def test_candidates_are_ranked_as_mteb_ranks_them(similarity, k):
    """A candidate named twice, a query without any, one that is not named; and nothing else is encoded."""
    inner = HashEncoder(DIMENSION, similarity=similarity)
    corpus, queries = corpus_of(100), queries_of(6)
    own = {query: list(dict.fromkeys(ranked)) for query, ranked in candidates_of(corpus, queries).items()}
    ours, theirs = both(inner, corpus, queries, k=k, task="AskUbuntuDupQuestions", top_ranked=own)
    assert_same_but_for_cut_ties(ours, theirs)
    again = searched(
        ExactSearch(model_of(inner), "float32", "cpu"),
        corpus,
        queries,
        k=k,
        task="AskUbuntuDupQuestions",
        top_ranked=candidates_of(corpus, queries),
    )
    assert again == ours
    assert [len(found) for found in ours.values()][-2:] == [0, 0]


def test_only_candidates_are_encoded():
    """Each once, however many queries rank it."""
    inner = HashEncoder(DIMENSION)
    corpus, queries = corpus_of(100), queries_of(2)
    own = {"q0": list(corpus["id"][:9]), "q1": list(corpus["id"][4:11])}
    searched(ExactSearch(model_of(inner), "float32", "cpu"), corpus, queries, k=5, top_ranked=own)
    assert sum(len(texts) for texts, role, _ in inner.calls if role == "document") <= 11


@pytest.mark.parametrize("ranked", ["corpus", "candidates"])
def test_texts_that_hang_on_each_other_are_encoded_together_as_mteb_does(monkeypatch, ranked):
    """Shuffled rationales: call by call the same texts, in chunks of a corpus and all at once where candidates are."""
    assert inspect.signature(SearchEncoderWrapper).parameters["corpus_chunk_size"].default == MTEB_CHUNK
    monkeypatch.setattr("harness.backends.mteb.search.MTEB_CHUNK", 10)
    ours, theirs = HashEncoder(DIMENSION), HashEncoder(DIMENSION)
    corpus, queries = corpus_of(25), queries_of(2)
    own = {"q0": list(corpus["id"][:4]), "q1": list(corpus["id"][2:9])}
    more = {"top_ranked": own, "task": "AskUbuntuDupQuestions"} if ranked == "candidates" else {}
    exact = ExactSearch(model_of(ours), "float32", "cpu", reads_together=True)
    found = searched(exact, corpus, queries, k=5, **more)
    mtebs = searched(SearchEncoderWrapper(model_of(theirs), corpus_chunk_size=10), corpus, queries, k=5, **more)
    assert ours.calls == theirs.calls
    assert_same_but_for_cut_ties(found, mtebs)


def test_a_candidate_that_is_not_there_is_named():
    """No traceback of a dictionary, and no score without it."""
    corpus, queries = corpus_of(20), queries_of(2)
    with pytest.raises(HarnessError, match=r"2 candidates are not in the corpus, the first 'gone' of query 'q1'"):
        searched(
            ExactSearch(model_of(HashEncoder(DIMENSION)), "float32", "cpu"),
            corpus,
            queries,
            k=5,
            top_ranked={"q0": ["d1"], "q1": ["d2", "gone", "far"]},
        )


@pytest.mark.parametrize("selected", [False, True])
def test_texts_are_those_that_mteb_has_encoded(selected):
    """Titles, documents in a limited corpus, and both ways of a query's instruction, in the same order."""
    corpus, queries = corpus_of(40), queries_of(4)
    if selected:
        corpus = corpus.select([30, 2, 3, 17, 5, 39])
    queries = queries.add_column("instruction", ["find it", "", "rank these", "now"])
    ours, theirs = HashEncoder(DIMENSION), HashEncoder(DIMENSION)
    searched(ExactSearch(model_of(ours), "float32", "cpu"), corpus, queries, k=5)
    searched(SearchEncoderWrapper(model_of(theirs)), corpus, queries, k=5)
    in_role = [
        {role: {text for texts, of, _ in calls if of == role for text in texts} for role in ("query", "document")}
        for calls in (ours.calls, theirs.calls)
    ]
    assert in_role[0] == in_role[1]
    assert ours.calls[0] == theirs.calls[0]


@pytest.mark.parametrize(
    "turns",
    [
        [["hello", "where is it"], ["good night"]],
        [
            [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}],
            [{"role": "user", "content": "no"}],
        ],
    ],
    ids=["strings", "turns"],
)
@pytest.mark.filterwarnings("ignore:Conversations are a list of strings")
def test_conversations_are_queries_as_mteb_makes_them(turns):
    """A list of messages, or of turns."""
    queries = Dataset.from_dict({"id": ["q0", "q1"], "text": turns})
    ours, theirs = HashEncoder(DIMENSION), HashEncoder(DIMENSION)
    searched(ExactSearch(model_of(ours), "float32", "cpu"), corpus_of(9), queries, k=5)
    searched(SearchEncoderWrapper(model_of(theirs)), corpus_of(9), queries, k=5)
    assert ours.calls[0] == theirs.calls[0]


def test_steps_are_timed_under_mtebs_names():
    """Queries, documents, and the search without their encoding."""
    timer = TimingStack()
    searched(
        ExactSearch(model_of(HashEncoder(DIMENSION)), "float32", "cpu"), corpus_of(20), queries_of(2), k=5, timer=timer
    )
    assert [one["name"] for one in timer.phases] == ["Encoding queries", "Encoding corpus", "Searching corpus"]
    assert all(
        one["end"] >= one["start"] and (one["split"], one["subset"]) == ("test", "default") for one in timer.phases
    )


@pytest.mark.parametrize("precision", ["int8", "binary"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("reranked", [False, True])
def test_vectors_are_compared_as_sentence_transformers_quantises_them(precision, similarity, reranked):
    """Calibrated on the documents that are encoded; products of its own integers, sorted by (score, id)."""
    inner = HashEncoder(DIMENSION, similarity=similarity)
    corpus, queries = corpus_of(60), queries_of(4)
    own = {"q0": corpus["id"][:20], "q1": corpus["id"][10:35], "q2": corpus["id"][50:], "q3": corpus["id"][5:6]}
    ours = searched(
        ExactSearch(model_of(inner), precision, "cpu"),
        corpus,
        queries,
        k=15,
        top_ranked={query: list(ranked) for query, ranked in own.items()} if reranked else None,
    )
    encoded = set().union(*own.values()) if reranked else set(corpus["id"])
    text_of = {row["id"]: f"{row['title']} {row['text']}".strip() for row in corpus if row["id"] in encoded}
    vectors = dict(zip(text_of, np.stack([hashed(text, DIMENSION) for text in text_of.values()]), strict=True))
    calibration = np.stack(list(vectors.values()))
    for query, text in zip(queries["id"], queries["text"], strict=True):
        names = list(own[query]) if reranked else list(text_of)
        left, right = hashed(text, DIMENSION)[None], np.stack([vectors[name] for name in names])
        if precision == "int8":
            one, two = (
                quantize_embeddings(v, "int8", calibration_embeddings=calibration).astype(np.float64)
                for v in (left, right)
            )
            scores = (one @ two.T)[0]
            if similarity == "cosine":
                scores = scores / np.linalg.norm(one) / np.linalg.norm(two, axis=1)
        else:
            one, two = (quantize_embeddings(v, "ubinary") for v in (left, right))
            scores = DIMENSION - 2.0 * np.bitwise_count(one ^ two).sum(axis=1)
        ranked = sorted(zip(scores.astype(np.float32).tolist(), names, strict=True), reverse=True)[:15]
        assert list(ours[query].items()) == [(name, score) for score, name in ranked]


def test_documents_are_encoded_once_for_int8(monkeypatch):
    """The second pass reads what the first one wrote."""
    inner = HashEncoder(DIMENSION)
    searched(ExactSearch(model_of(inner), "int8", "cpu"), corpus_of(30), queries_of(2), k=5)
    assert sum(role == "document" for _, role, _ in inner.calls) == 5  # blocks of seven


def test_a_disk_that_is_too_small_for_int8_is_named(monkeypatch):
    """With what is needed, and what to do."""
    monkeypatch.setattr(documents_file.tempfile, "TemporaryFile", partial(open, "/dev/full", "w+b"))
    with pytest.raises(HarnessError, match=re.escape(f"int8 needs {30 * DIMENSION * 4:,} bytes")):
        searched(ExactSearch(model_of(HashEncoder(DIMENSION)), "int8", "cpu"), corpus_of(30), queries_of(2), k=5)


def test_a_similarity_that_is_no_number_is_no_score():
    """Finite vectors whose product is none."""

    class Huge(HashEncoder):
        def encode(self, texts, *, role, prompt):
            return super().encode(texts, role=role, prompt=prompt) * np.float32(1e30)

    for own in (None, {"q0": ["d1"], "q1": ["d2"]}):
        with pytest.raises(
            HarnessError, match=r"SciFact test/default: .* similarities that rank documents are NaN or infinite"
        ):
            searched(
                ExactSearch(model_of(Huge(DIMENSION, similarity="dot")), "float32", "cpu"),
                corpus_of(9),
                queries_of(2),
                k=5,
                top_ranked=own,
            )


def test_of_an_id_that_stands_twice_the_better_document_counts():
    """Whichever comes first."""
    corpus = Dataset.from_dict({"id": ["a", "b", "a", "c"], "text": ["cat dog", "moon", "cat", "rain"]})
    queries = Dataset.from_dict({"id": ["q"], "text": ["cat"]})
    found = searched(ExactSearch(model_of(HashEncoder(DIMENSION)), "float32", "cpu"), corpus, queries, k=4)
    assert found["q"]["a"] == pytest.approx(1.0)
    assert set(found["q"]) == {"a", "b", "c"}


def test_no_query_finds_nothing():
    """And encodes nothing."""
    inner = HashEncoder(DIMENSION)
    assert searched(ExactSearch(model_of(inner), "float32", "cpu"), corpus_of(9), queries_of(0), k=5) == {}
    assert inner.calls == []


def test_how_was_searched_is_said():
    """For provenance."""
    exact = ExactSearch(model_of(HashEncoder(DIMENSION)), "binary", "cuda:3")
    assert exact._device == "cuda:3"
    exact = ExactSearch(model_of(HashEncoder(DIMENSION)), "binary", "mps")
    searched(exact, corpus_of(9), queries_of(2), k=5)
    assert exact.facts == {
        "ties": "by falling document id, as trec_eval ranks them",
        "precision": "binary",
        "k": 5,
        "block": 7,
    }
