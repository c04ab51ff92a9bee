"""What classifiers and k-means take: by hand, and against scikit-learn on this machine."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from harness.plan import scoring
from harness.plan.cells import PlannedTask
from harness.plan.scoring import scoring_seconds
from harness.plan.tasks import resolve_tasks
from harness.suite.schema import Suite

GENEROUS = 8.0
"""Factor that an estimate on a busy machine may be off."""


def planned(name: str, limit: int | None = None) -> PlannedTask:
    """Return a task of the catalogue as a suite plans it."""
    suite = Suite.model_validate({"version": 1, "name": "s", "tasks": {"embedding": {"names": [name]}}})
    (task,) = resolve_tasks(suite, limit)
    return task


def test_sets_are_fitted_once_a_seed_and_draws_once_a_draw() -> None:
    """MedrxivClusteringS2S has 37,500 texts; version 2 draws ten times, and ten times of ten halves."""
    sets = 10 * (scoring.FIT_SECONDS + scoring.KMEANS_SECONDS * 384 * 37_500)
    assert scoring_seconds(planned("MedrxivClusteringS2S"), 384) == pytest.approx(sets)
    drawn = planned("MedrxivClusteringS2S.v2")
    kept = drawn.counts().texts
    each = scoring.FIT_SECONDS + scoring.KMEANS_SECONDS * 384 * kept
    assert scoring_seconds(drawn, 384) == pytest.approx(110 * each)


def test_classifiers_cost_by_training_and_by_scored_texts() -> None:
    """Banking77: 77 labels with 8 texts in ten experiments, 3,080 scored texts."""
    fitted = scoring.TRAINING_SECONDS * 384 * 77 * 8 * 10
    told = 10 * (scoring.FIT_SECONDS + scoring.SCORED_SECONDS * 3080)
    assert scoring_seconds(planned("Banking77Classification"), 384) == pytest.approx(fitted + told)


def test_a_limit_counts_and_other_types_cost_nothing() -> None:
    """Less is clustered with a limit; correlations take no time; what has no counts is not known."""
    assert scoring_seconds(planned("MedrxivClusteringS2S", 100)) < scoring_seconds(planned("MedrxivClusteringS2S"))
    assert scoring_seconds(planned("STSBenchmark")) == 0.0
    task = planned("MedrxivClusteringS2S")
    assert scoring_seconds(replace(task, parts=(replace(task.info, counts={}),))) == 0.0


@pytest.mark.parametrize(("texts", "numbers"), [(2000, 256), (4000, 768)])
def test_the_constant_is_what_k_means_takes(texts: int, numbers: int) -> None:
    """In seconds of this process, for clusters that overlap."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20, numbers))[rng.integers(0, 20, texts)] + 6 * rng.normal(size=(texts, numbers))
    started = time.process_time()
    MiniBatchKMeans(n_clusters=20, batch_size=500, n_init="auto", random_state=1).fit(vectors.astype(np.float32))
    took = time.process_time() - started
    expected = scoring.FIT_SECONDS + scoring.KMEANS_SECONDS * numbers * texts
    assert expected / GENEROUS < took < expected * GENEROUS
