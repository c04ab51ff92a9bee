"""`limit` on mteb: seeded subsamples that keep the task what it is; over tasks made in memory."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.backends.mteb.draw import generator, stratified
from harness.backends.mteb.limit import apply_limit
from harness.tasks.limits import DISTRACTORS_PER_QUERY, TEXTS_PER_LABEL, TEXTS_PER_SET

MAIN = {"Reranking": "map_at_1000", "Retrieval": "ndcg_at_10"}


def make_task(kind: str, dataset: Any, *, name: str = "Mine", main_score: str | None = None, **more: Any) -> Any:
    """Return what `apply_limit` reads of an mteb task with loaded data."""
    metadata = SimpleNamespace(type=kind, name=name, main_score=main_score or MAIN.get(kind, "x"))
    return SimpleNamespace(metadata=metadata, hf_subsets=["default"], eval_splits=["test"], dataset=dataset, **more)


def sts() -> Any:
    """100 pairs."""
    rows = {"sentence1": [f"a{i}" for i in range(100)], "sentence2": [f"b{i}" for i in range(100)]}
    return make_task("STS", DatasetDict(test=Dataset.from_dict(rows | {"score": [float(i) for i in range(100)]})))


def summaries() -> Any:
    """30 documents."""
    return make_task("Summarization", DatasetDict(test=Dataset.from_dict({"text": [f"t{i}" for i in range(30)]})))


def pairs(*, single_row: bool = False) -> Any:
    """80 pairs, a quarter of them positive."""
    rows: dict[str, list[Any]] = {
        "sentence1": [f"a{i}" for i in range(80)],
        "sentence2": [f"b{i}" for i in range(80)],
        "labels": [int(i % 4 == 0) for i in range(80)],
    }
    if single_row:
        rows = {name: [values] for name, values in rows.items()}
    return make_task("PairClassification", DatasetDict(test=Dataset.from_dict(rows)), label_column_name="labels")


def classification() -> Any:
    """200 test texts of four classes, 60 to 2; 40 training texts of each class."""
    test = [0] * 120 + [1] * 60 + [2] * 18 + [3] * 2
    train = [label for label in range(4) for _ in range(40)]
    dataset = DatasetDict(
        train=Dataset.from_dict({"text": [f"train {i}" for i in range(len(train))], "label": train}),
        test=Dataset.from_dict({"text": [f"test {i}" for i in range(len(test))], "label": test}),
    )
    return make_task("Classification", dataset, label_column_name="label", train_split="train", samples_per_label=8)


def clustering_sets() -> Any:
    """Five sets of 400 texts with twenty labels."""
    one = [f"label {i % 20}" for i in range(400)]
    rows = {"sentences": [[f"set {s} text {i}" for i in range(400)] for s in range(5)], "labels": [one] * 5}
    dataset = DatasetDict(test=Dataset.from_dict(rows))
    return make_task("Clustering", dataset, input_column_name="sentences", label_column_name="labels")


def clustering_rows() -> Any:
    """600 texts with thirty labels, a text a row."""
    rows = {"sentences": [f"text {i}" for i in range(600)], "labels": [f"label {i % 30}" for i in range(600)]}
    return make_task(
        "Clustering",
        DatasetDict(test=Dataset.from_dict(rows)),
        input_column_name="sentences",
        label_column_name="labels",
        max_fraction_of_documents_to_embed=0.04,
        max_document_to_embed=None,
    )


def retrieval() -> Any:
    """40 queries, 1000 documents; each query has three judged documents, one of them 0; four queries no positive."""
    qrels = {f"q{i}": {f"d{i}": int(i >= 4), f"d{100 + i}": 2 * int(i >= 4), f"d{200 + i}": 0} for i in range(40)}
    split = {
        "corpus": Dataset.from_dict({"id": [f"d{i}" for i in range(1000)], "text": [f"text {i}" for i in range(1000)]}),
        "queries": Dataset.from_dict({"id": list(qrels), "text": [f"query {q}" for q in qrels]}),
        "relevant_docs": qrels,
        "top_ranked": None,
    }
    return make_task("Retrieval", {"default": {"test": split}})


def reranking(*, impressions: bool = False) -> Any:
    """30 queries with six candidates each; as impressions: `<n>_0` and `<n>_1` over the same candidates."""
    names = [f"{i // 2}_{i % 2}" for i in range(30)] if impressions else [f"q{i}" for i in range(30)]
    group = {name: (name.split("_")[0] if impressions else name) for name in names}
    candidates = {name: [f"{group[name]}-c{j}" for j in range(6)] for name in names}
    corpus = sorted({document for ranked in candidates.values() for document in ranked})
    split = {
        "corpus": Dataset.from_dict({"id": corpus, "text": corpus}),
        "queries": Dataset.from_dict({"id": names, "text": names}),
        "relevant_docs": {name: {ranked[0]: 1, ranked[1]: 0} for name, ranked in candidates.items()},
        "top_ranked": candidates,
    }
    score = "max_over_subqueries_map_at_1000" if impressions else "map_at_1000"
    return make_task("Reranking", {"default": {"test": split}}, main_score=score)


MAKERS = {
    "STS": sts,
    "Summarization": summaries,
    "PairClassification": pairs,
    "Classification": classification,
    "Clustering sets": clustering_sets,
    "Clustering rows": clustering_rows,
    "Retrieval": retrieval,
    "Reranking": reranking,
    "Reranking impressions": lambda: reranking(impressions=True),
}


def content(task: Any) -> str:
    """Return everything a limited task holds, as text."""
    data = task.dataset
    if isinstance(data, DatasetDict):
        return repr({split: rows.to_dict() for split, rows in sorted(data.items())})
    split = data["default"]["test"]
    return repr(
        [
            split["queries"].to_dict(),
            split["corpus"].to_dict(),
            split["relevant_docs"],
            sorted((split["top_ranked"] or {}).items()),
        ]
    )


@pytest.mark.parametrize("name", list(MAKERS))
def test_the_same_seed_draws_the_same_and_another_seed_another(name: str) -> None:
    """The draw is a function of the seed; the global generators do not move it and are not moved."""
    drawn = []
    for seed, disturb in ((3, 1), (3, 2), (4, 1)):
        task = MAKERS[name]()
        np.random.seed(disturb)
        before = np.random.get_state()[1].tolist()
        apply_limit(task, 10, seed)
        assert np.random.get_state()[1].tolist() == before
        drawn.append(content(task))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_the_draw_depends_on_task_split_and_subset() -> None:
    """Names part the streams, and no two lists of names run together."""
    first = generator(1, "a", "bc").integers(1 << 60)
    assert first == generator(1, "a", "bc").integers(1 << 60)
    others = [generator(1, "ab", "c"), generator(2, "a", "bc"), generator(1, "a", "bd"), generator(1, "abc")]
    assert first not in [other.integers(1 << 60) for other in others]


@pytest.mark.parametrize(
    ("name", "of"), [("STS", 100), ("Summarization", 30), ("PairClassification", 80), ("Classification", 200)]
)
def test_n_items_are_kept_and_said(name: str, of: int) -> None:
    """Of pairs, documents and test texts exactly the limit is kept, and provenance says of how many."""
    task = MAKERS[name]()
    kept = apply_limit(task, 12, 0)
    assert len(task.dataset["test"]) == 12
    assert kept["test/default"]["of"] == of
    assert kept["test/default"]["kept"] == 12


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_limit_above_the_size_keeps_everything_scored(name: str) -> None:
    """Nothing scored is lost when there are fewer items than the limit."""
    task = MAKERS[name]()
    (kept,) = apply_limit(task, 100_000, 0).values()
    if name.startswith("Clustering sets"):
        assert [len(row["labels"]) for row in task.dataset["test"]] == [400] * 5
    elif name == "Retrieval":
        assert (kept["of"], kept["kept"]) == (40, 36)
        assert kept["documents_kept"] == 1000
    else:
        assert kept["kept"] == kept["of"]


def test_rows_stay_whole_and_in_order() -> None:
    """The rows kept are rows of the data, in their order, not mixtures."""
    task = sts()
    apply_limit(task, 10, 0)
    rows = task.dataset["test"].to_list()
    places = [int(row["score"]) for row in rows]
    assert places == sorted(set(places))
    assert all(row["sentence1"] == f"a{p}" and row["sentence2"] == f"b{p}" for row, p in zip(rows, places, strict=True))
    assert places != list(range(10))


@pytest.mark.parametrize("single_row", [False, True])
def test_pairs_keep_the_proportion_of_labels(single_row: bool) -> None:
    """A quarter positive stays a quarter, also where a split is one row of lists."""
    task = pairs(single_row=single_row)
    kept = apply_limit(task, 20, 0)
    rows = task.dataset["test"]
    assert Counter(rows["labels"]) == {0: 15, 1: 5}
    assert all((int(row["sentence1"][1:]) % 4 == 0) == bool(row["labels"]) for row in rows.to_list())
    assert kept["test/default"] == {"of": 80, "kept": 20}


def test_classification_keeps_every_class_and_proportions() -> None:
    """Of 60, 30, 9 and 1 % the rare class keeps one; training keeps enough of each class for every experiment."""
    task = classification()
    kept = apply_limit(task, 20, 0)
    assert Counter(task.dataset["test"]["label"]) == {0: 12, 1: 6, 2: 1, 3: 1}
    assert Counter(task.dataset["train"]["label"]) == dict.fromkeys(range(4), 8)
    assert kept["test/default"] == {"of": 200, "kept": 20, "training_of": 160, "training_kept": 32}


def test_classification_keeps_more_training_texts_for_a_larger_limit() -> None:
    """With 80 test texts of four classes each class keeps twenty training texts."""
    task = classification()
    apply_limit(task, 80, 0)
    assert Counter(task.dataset["train"]["label"]) == dict.fromkeys(range(4), 20)


def test_every_class_stays_even_beyond_the_limit() -> None:
    """With more classes than the limit each keeps one text, and the count says so."""
    rows = {"text": [str(i) for i in range(60)], "label": [i % 30 for i in range(60)]}
    dataset = DatasetDict(train=Dataset.from_dict(rows), test=Dataset.from_dict(rows))
    task = make_task("Classification", dataset, label_column_name="label", train_split="train", samples_per_label=8)
    kept = apply_limit(task, 10, 0)
    assert Counter(task.dataset["test"]["label"]) == dict.fromkeys(range(30), 1)
    assert kept["test/default"]["kept"] == 30


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(1, 90), st.integers(0, 5))
def test_stratified_keeps_every_label_and_rounds_fairly(labels: list[int], limit: int, seed: int) -> None:
    """Places are distinct and rising, every label stays, and no label is a whole text or more off its share."""
    places = stratified(labels, limit, np.random.default_rng(seed))
    assert places == sorted(set(places))
    sizes, found = Counter(labels), Counter(labels[place] for place in places)
    assert set(found) == set(sizes)
    if limit >= len(labels):
        assert len(places) == len(labels)
        return
    assert len(places) >= min(limit, len(labels))
    assert len(places) <= limit + len(sizes)
    for label, size in sizes.items():
        share = limit * size / len(labels)
        assert found[label] < share + 1 or found[label] == 1
        assert found[label] > share - 1


def test_clustering_sets_keep_texts_enough_for_their_labels() -> None:
    """With a limit of 50 there are two sets of 25 texts: five labels with five texts each."""
    task = clustering_sets()
    kept = apply_limit(task, 50, 0)
    rows = task.dataset["test"].to_list()
    assert len({row["sentences"][0].split()[1] for row in rows}) == 2
    for row in rows:
        assert Counter(Counter(row["labels"]).values()) == {5: 5}
        assert len({text.split()[1] for text in row["sentences"]}) == 1
        places = [int(text.split()[3]) for text in row["sentences"]]
        assert [f"label {place % 20}" for place in places] == row["labels"]
    assert kept["test/default"]["of"] == 5
    assert kept["test/default"]["kept"] == 2


@pytest.mark.parametrize(
    ("limit", "sizes"), [(1, [2]), (2, [2, 2]), (3, [2, 2]), (20, [10, 10]), (199, [99, 99]), (250, [125, 125])]
)
def test_clustering_keeps_two_sets_at_least(limit: int, sizes: list[int]) -> None:
    """Of one set there is no interval, and one task without takes it from the mean over all."""
    task = clustering_sets()
    apply_limit(task, limit, 0)
    assert [len(row["labels"]) for row in task.dataset["test"]] == sizes


def test_data_of_one_set_keep_it() -> None:
    """With as many texts as the limit says."""
    task = clustering_sets()
    task.dataset["test"] = task.dataset["test"].select([0])
    apply_limit(task, 30, 0)
    assert [len(row["labels"]) for row in task.dataset["test"]] == [30]


def test_clustering_spreads_a_large_limit_over_sets() -> None:
    """300 texts are three sets of 100, whole sets apart."""
    task = clustering_sets()
    apply_limit(task, 3 * TEXTS_PER_SET, 0)
    rows = task.dataset["test"].to_list()
    assert [len(row["labels"]) for row in rows] == [100] * 3
    assert len({row["sentences"][0].split()[1] for row in rows}) == 3


@pytest.mark.parametrize("limit", [10, 12, 40, 100])
def test_clustering_rows_keep_labels_with_five_texts(limit: int) -> None:
    """At least two labels, and each with five texts, whatever the limit; mteb embeds all that was kept."""
    task = clustering_rows()
    apply_limit(task, limit, 0)
    counts = Counter(task.dataset["test"]["labels"])
    assert len(counts) == min(max(2, limit // TEXTS_PER_LABEL), 30)
    assert min(counts.values()) >= TEXTS_PER_LABEL or limit // 30 < TEXTS_PER_LABEL <= max(counts.values())
    assert sum(counts.values()) == limit
    assert task.max_fraction_of_documents_to_embed is None
    assert task.max_document_to_embed is None


@pytest.mark.parametrize("maker", [clustering_sets, clustering_rows])
def test_clustering_never_falls_below_two_labels(maker: Any) -> None:
    """A limit of 3 still leaves two labels: one would score 1 whatever the encoder does."""
    task = maker()
    apply_limit(task, 3, 0)
    first = task.dataset["test"][0]["labels"]
    labels = first if isinstance(first, list) else task.dataset["test"]["labels"]
    assert len(set(labels)) == 2


def test_retrieval_keeps_every_judged_document_and_counts_distractors() -> None:
    """Five queries with positives; all 15 documents judged for them, the 0 ones too; ten others a query."""
    task = retrieval()
    whole = retrieval().dataset["default"]["test"]["relevant_docs"]
    kept = apply_limit(task, 5, 0)
    split = task.dataset["default"]["test"]
    queries = list(split["queries"]["id"])
    assert len(queries) == 5
    assert not {"q0", "q1", "q2", "q3"} & set(queries)
    assert split["relevant_docs"] == {query: whole[query] for query in queries}
    judged = {document for query in queries for document in whole[query]}
    documents = set(split["corpus"]["id"])
    assert judged <= documents
    assert len(documents) == len(judged) + 5 * DISTRACTORS_PER_QUERY
    assert kept == {
        "test/default": {"of": 40, "kept": 5, "documents_of": 1000, "documents_kept": 65},
    }
    assert all(row["text"] == f"text {row['id'][1:]}" for row in split["corpus"].to_list())


def test_reranking_keeps_the_candidates_of_its_queries_and_no_others() -> None:
    """Four queries keep their six candidates each, and provenance says so."""
    task = reranking()
    kept = apply_limit(task, 4, 0)
    split = task.dataset["default"]["test"]
    queries = list(split["queries"]["id"])
    assert sorted(split["top_ranked"]) == sorted(queries)
    assert set(split["relevant_docs"]) == set(queries)
    assert sorted(split["corpus"]["id"]) == sorted(d for query in queries for d in split["top_ranked"][query])
    assert kept == {"test/default": {"of": 30, "kept": 4, "documents_of": 180, "documents_kept": 24}}


def test_mind_keeps_whole_impressions() -> None:
    """Four impressions keep both subqueries each: a half one would be scored on half its evidence."""
    task = reranking(impressions=True)
    kept = apply_limit(task, 4, 0)
    queries = list(task.dataset["default"]["test"]["queries"]["id"])
    assert Counter(Counter(query.split("_")[0] for query in queries).values()) == {2: 4}
    assert kept["test/default"]["kept"] == 8
    assert kept["test/default"]["documents_kept"] == 24


def test_each_split_and_subset_is_limited_and_named() -> None:
    """Two splits of two subsets are four draws, each said."""
    rows = Dataset.from_dict({"sentence1": [str(i) for i in range(50)], "score": [0.0] * 50})
    task = make_task("STS", {name: DatasetDict(test=rows, dev=rows) for name in ("en", "de")})
    task.hf_subsets, task.eval_splits = ["en", "de"], ["test", "dev"]
    kept = apply_limit(task, 7, 0)
    assert kept == {f"{split}/{subset}": {"of": 50, "kept": 7} for subset in ("en", "de") for split in ("test", "dev")}
    drawn = {tuple(task.dataset[subset][split]["sentence1"]) for subset in ("en", "de") for split in ("test", "dev")}
    assert len(drawn) == 4
