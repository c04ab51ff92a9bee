"""Summarization: machine summaries against human ones, a rank correlation a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.backends.mteb import counts
from harness.backends.mteb.draw import limit_rows
from harness.backends.mteb.items import Captured, SubsetItems
from harness.backends.mteb.loaded import Loaded
from harness.tasks.custom.assemble import CustomData


def items(captured: Captured) -> SubsetItems:
    """Return a row a document: the ratings and similarities of its summaries, and how they correlate."""
    from scipy.stats import spearmanr

    human, cosine = captured.predictions["human_scores"], captured.predictions["cosine_scores"]
    documents = documents_of(captured.task, captured.rows, human)
    values = []
    for gold, similarity in zip(human, cosine, strict=True):
        found = spearmanr(gold, similarity)
        values.append(float(np.mean(found)) if averages_p_value(captured.task) else float(found.statistic))
    score = np.array(values)
    return captured.found(
        unit="document",
        n=len(score),
        score=float(score.mean()),
        columns={"item": documents, "score": score, "human": human, "cosine": cosine},
    )


def documents_of(task: Any, data: Any, human: list[list[float]]) -> list[int]:
    """Return which documents were scored: mteb leaves out those with constant ratings or similarities.

    Matched in order by their ratings, which mteb normalises; documents with the same ratings cannot be told apart,
    which matters only beside a left-out one.
    """
    low, high = task.min_score, task.max_score
    ratings = [[(value - low) / (high - low) for value in row] for row in data[task.relevancy_column_name]]
    found: list[int] = []
    place = 0
    for scored in human:
        while not np.allclose(ratings[place], scored):
            place += 1
        found.append(place)
        place += 1
    return found


def averages_p_value(task: Any) -> bool:
    """Whether it is mteb's deprecated evaluator (SummEval in MTEB(eng, v1)): it averages the p-value into the score."""
    return bool(task.evaluator.__name__ == "DeprecatedSummarizationEvaluator")


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` documents."""
    return limit_rows(loaded, limit, rng)


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the human summaries, then the machine summaries; the documents themselves are never encoded."""
    return loaded.texts(loaded.task.human_summaries_column_name, loaded.task.machine_summaries_column_name)


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:  # noqa: ARG001 - every type is given it
    """Return the documents, and the texts of their summaries."""
    there = counts.texts_in(statistics, "human_summaries_statistics", "machine_summaries_statistics")
    return counts.as_row(statistics["num_samples"], there)


def task_class(data: CustomData) -> Any:
    """Return mteb's class with the range of the ratings."""
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    low, high = data.score_range
    return type("SummarizationInRange", (AbsTaskSummarization,), {"min_score": low, "max_score": high})
