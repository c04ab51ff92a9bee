"""Retrieval and reranking: queries that each rank documents, of a whole corpus or of their own candidates."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.backends.interface import Document, Example
from harness.backends.mteb import counts
from harness.backends.mteb.draw import draw_rows
from harness.backends.mteb.items import Captured, ExampleMaker, SubsetItems
from harness.backends.mteb.kept_texts import DOCUMENT_CHARACTERS, TEXT_CHARACTERS, as_column
from harness.backends.mteb.loaded import Bulk, Loaded, listed, streamed
from harness.search.exclude import SHARE
from harness.tasks.custom.assemble import CustomData
from harness.tasks.custom.fields import document_text
from harness.tasks.limits import DISTRACTORS_PER_QUERY
from harness.tasks.types import EMBEDDING_TYPES, Role

TOP_DOCUMENTS = 10
"""Of each query's ranking so many are kept."""
RELEVANT_DOCUMENTS = 5
"""Of those judged relevant, so many are named."""
SHOWN = (8, 4)
SHOWN_DOCUMENTS = 5
"""Of the ranking of each query that is shown."""
_AT_K = re.compile(r"^(ndcg|map|recall|precision|hit_rate|mrr)_at_(\d+)$")
_PYTREC = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}


def items(captured: Captured) -> SubsetItems:
    """Return a row a query: its own metric and its best documents; the score is the mean."""
    rankings = captured.rankings
    if rankings.values is None:
        why = f"{captured.main_score} is not a mean over queries"
        return captured.without_items(unit="query", n=len(rankings.top), why=why)
    queries = sorted(rankings.values)
    score = np.array([rankings.values[query] for query in queries])
    top = [rankings.top.get(query, []) for query in queries]
    columns = {
        "query": queries,
        "score": score,
        "top_documents": [[document for document, _ in one] for one in top],
        "top_scores": [[float(value) for _, value in one] for one in top],
    }
    return captured.found(unit="query", n=len(queries), score=float(score.mean()), columns=columns)


def query_values(metric: str, scores: Any, qrels: Any, results: Any) -> dict[str, float] | None:
    """Return query -> main metric, or None where the metric is no mean over queries.

    Args:
        metric: the task's main metric, as mteb names it.
        scores: query -> measure of pytrec_eval -> value.
        qrels: query -> document -> relevance.
        results: query -> document -> similarity.
    """
    if metric.startswith("max_over_subqueries_"):
        return _merged_values(metric.removeprefix("max_over_subqueries_"), qrels, results)
    match = _AT_K.match("recall_at_1" if metric == "accuracy" else metric)
    if match is None:
        return None
    name, k = match[1], int(match[2])
    if name == "mrr":
        return {query: _reciprocal_rank(documents, qrels[query], k) for query, documents in results.items()}
    return {query: float(values[f"{_PYTREC[name]}_{k}"]) for query, values in scores.items()}


def _merged_values(metric: str, qrels: Any, results: Any) -> dict[str, float] | None:
    """Return impression -> metric after the best score of each document over its subqueries (MindSmallReranking)."""
    import pytrec_eval

    match = _AT_K.match(metric)
    if match is None or match[1] == "mrr":
        return None
    merged: dict[str, dict[str, float]] = defaultdict(dict)
    judged: dict[str, Any] = {}
    for query, relevant in qrels.items():
        base = query.rpartition("_")[0]
        for document, value in results[query].items():
            merged[base][document] = max(value, merged[base].get(document, float("-inf")))
        judged[base] = relevant
    measure = f"{_PYTREC[match[1]]}.{match[2]}"
    evaluated = pytrec_eval.RelevanceEvaluator(judged, {measure}).evaluate(dict(merged))
    return {base: float(values[measure.replace(".", "_")]) for base, values in evaluated.items()}


def _reciprocal_rank(documents: Mapping[str, float], relevant: Mapping[str, int], k: int) -> float:
    ranked = sorted(documents.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:k]
    return next((1 / (rank + 1) for rank, (name, _) in enumerate(ranked) if relevant.get(name, 0) > 0), 0.0)


