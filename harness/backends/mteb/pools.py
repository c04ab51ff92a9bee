"""MTEB's newer clustering tasks: what was drawn, and the vectors clustered again on halves of the pool.

Such a task draws texts with replacement from one pool, clusters the draw, and does so ten times; the score is the mean
V-measure. The spread of the ten says nothing of the pool they share: which texts are in it, and where k-means ends up
for just these. So the whole evaluation, ten draws with mteb's settings and seed, is repeated on ten random halves of
the pool, drawn without replacement. A mean over half of n texts strays from that over all of them just as that over n
strays from the truth (McCarthy 1969; Politis & Romano 1994, with the factor of a finite population, which is 1 for a
half), and what k-means makes of it comes with it. Their spread is the score's standard error; the score stays mteb's.

Halves and draws hang on the task's seed and the number of texts alone, so they are the same for every model, and
differences of two models are paired.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.backends.mteb.seeds import Remembering
from harness.statistics.items import POOL_COLUMN

Labels = Sequence[Sequence[Any]]
Predictions = Mapping[str, Sequence[Sequence[int]]]
"""Level -> experiment -> cluster of each drawn text."""
POOLS = 10
"""Halves of the pool."""
POOL_COLUMNS = tuple(f"{POOL_COLUMN}{number}" for number in range(1, POOLS + 1))


class KeptVectors:
    """Stands before a task's evaluation and keeps the vectors that it clusters."""

    def __init__(self, task: Any) -> None:
        """Hook into `task`, one of mteb's AbsTaskClustering."""
        self.of: dict[tuple[str, str], Any] = {}
        """(split, subset) -> (n, d) vectors of the pool, in the order of the pool."""
        evaluate = task._evaluate_subset

        def kept(model: Any, *args: Any, hf_split: str, hf_subset: str, **kwargs: Any) -> Any:
            remembering = Remembering(model)
            scores = evaluate(remembering, *args, hf_split=hf_split, hf_subset=hf_subset, **kwargs)
            self.of[hf_split, hf_subset] = remembering.vectors
            return scores

        task._evaluate_subset = kept


def embedded_rows(task: Any, rows: int, generator: random.Random) -> list[int]:
    """Return which of the data's `rows` the pool holds, as mteb draws them with `generator`."""
    fraction, most = task.max_fraction_of_documents_to_embed, task.max_document_to_embed
    if fraction is None and most is None:
        return list(range(rows))
    wanted = int(fraction * rows) if fraction is not None else int(most)
    return generator.sample(range(rows), k=min(rows, wanted))


def rows_of_draws(
    labels: Labels, chosen: Sequence[int], predictions: Predictions, generator: random.Random
) -> tuple[dict[str, list[Any]], float]:
    """Return the columns of every drawn text, and the score they make, 0 to 1.

    Args:
        labels: of each row of the data, from the coarsest level to the finest it has.
        chosen: the rows in the pool, in its order.
        predictions: mteb's clusters.
        generator: mteb's, in the state it had after the pool was drawn.
    """
    from sklearn.metrics import v_measure_score

    rows: dict[str, list[Any]] = {"level": [], "experiment": [], "item": [], "label": [], "cluster": []}
    values = []
    for level in range(len(predictions)):
        at_level = [row for row in chosen if len(labels[row]) > level]
        for number, clusters in enumerate(predictions[f"Level {level}"]):
            drawn = generator.choices(range(len(at_level)), k=len(clusters))
            truth = [str(labels[at_level[place]][level]) for place in drawn]
            values.append(float(v_measure_score(truth, clusters)))
            rows["level"] += [level] * len(clusters)
            rows["experiment"] += [number] * len(clusters)
            rows["item"] += [at_level[place] for place in drawn]
            rows["label"] += truth
            rows["cluster"] += list(clusters)
    return rows, float(np.mean(values))


def pool_scores(task: Any, vectors: Any, labels: Labels, predictions: Predictions) -> dict[str, float]:
    """Return column -> the score on half of the pool, 0 to 1; none where a half has no text at one of the levels.

    Args:
        task: mteb's task, for its k-means settings and seed.
        vectors: (n, d) of the texts of the pool.
        labels: of each text of the pool, as in `rows_of_draws`.
        predictions: mteb's clusters: so many levels, draws and texts a draw are made of each half too.
    """
    held: NDArray[Any] = np.asarray(vectors)
    found = {}
    for number, column in enumerate(POOL_COLUMNS, 1):
        generator = np.random.default_rng([task.seed, number])
        half = generator.permutation(len(held))[: len(held) // 2]
        scores = []
        for level in range(len(predictions)):
            at_level = np.array([text for text in half if len(labels[text]) > level], dtype=np.int64)
            if not len(at_level):
                return {}
            named = np.array([str(labels[text][level]) for text in at_level])
            for clusters in predictions[f"Level {level}"]:
                places = generator.integers(0, len(at_level), len(clusters))
                scores.append(_v_measure(task, held[at_level], named, places))
        found[column] = float(np.mean(scores))
    return found


def _v_measure(task: Any, vectors: NDArray[Any], labels: NDArray[Any], places: NDArray[Any]) -> float:
    """Return the V-measure of one draw, clustered as `mteb.abstasks.clustering` does."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import v_measure_score

    model = MiniBatchKMeans(
        n_clusters=len(np.unique(labels)),
        batch_size=task.k_mean_batch_size,
        init="k-means++",
        n_init=1,
        random_state=task.seed,
    )
    return float(v_measure_score(labels[places], model.fit_predict(vectors[places])))
