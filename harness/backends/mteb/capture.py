"""Hooks into an mteb task and catches what it computes, for the items of its cell.

mteb hands predictions to `_save_task_predictions` and per-query metrics to `task_specific_scores`; both are replaced on
the task instance for the time of one evaluation, so nothing is dumped as JSON (a thousand documents a query) and parsed
again. tests/harness/backends/mteb/test_evaluate.py holds both seams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.backends.interface import NotRecomputedError
from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.items import Captured, Rankings, SubsetItems, why_no_correlation
from harness.backends.mteb.pools import KeptVectors
from harness.backends.mteb.seeds import KMeansSeeds
from harness.backends.mteb.types.queries import query_values, top_documents
from harness.backends.mteb.types.summarization import KeptRatings
from harness.errors import HarnessError
from harness.statistics.items import ItemStatistic, of_columns
from harness.tasks.types import EMBEDDING_TYPES

ENGINE_ROUNDING = 6e-6
"""mteb rounds retrieval metrics to five decimals; nothing else may differ from what the items recompute."""


class Capture:
    """Catches what one task computes while it is evaluated."""

    def __init__(self, task: Any, cut_so_far: Callable[[], str]) -> None:
        """Hook into `task`, whose data are loaded; `cut_so_far` ends the message about scores that mean nothing."""
        self._task = task
        self._cut_so_far = cut_so_far
        self._predictions: dict[tuple[str, str], Any] = {}
        self._rankings: dict[tuple[str, str], Rankings] = {}
        self._random_state = task.rng_state.getstate()
        self._seeds = KMeansSeeds(task) if _clusters_sets(task) else None
        self._vectors = KeptVectors(task) if _clusters_draws(task) else None
        self._ratings = KeptRatings(task) if _rates_summaries(task) else None
        self._ranks = EMBEDDING_TYPES[task.metadata.type].ranks is not None
        task._save_task_predictions = self._take_predictions
        if self._ranks:
            self._specific = task.task_specific_scores
            task.task_specific_scores = self._take_rankings

    def items(self, split: str, subset: str, scores: Mapping[str, Any]) -> SubsetItems:
        """Return the per-item results of one evaluated split and subset.

        Raises:
            HarnessError: mteb's main score is no number, or a correlation with values that are all equal.
            NotRecomputedError: they do not recompute the engine's main score, or the statistic that intervals are
                made of is not that score when every item is drawn once.
        """
        kind = self._task.metadata.type
        made = file_of(kind).items(self._captured(split, subset, scores))
        if made.missing is None:
            self._check(made, float(scores["main_score"]))
        found = of_columns(kind, made.columns) if made.columns else None
        if found is None:
            return made
        if made.missing is None:
            self._check_statistic(made, found)
        return replace(made, statistic=found)

    def _check_statistic(self, made: SubsetItems, statistic: ItemStatistic) -> None:
        whole = float(statistic.statistic(np.ones((1, statistic.n)))[0])
        if not abs(whole - made.score) <= ENGINE_ROUNDING:
            where = f"{self._task.metadata.name} {made.split}/{made.subset}"
            raise NotRecomputedError(
                f"{where}: the statistic over its items gives {whole!r} and the score is {made.score!r}: an interval "
                "would be that of another metric (harness/statistics/items.py)"
            )

    def _check(self, made: SubsetItems, official: float) -> None:
        metadata = self._task.metadata
        where = f"{metadata.name} {made.split}/{made.subset}"
        equal = why_no_correlation(made.columns)
        if equal or math.isnan(official):
            nothing = "nothing can be correlated where all similarities, or all gold scores, are equal"
            why = equal or f"mteb has no {metadata.main_score} (nan): {nothing}"
            raise HarnessError(f"{where}: {why}{self._cut_so_far()}")
        if not abs(made.score - official) <= ENGINE_ROUNDING:
            raise NotRecomputedError(f"{where}: the per-item results give {made.score!r}, mteb says {official!r}")

    def _captured(self, split: str, subset: str, scores: Mapping[str, Any]) -> Captured:
        return Captured(
            task=self._task,
            split=split,
            subset=subset,
            scores=scores,
            predictions=self._predictions.get((split, subset)),
            rankings=self._rankings.get((split, subset), Rankings()),
            random_state=self._random_state,
            seeds=self._seeds.of.get((split, subset), ()) if self._seeds else (),
            ratings=self._ratings.of[split, subset] if self._ratings else None,
            vectors=self._vectors.of.pop((split, subset)) if self._vectors else None,
        )

    def _take_predictions(self, predictions: Any, _model: Any, _folder: Any, hf_split: str, hf_subset: str) -> None:
        if not self._ranks:  # those would hold every ranking in memory
            self._predictions[hf_split, hf_subset] = predictions

    def _take_rankings(self, scores: Any, qrels: Any, results: Any, hf_split: str, hf_subset: str) -> Any:
        self._rankings[hf_split, hf_subset] = Rankings(
            values=query_values(self._task.metadata.main_score, scores, qrels, results),
            top={query: top_documents(documents) for query, documents in results.items()},
        )
        return self._specific(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)


def _rates_summaries(task: Any) -> bool:
    """Whether documents have summaries with ratings; a document may be left out of the mean over them."""
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    return isinstance(task, AbsTaskSummarization)


def _clusters_sets(task: Any) -> bool:
    """Whether it is mteb's clustering of given sets, and not its faster one over drawn texts."""
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy

    return isinstance(task, AbsTaskClusteringLegacy)


def _clusters_draws(task: Any) -> bool:
    """Whether it is mteb's newer clustering of texts drawn from one pool."""
    from mteb.abstasks.clustering import AbsTaskClustering

    return isinstance(task, AbsTaskClustering)
