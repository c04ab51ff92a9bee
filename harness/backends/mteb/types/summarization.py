"""Summarization: machine summaries against human ones, a rank correlation a document."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.backends.mteb import counts
from harness.backends.mteb.draw import limit_rows
from harness.backends.mteb.items import Captured, SubsetItems
from harness.backends.mteb.kept_texts import TEXT_CHARACTERS, as_column
from harness.backends.mteb.loaded import Bulk, Loaded, listed, streamed
from harness.tasks.custom.assemble import CustomData
from harness.tasks.types import Role


class KeptRatings:
    """Keeps the ratings that mteb's evaluator is given: of which documents its results are can be seen by them alone.

    mteb leaves out documents whose ratings or similarities are all equal, and says so in its log.
    """

    def __init__(self, task: Any) -> None:
        """Hook into `task`, whose evaluator is a class that it makes anew for each split and subset."""
        self.of: dict[tuple[str, str], list[list[float]]] = {}
        made = task.evaluator

        @functools.wraps(made, updated=())
        def evaluator(**given: Any) -> Any:
            self.of[given["hf_split"], given["hf_subset"]] = given["gold_scores"]
            return made(**given)

        task.evaluator = evaluator


def items(captured: Captured) -> SubsetItems:
    """Return a row a document: the ratings and similarities of its summaries, and how they correlate."""
    from scipy.stats import spearmanr

    human, cosine = captured.predictions["human_scores"], captured.predictions["cosine_scores"]
    documents = documents_of(captured.ratings, human)
    values = []
    for gold, similarity in zip(human, cosine, strict=True):
        found = spearmanr(gold, similarity)
        values.append(float(np.mean(found)) if averages_p_value(captured.task) else float(found.statistic))
    score = np.array(values)
    made = captured.found(
        unit="document",
        n=len(score),
        score=float(score.mean()) if values else float("nan"),
        columns={"item": documents, "score": score, "human": human, "cosine": cosine},
    )
    return replace(made, left_out=_left_out(captured.ratings, documents))


def documents_of(ratings: list[list[float]], human: list[list[float]]) -> list[int]:
    """Return which documents were scored.

    Args:
        ratings: of every document's summaries, as mteb's evaluator was given them.
        human: of the scored documents, the same objects: two documents may be rated alike.
    """
    places = {id(of_document[0]): place for place, of_document in enumerate(ratings)}
    return [places[id(of_document[0])] for of_document in human]


def _left_out(ratings: list[list[float]], documents: list[int]) -> dict[str, Any]:
    """Return which documents were not scored, and why; empty where all were."""
    missing = sorted({*range(len(ratings))} - {*documents})
    if not missing:
        return {}
    equal = sum(len(set(ratings[place])) == 1 for place in missing)
    why = {0: "all similarities equal", len(missing): "all ratings equal"}.get(
        equal, "all similarities or ratings equal"
    )
    return {"items": missing, "of": len(ratings), "unit": "document", "why": why}


def averages_p_value(task: Any) -> bool:
    """Whether it is mteb's deprecated evaluator (SummEval in MTEB(eng, v1)): it averages the p-value into the score."""
    return bool(task.evaluator.__name__ == "DeprecatedSummarizationEvaluator")


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` documents."""
    return limit_rows(loaded, limit, rng)


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the human summaries, then the machine summaries; the documents themselves are never encoded."""
    return loaded.texts(loaded.task.human_summaries_column_name, loaded.task.machine_summaries_column_name)


def bulk(loaded: Loaded, role: Role | None) -> Bulk:  # noqa: ARG001 - every type is given it
    """Return all of them."""
    return listed(lambda: texts(loaded))


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:  # noqa: ARG001 - every type is given it
    """Return the documents, and the texts of their summaries."""
    there = counts.texts_in(statistics, "human_summaries_statistics", "machine_summaries_statistics")
    return counts.as_row(statistics["num_samples"], there)


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return the first human summary of each document, and its machine summaries in the order of their ratings."""
    task, places = loaded.task, [int(item) for item in one.columns["item"]]
    rows = {row: loaded.rows[places[row]] for row in chosen}
    human = {row: str(of[task.human_summaries_column_name][0])[:TEXT_CHARACTERS] for row, of in rows.items()}
    machine = {
        row: [str(text)[:TEXT_CHARACTERS] for text in of[task.machine_summaries_column_name]]
        for row, of in rows.items()
    }
    return {"human_summary": as_column(human, len(places)), "summaries": as_column(machine, len(places))}


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield the summaries of every document."""
    columns = (loaded.task.human_summaries_column_name, loaded.task.machine_summaries_column_name)
    for item, summaries in enumerate(streamed(loaded.rows, columns)):
        for text in (text for of in summaries for text in of):
            yield (item,), None, text


def task_class(data: CustomData) -> Any:
    """Return mteb's class with the range of the ratings."""
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    low, high = data.score_range
    return type("SummarizationInRange", (AbsTaskSummarization,), {"min_score": low, "max_score": high})
