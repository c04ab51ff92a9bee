"""Retrieval, reranking: items, limit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.backends.mteb.draw import draw_rows
from harness.tasks.limits import DISTRACTORS_PER_QUERY

TOP_DOCUMENTS = 10
"""Of each query's ranking so many are kept."""
_AT_K = re.compile(r"^(ndcg|map|recall|precision|hit_rate|mrr)_at_(\d+)$")
_PYTREC = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}


def query_values(metric: str, scores: Any, qrels: Any, results: Any) -> dict[str, float] | None:
    """Return query -> main metric, or None where the metric is no mean over queries."""
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


def limit_retrieval(data: Any, limit: int, rng: np.random.Generator, *, by_impression: bool) -> dict[str, int]:
    judged = data["relevant_docs"]
    queries = [query for query in data["queries"]["id"] if any(score > 0 for score in judged[query].values())]
    groups: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        groups[query.rpartition("_")[0] if by_impression else query].append(query)
    names = sorted(groups)
    chosen = {query for place in draw_rows(rng, len(names), limit) for query in groups[names[place]]}
    corpus_before, queries_before = len(data["corpus"]), len(data["queries"])
    data["queries"] = data["queries"].select([i for i, one in enumerate(data["queries"]["id"]) if one in chosen])
    data["relevant_docs"] = {query: judged[query] for query in data["queries"]["id"]}
    wanted = {document for relevant in data["relevant_docs"].values() for document in relevant}
    ids = list(data["corpus"]["id"])
    if data["top_ranked"] is not None:
        data["top_ranked"] = {query: data["top_ranked"][query] for query in chosen if query in data["top_ranked"]}
        wanted |= {document for ranked in data["top_ranked"].values() for document in ranked}
    else:
        others = [document for document in ids if document not in wanted]
        wanted |= {others[place] for place in draw_rows(rng, len(others), DISTRACTORS_PER_QUERY * limit)}
    data["corpus"] = data["corpus"].select([i for i, one in enumerate(ids) if one in wanted])
    return {
        "of": queries_before,
        "kept": len(data["queries"]),
        "documents_of": corpus_before,
        "documents_kept": len(data["corpus"]),
    }