def top_documents(documents: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the best documents; equal scores in the order pytrec_eval has them, by falling name."""
    import heapq

    return heapq.nlargest(TOP_DOCUMENTS, documents.items(), key=lambda pair: (pair[1], pair[0]))


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` queries with their candidates, or with every judged or excluded document and some others."""
    data = loaded.rows
    chosen = _chosen_queries(loaded, limit, rng)
    corpus_before, queries_before = len(data["corpus"]), len(data["queries"])
    data["queries"] = data["queries"].select([i for i, one in enumerate(data["queries"]["id"]) if one in chosen])
    data["relevant_docs"] = {query: data["relevant_docs"][query] for query in data["queries"]["id"]}
    wanted = {document for relevant in data["relevant_docs"].values() for document in relevant}
    ids = list(data["corpus"]["id"])
    ranked = {query: own for query, own in (data["top_ranked"] or {}).items() if query in chosen}
    excluded = _excluded(ids, ranked) if EMBEDDING_TYPES[loaded.task.metadata.type].ranks == "corpus" else None
    if data["top_ranked"] is not None and excluded is None:
        wanted |= {document for own in ranked.values() for document in own}
    else:
        wanted |= excluded or set()
        others = [document for document in ids if document not in wanted]
        wanted |= {others[place] for place in draw_rows(rng, len(others), DISTRACTORS_PER_QUERY * limit)}
    if data["top_ranked"] is not None:
        data["top_ranked"] = {query: [one for one in own if one in wanted] for query, own in ranked.items()}
    data["corpus"] = data["corpus"].select([i for i, one in enumerate(ids) if one in wanted])
    return {
        "of": queries_before,
        "kept": len(data["queries"]),
        "documents_of": corpus_before,
        "documents_kept": len(data["corpus"]),
    }


def _excluded(ids: list[str], ranked: Mapping[str, list[str]]) -> set[str] | None:
    """Return the documents that some query must not be shown, where each ranks nearly all; None where not."""
    everything, found = set(ids), set[str]()
    for own in ranked.values():
        left = everything.difference(own)
        if len(left) > len(everything) // SHARE:
            return None
        found |= left
    return found


def _chosen_queries(loaded: Loaded, limit: int, rng: np.random.Generator) -> set[str]:
    """Return queries with something relevant; of subqueries that are scored together all or none."""
    judged = loaded.rows["relevant_docs"]
    by_impression = "subqueries" in loaded.task.metadata.main_score
    groups: dict[str, list[str]] = defaultdict(list)
    for query in loaded.rows["queries"]["id"]:
        if any(score > 0 for score in judged[query].values()):
            groups[query.rpartition("_")[0] if by_impression else query].append(query)
    names = sorted(groups)
    return {query for place in draw_rows(rng, len(names), limit) for query in groups[names[place]]}


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the documents with their titles, then the queries."""
    corpus = loaded.rows["corpus"]
    titles = corpus["title"] if "title" in corpus.column_names else [""] * len(corpus)
    for title, text in zip(titles, corpus["text"], strict=True):
        yield document_text(title, text)
    yield from loaded.rows["queries"]["text"]


def bulk(loaded: Loaded, role: Role | None) -> Bulk:
    """Return the documents or the queries."""
    if role == "query":
        return listed(lambda: iter(loaded.rows["queries"]["text"]))
    corpus = loaded.rows["corpus"]
    titles = ("title",) if "title" in corpus.column_names else ()

    def documents(start: int, stop: int | None) -> Iterator[str]:
        rows = corpus.select(range(start, min(len(corpus), stop if stop is not None else len(corpus))))
        for text, *title in streamed(rows, ("text", *titles)):
            yield document_text(title[0] if title else None, text)

    return documents


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:  # noqa: ARG001 - every type is given it
    """Return the queries, and the texts of queries and documents."""
    there = counts.texts_in(statistics, "documents_text_statistics", "queries_text_statistics")
    return counts.as_row(round(counts.number_in(statistics.get("queries_text_statistics"))), there)


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return the queries' texts, what their best documents were judged, those judged relevant, and the texts of both.

    Judgements are of all rows; a document that the corpus lacks has an empty text.
    """
    queries, top = one.columns["query"], one.columns["top_documents"]
    data, judged = loaded.rows, _judgements(loaded)
    relevance = [[judged.get(query, {}).get(name) for name in found] for query, found in zip(queries, top, strict=True)]
    relevant = [_most_relevant(judged.get(query, {})) for query in queries]
    wanted = {name for row in chosen for name in (*top[row], *relevant[row])}
    documents, asked = _beginnings(data["corpus"], wanted), {queries[row] for row in chosen}
    texts = {
        name: str(text)[:TEXT_CHARACTERS]
        for name, text in zip(data["queries"]["id"], data["queries"]["text"], strict=True)
        if name in asked
    }
    rows = len(queries)
    # Merged subqueries (MindSmallReranking) have no text of their own.
    found: dict[str, dict[int, Any]] = {
        "query_text": {row: texts.get(queries[row], "") for row in chosen},
        "top_texts": {row: [documents[name] for name in top[row]] for row in chosen},
        # ArguAna has judged documents that its corpus lacks.
        "relevant_texts": {row: [documents.get(name, "") for name in relevant[row]] for row in chosen},
    }
    about = {
        "top_relevance": relevance,
        "relevant_documents": relevant,
        "relevant": list(map(_relevant, map(judged.get, queries))),
    }
    return {name: as_column(of_rows, rows) for name, of_rows in found.items()} | about


def _judgements(loaded: Loaded) -> dict[str, Mapping[str, int]]:
    """Return query -> document -> relevance; of subqueries that are scored together, under their common name."""
    judged = loaded.rows["relevant_docs"]
    if "subqueries" not in loaded.task.metadata.main_score:
        return dict(judged)
    return {query.rpartition("_")[0]: documents for query, documents in judged.items()}


def _relevant(judged: Mapping[str, int] | None) -> int:
    return sum(relevance > 0 for relevance in (judged or {}).values())


def _most_relevant(judged: Mapping[str, int]) -> list[str]:
    """Return the documents judged most relevant, by name where they are judged alike."""
    found = sorted((-relevance, name) for name, relevance in judged.items() if relevance > 0)
    return [name for _, name in found[:RELEVANT_DOCUMENTS]]


def _beginnings(corpus: Any, wanted: Container[str]) -> dict[str, str]:
    """Return id -> title and first words of the documents in `wanted`, from a corpus that is never in memory."""
    places = [place for place, (name,) in enumerate(streamed(corpus, ("id",))) if name in wanted]
    titles = ("title",) if "title" in corpus.column_names else ()
    found = streamed(corpus.select(places), ("id", "text", *titles)) if places else ()
    return {
        name: document_text(title[0] if title else None, text)[:DOCUMENT_CHARACTERS] for name, text, *title in found
    }


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield the queries, then the documents, which are part of the queries they were judged relevant for."""
    data, merges = loaded.rows, "subqueries" in loaded.task.metadata.main_score
    of_document: dict[str, list[str]] = {}
    for query, judged in _judgements(loaded).items():
        for name in (name for name, relevance in judged.items() if relevance > 0):
            of_document.setdefault(name, []).append(query)
    for name, text in streamed(data["queries"], ("id", "text")):
        yield (name.rpartition("_")[0] if merges else name,), "query", text
    titles = ("title",) if "title" in data["corpus"].column_names else ()
    for name, text, *title in streamed(data["corpus"], ("id", "text", *titles)):
        yield tuple(of_document.get(name, ())), "document", document_text(title[0] if title else None, text)


def task_class(data: CustomData) -> Any:
    """Return mteb's class of retrieval, which ranks candidates where the data have some."""
    from mteb.abstasks import AbsTaskRetrieval

    if not data.settings.get("ignore_identical_ids"):
        return AbsTaskRetrieval
    return type("RetrievalOfOthers", (AbsTaskRetrieval,), {"ignore_identical_ids": True})


def examples(loaded: Loaded, one: SubsetItems, prompts: Mapping[str, str | None]) -> ExampleMaker:
    """Return what makes the example of a query."""
    data = loaded.rows
    queries = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    places = {name: place for place, name in enumerate(data["corpus"]["id"])}

    def document(query: str, name: str, score: float) -> Document:
        row = data["corpus"][places[name]]
        relevance = data["relevant_docs"].get(query, {}).get(name)
        text = document_text(row.get("title"), row["text"])
        return Document(id=name, score=float(score), relevance=None if relevance is None else int(relevance), text=text)

    def make(row: int, why: str, error: float) -> Example:
        query = str(one.columns["query"][row])
        found = zip(one.columns["top_documents"][row], one.columns["top_scores"][row], strict=True)
        shown = list(found)[: 0 if why == "text only" else SHOWN_DOCUMENTS]
        return Example(
            part=loaded.part,
            split=one.split,
            subset=one.subset,
            item=query,
            why=why,
            error=error,
            gold=None,
            predicted=float(one.columns["score"][row]),
            # Merged subqueries (MindSmallReranking) have no text of their own.
            texts=(str(queries[query]),) if query in queries else (),
            documents=tuple(document(query, name, score) for name, score in shown) if query in queries else (),
            prompts=(prompts.get("query"), prompts.get("document")),
        )

    return make
