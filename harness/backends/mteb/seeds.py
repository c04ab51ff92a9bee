"""K-means seeds of mteb's clustering tasks over sets: the same vectors clustered again, for the interval alone.

The score stays mteb's own, of its one seed. How far another seed would have moved it can be tens of points on a small
set; nine further seeds a set, on the vectors in memory, say so.
"""

from __future__ import annotations

from typing import Any

from harness.statistics.items import SEED_COLUMN

FURTHER_SEEDS = 9
"""With mteb's own: ten."""
SEED_COLUMNS = tuple(f"{SEED_COLUMN}{number}" for number in range(1, FURTHER_SEEDS + 1))


class KMeansSeeds:
    """Stands behind a task's evaluator and clusters each set again, with mteb's settings and seed + 1 to + 9."""

    def __init__(self, task: Any) -> None:
        """Replace the evaluator of `task` by one that also fills `of`; the faster clustering has none."""
        self.of: dict[tuple[str, str], list[dict[str, float]]] = {}
        """(split, subset) -> for each of its sets that was clustered, in order: column -> V-measure, 0 to 1."""
        evaluator: Any = task.evaluator
        found = self.of

        class Repeated(evaluator):  # type: ignore[misc]
            def __call__(self, model: Any, **kwargs: Any) -> Any:
                kept = Remembering(model)
                clusters = super().__call__(kept, **kwargs)
                found.setdefault((self.hf_split, self.hf_subset), []).append(_further(self, kept.vectors))
                return clusters

        task.evaluator = Repeated


class Remembering:
    """A model, as mteb's EncoderProtocol has it, that remembers what it returned last."""

    def __init__(self, model: Any) -> None:
        """Stand before `model`."""
        self._model = model
        self.vectors: Any = None
        self.mteb_model_meta = model.mteb_model_meta
        self.similarity = model.similarity
        self.similarity_pairwise = model.similarity_pairwise

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model returns."""
        self.vectors = self._model.encode(*args, **kwargs)
        return self.vectors


def _further(evaluator: Any, vectors: Any) -> dict[str, float]:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import v_measure_score

    labels = evaluator.dataset[evaluator.label_column_name]
    scores = {}
    for number, column in enumerate(SEED_COLUMNS, 1):
        model = MiniBatchKMeans(
            n_clusters=len(set(labels)),
            batch_size=evaluator.clustering_batch_size,
            n_init="auto",
            random_state=evaluator.seed + number,
        ).fit(vectors)
        scores[column] = float(v_measure_score(labels, model.labels_))
    return scores
