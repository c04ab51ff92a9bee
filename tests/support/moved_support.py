"""What the tests of items that moved share: cells of every kind with per-item results made by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from cells_support import make_score

from harness.report.sections.section import Report
from harness.results.records import Score
from harness.results.store import Store
from harness.summary.views import Summary

RETRIEVAL = {
    "query": ["q1", "q2", "q3"],
    "top_documents": [["d1", "d2"], ["d2", "d1"], ["d3", "d1"]],
    "top_scores": [[0.9, 0.2], [0.8, 0.7], [0.5, 0.4]],
    "top_relevance": [[None, 1], [1, None], [0, None]],
    "relevant_documents": [["d2"], ["d2"], ["d4"]],
    "relevant": [1, 1, 1],
    "query_text": ["what is <b>one</b>", "what is two", "what is three"],
    "top_texts": [["text d1", "text d2"], ["text d2", "text d1"], ["text d3", "text d1"]],
    "relevant_texts": [["text d2"], ["text d2"], ["text d4"]],
    "is_kept": [True, True, True],
}


def cell(store: Store, model: str, task: str, kind: str, columns: dict[str, Any], **changes: Any) -> Score:
    """Store a cell with these columns and return its score."""
    import pyarrow as pa

    rows = len(next(iter(columns.values())))
    places = {"part": [task] * rows, "split": ["test"] * rows, "subset": ["default"] * rows}
    about = {"model": model, "task": task, "type": kind, "metric": "m", "n": rows}
    key = f"{model}-{task}".ljust(20, "0")
    score = make_score(**about | {"key": key, "provenance": {"cell": f"{model}/{task}"}} | changes)
    return store.put_score(score, pa.table({**places, **columns}), "item")


def retrieval(store: Store, model: str, scores: list[float], task: str = "finds", **columns: Any) -> Score:
    """Store a retrieval cell of three queries."""
    return cell(store, model, task, "Retrieval", {**RETRIEVAL, "score": scores, **columns}, metric="ndcg_at_10")


def plain_retrieval(folder: Path) -> tuple[Store, Score, Score]:
    """Return a store with `new`, which gained on q1 and lost a little on q2, and `old`."""
    store = Store(folder)
    turned = {
        "top_documents": [["d2", "d1"], ["d2", "d1"], ["d3", "d1"]],
        "top_relevance": [[1, None], [1, None], [0, None]],
        "top_texts": [["text d2", "text d1"], ["text d2", "text d1"], ["text d3", "text d1"]],
    }
    return store, retrieval(store, "new", [1.0, 0.9, 0.0], **turned), retrieval(store, "old", [0.5, 1.0, 0.0])


def with_items(folder: Path, summary: Summary, *, text: str = "a text", n: int = 8) -> Report:
    """Return a report of `summary` in which every score of a retrieval or STS task has items that move."""
    store, cells = Store(folder), dict(summary.cells)
    for place, view in summary.cells.items():
        if view.score is None or view.cell.task.type not in ("Retrieval", "STS"):
            continue
        draws = random.Random(str(place))
        values = [round(draws.random(), 3) for _ in range(n)]
        columns: dict[str, Any] = {"is_kept": [True] * n, "item": list(range(n)), "gold": [float(k) for k in range(n)]}
        columns |= {"cosine": values, "text_1": [f"{text} {k}" for k in range(n)], "text_2": [text] * n}
        if view.cell.task.type == "Retrieval":
            documents = [draws.sample(range(20), 6) for _ in range(n)]
            columns = {"is_kept": [True] * n, "query": [f"q{k}" for k in range(n)], "score": values}
            columns |= {"query_text": [f"{text} {k}" for k in range(n)], "relevant": [1] * n}
            columns |= {"top_documents": [[f"d{one}" for one in of] for of in documents]}
            columns |= {"top_scores": [[0.9 - 0.1 * rank for rank in range(6)]] * n}
            columns |= {"top_relevance": [[1 if one == 3 else None for one in of] for of in documents]}
            columns |= {"top_texts": [[f"{text} of d{one}" for one in of] for of in documents]}
            columns |= {"relevant_documents": [["d3"]] * n, "relevant_texts": [[f"{text} of d3"]] * n}
        score = cell(store, *place, view.score.type, columns, metric=view.score.metric)
        cells[place] = replace(view, score=score)
    return Report(summary=replace(summary, cells=cells), store=store)
