"""Hooks into an mteb task and catches what it computes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.backends.mteb.items import SubsetItems, without_items
from harness.backends.mteb.pools import KeptVectors, embedded_rows, pool_scores, rows_of_draws
from harness.backends.mteb.seeds import SEED_COLUMNS, KMeansSeeds
from harness.backends.mteb.types.clustering import nested_labels
from harness.backends.mteb.types.pairs import PAIR_SIMILARITIES
from harness.backends.mteb.types.queries import query_values, top_documents
from harness.backends.mteb.types.summarization import averages_p_value, documents_of
from harness.statistics.items import of_columns


class Capture:
    """Catches what one task computes while it is evaluated."""

    def __init__(self, task: Any) -> None:
        """Hook into `task`, whose data are loaded."""
        self._task = task
        self._predictions: dict[tuple[str, str], Any] = {}
        self._queries: dict[tuple[str, str], dict[str, Any]] = {}
        self._random_state = task.rng_state.getstate()
        self._seeds = KMeansSeeds(task) if _clusters_sets(task) else None
        self._vectors = KeptVectors(task) if _clusters_draws(task) else None
        task._save_task_predictions = self._take_predictions
        if hasattr(task, "task_specific_scores"):  # retrieval and reranking alone have it
            self._specific = task.task_specific_scores
            task.task_specific_scores = self._take_queries

    def items(self, split: str, subset: str, scores: Mapping[str, Any]) -> SubsetItems:
        """Return the per-item results of one evaluated split and subset.

        Raises:
            RuntimeError: they do not recompute the engine's main score.
        """
        kind = self._task.metadata.type
        made = self._by_type(kind, split, subset, scores)
        official = float(scores["main_score"])
        if made.missing is None and not abs(made.score - official) <= 6e-6:
            raise RuntimeError(
                f"{self._task.metadata.name} {split}/{subset}: the per-item results give {made.score!r}, "
                f"mteb says {official!r}"
            )
        found = of_columns(kind, made.columns) if made.columns else None
        return replace(made, statistic=found) if found else made

    def _by_type(self, kind: str, split: str, subset: str, scores: Mapping[str, Any]) -> SubsetItems:
        if kind in ("Retrieval", "Reranking"):
            return self._of_queries(split, subset, scores)
        data = self._data(subset)
        predictions = self._predictions.get((split, subset))
        if kind == "STS":
            return self._of_sts(split, subset, data[split], predictions)
        if kind == "PairClassification":
            return self._of_pairs(split, subset, data[split], predictions, scores)
        if kind == "Classification":
            return self._of_classification(split, subset, data[split], predictions, scores)
        if kind == "Clustering":
            if isinstance(predictions, Mapping):
                return self._of_sampled_clustering(split, subset, data[split], predictions)
            return self._of_clustering(split, subset, data[split], predictions)
        return self._of_summaries(split, subset, data[split], predictions)

    def _data(self, subset: str) -> Any:
        data = self._task.dataset
        return data.get(subset, data)

    def _take_predictions(self, predictions: Any, _model: Any, _folder: Any, hf_split: str, hf_subset: str) -> None:
        if self._task.metadata.type not in ("Retrieval", "Reranking"):  # those would hold every ranking in memory
            self._predictions[hf_split, hf_subset] = predictions

    def _take_queries(self, scores: Any, qrels: Any, results: Any, hf_split: str, hf_subset: str) -> Any:
        metric = self._task.metadata.main_score
        self._queries[hf_split, hf_subset] = {
            "values": query_values(metric, scores, qrels, results),
            "top": {query: top_documents(documents) for query, documents in results.items()},
        }
        return self._specific(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)

    def _of_queries(self, split: str, subset: str, scores: Mapping[str, Any]) -> SubsetItems:
        taken = self._queries[split, subset]
        values: dict[str, float] | None = taken["values"]
        unit = "query"
        if values is None:
            why = f"{self._task.metadata.main_score} is not a mean over queries"
            return without_items(split, subset, unit, len(taken["top"]), scores, why)
        queries = sorted(values)
        score = np.array([values[query] for query in queries])
        top = [taken["top"].get(query, []) for query in queries]
        columns = {
            "query": queries,
            "score": score,
            "top_documents": [[document for document, _ in one] for one in top],
            "top_scores": [[float(value) for _, value in one] for one in top],
        }
        return SubsetItems(
            split=split,
            subset=subset,
            unit=unit,
            n=len(queries),
            score=float(score.mean()),
            columns=columns,
        )

    def _of_sts(self, split: str, subset: str, data: Any, predictions: Any) -> SubsetItems:
        from scipy.stats import spearmanr

        gold = np.array(data["score"], dtype=np.float64)
        cosine = np.array(predictions["cosine_scores"], dtype=np.float64)
        return SubsetItems(
            split=split,
            subset=subset,
            unit="pair",
            n=len(gold),
            score=float(spearmanr(gold, cosine)[0]),
            columns={"item": np.arange(len(gold)), "gold": gold, "cosine": cosine},
        )

    def _of_pairs(self, split: str, subset: str, data: Any, predictions: Any, scores: Mapping[str, Any]) -> SubsetItems:
        from sklearn.metrics import average_precision_score

        labels = np.array(data[self._task.label_column_name], dtype=np.int64)
        labels = labels[0] if labels.ndim == 2 else labels  # version 1 kept a whole split in one row
        measures = {
            name: sign * np.array(predictions[key], dtype=np.float64) for name, (key, sign) in PAIR_SIMILARITIES.items()
        }
        columns = {"item": np.arange(len(labels)), "label": labels, **measures}
        if self._task.metadata.main_score != "max_ap":
            why = f"{self._task.metadata.main_score} is not recomputed from items"
            return without_items(split, subset, "pair", len(labels), scores, why)
        return SubsetItems(
            split=split,
            subset=subset,
            unit="pair",
            n=len(labels),
            score=max(float(average_precision_score(labels, values)) for values in measures.values()),
            columns=columns,
        )

    def _of_classification(
        self, split: str, subset: str, data: Any, predictions: Any, scores: Mapping[str, Any]
    ) -> SubsetItems:
        labels = list(data[self._task.label_column_name])
        if self._task.is_cross_validation or self._task.metadata.main_score != "accuracy":
            why = (
                f"{self._task.metadata.main_score} with cross-validation or averaging over classes is no mean of items"
            )
            return without_items(split, subset, "test text", len(labels), scores, why)
        guesses = np.array(predictions)  # (experiments, n)
        accuracy = (guesses == np.array(labels)[None, :]).mean(axis=0)
        columns: dict[str, Any] = {"item": np.arange(len(labels)), "label": labels, "score": accuracy}
        columns |= {f"prediction_{number}": guess for number, guess in enumerate(guesses)}
        return SubsetItems(
            split=split,
            subset=subset,
            unit="test text",
            n=len(labels),
            score=float(accuracy.mean()),
            columns=columns,
        )

    def _of_clustering(self, split: str, subset: str, data: Any, predictions: Any) -> SubsetItems:
        from sklearn.metrics import v_measure_score

        rows: dict[str, list[Any]] = {"set": [], "item": [], "label": [], "cluster": []}
        values: list[float] = []
        assignments = iter(predictions)
        seeds = iter(self._seeds.of_sets if self._seeds else [])
        for index, one in enumerate(data):
            labels = one[self._task.label_column_name]
            # mteb skips the encoding of a set with a single label and scores it 1.
            is_clustered = len(set(labels)) > 1
            clusters = next(assignments) if is_clustered else [0] * len(labels)
            for name, value in (next(seeds) if is_clustered else dict.fromkeys(SEED_COLUMNS, 1.0)).items():
                rows.setdefault(name, []).extend([value] * len(labels))
            values.append(float(v_measure_score(labels, clusters)))
            rows["set"] += [index] * len(labels)
            rows["item"] += range(len(labels))
            rows["label"] += [str(label) for label in labels]
            rows["cluster"] += list(clusters)
        of_sets = np.array(values)
        return SubsetItems(
            split=split,
            subset=subset,
            unit="set of texts",
            n=len(of_sets),
            score=float(of_sets.mean()),
            columns=rows,
        )

    def _of_sampled_clustering(self, split: str, subset: str, data: Any, predictions: Any) -> SubsetItems:
        """Items of mteb's newer clustering, whose texts are drawn with the task's own generator: drawn again here."""
        generator = random.Random()  # noqa: S311 - replays mteb's draws
        generator.setstate(self._random_state)
        labels = nested_labels(data[self._task.label_column_name])
        chosen = embedded_rows(self._task, len(labels), generator)
        rows, score = rows_of_draws(labels, chosen, predictions, generator)
        if self._vectors:
            vectors = self._vectors.of.pop((split, subset))
            pools = pool_scores(self._task, vectors, [labels[row] for row in chosen], predictions)
            rows |= {name: [value] * len(rows["item"]) for name, value in pools.items()}
        return SubsetItems(
            split=split, subset=subset, unit="text to cluster", n=len(chosen), score=score, columns=rows
        )  # fmt: skip

    def _of_summaries(self, split: str, subset: str, data: Any, predictions: Any) -> SubsetItems:
        from scipy.stats import spearmanr

        human, cosine = predictions["human_scores"], predictions["cosine_scores"]
        documents = documents_of(self._task, data, human)
        values = []
        for gold, similarity in zip(human, cosine, strict=True):
            found = spearmanr(gold, similarity)
            # mteb's deprecated evaluator (SummEval in MTEB(eng, v1)) averages the p-value into the score.
            values.append(float(np.mean(found)) if averages_p_value(self._task) else float(found.statistic))
        score = np.array(values)
        return SubsetItems(
            split=split,
            subset=subset,
            unit="document",
            n=len(score),
            score=float(score.mean()),
            columns={"item": documents, "score": score, "human": human, "cosine": cosine},
        )


def _clusters_sets(task: Any) -> bool:
    """Whether it is mteb's clustering of given sets, and not its faster one over drawn texts."""
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy

    return isinstance(task, AbsTaskClusteringLegacy)


def _clusters_draws(task: Any) -> bool:
    """Whether it is mteb's newer clustering of texts drawn from one pool."""
    from mteb.abstasks.clustering import AbsTaskClustering

    return isinstance(task, AbsTaskClustering)
