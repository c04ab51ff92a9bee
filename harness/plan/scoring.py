"""What a cell costs beside its model: classifiers that are fitted and k-means, in seconds of one processor core; pure.

Fitted to what scikit-learn takes on one core (2026-11): `MiniBatchKMeans` of 2,048 to 20,000 vectors of 256 to 1,536
numbers 4e-8 to 1.1e-7 s a number, mteb's classifier with its six metrics 1.9e-6 s a scored text in each experiment. How
many clusters there are and how hard they are to part moves it by a factor of two or three: an estimate, which the sum
of a plan needs where a fast model would otherwise seem to take no time.
"""

from __future__ import annotations

from harness.plan.cells import PlannedTask
from harness.tasks.catalogue import Counts

USUAL_DIMENSION = 1024
"""Of vectors whose length is not known."""
FIT_SECONDS = 0.03
"""Of one fit, whatever its size."""
KMEANS_SECONDS = 5e-8
"""Of k-means, a number of a vector."""
SEEDS = 10
"""Fits of each set of texts: mteb's own and the further seeds of its interval."""
DRAWS = 110
"""Fits of a pool that is drawn from: mteb's ten, and ten on each of the halves of its interval."""
MOST_DRAWN = 16_384
"""Texts of a draw, as mteb has it."""
EXPERIMENTS = 10
"""Classifiers of a task."""
TRAINING_SECONDS = 1e-7
"""Of a classifier, a number of a training vector."""
SCORED_SECONDS = 2e-6
"""Of a classifier, a scored text."""


def scoring_seconds(task: PlannedTask, dimension: int | None = None) -> float:
    """Return about how long what follows the encoding takes; 0 where it is little or nothing is known.

    Args:
        task: as planned, its limit taken into account.
        dimension: of the vectors; None: as usual.
    """
    counts = task.counts()
    if counts is None or task.axis != "embedding":
        return 0.0
    numbers = dimension or USUAL_DIMENSION
    if task.type == "Clustering":
        return _clustering(counts, numbers)
    return _classification(counts, numbers) if task.type == "Classification" else 0.0


def _clustering(counts: Counts, numbers: int) -> float:
    """Return the seconds of all fits; newer tasks, which encode a part of their items, cluster draws of that pool."""
    if counts.items > counts.texts:
        return DRAWS * (FIT_SECONDS + KMEANS_SECONDS * numbers * min(counts.texts, MOST_DRAWN))
    return SEEDS * (FIT_SECONDS + KMEANS_SECONDS * numbers * counts.texts)


def _classification(counts: Counts, numbers: int) -> float:
    fitted = TRAINING_SECONDS * numbers * counts.training_texts  # of all experiments together
    return fitted + EXPERIMENTS * (FIT_SECONDS + SCORED_SECONDS * counts.items)
