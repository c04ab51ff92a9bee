"""Outcome or exception -> Score or Failure, with provenance."""

from __future__ import annotations

import traceback
from typing import Any

from harness import environment
from harness.backends.interface import Outcome
from harness.candidates.candidate import Candidate
from harness.plan.cells import Cell, Plan
from harness.results.records import Failure, Result, Score
from harness.results.store import Store


def note_names(result: Result, plan: Plan, store: Store) -> None:
    """Have a record found under each model of the plan that shares it: it has the name of the first alone."""
    for cell in plan.cells:
        if (cell.task.name, cell.key) == (result.task, result.key):
            store.note_name(result, model=cell.model, cell=str(cell))


def score_of(cell: Cell, outcome: Outcome, provenance: dict[str, Any]) -> Score:
    interval = outcome.interval
    return Score(
        key=str(cell.key),
        model=cell.model,
        axis=cell.task.axis,
        type=cell.task.type,
        task=cell.task.name,
        metric=outcome.metric,
        score=outcome.score,
        stderr=interval.stderr if interval else None,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        n=outcome.n,
        limit=cell.task.limit,
        unit=outcome.score_unit,
        lower_is_better=outcome.lower_is_better,
        metrics=outcome.metrics,
        items_missing=outcome.items_missing,
        provenance=provenance,
    )


def failure_of(cell: Cell, candidate: Candidate, error: Exception, began: str) -> Failure:
    return Failure(
        key=str(cell.key),
        model=cell.model,
        axis=cell.task.axis,
        type=cell.task.type,
        task=cell.task.name,
        error=type(error).__name__,
        message=str(error),
        traceback="".join(traceback.format_exception(error)),
        provenance=provenance_of(cell, candidate, began),
    )


def provenance_of(cell: Cell, candidate: Candidate, began: str) -> dict[str, Any]:
    spec = candidate.spec.model_dump(mode="json")
    return {
        "cell": str(cell),
        "spec": spec,
        "identity": candidate.identity(),
        "fingerprint": candidate.fingerprint(),
        "weights": described(candidate.weights) if candidate.weights else None,
        "adapter": described(candidate.adapter) if candidate.adapter else None,
        "selected_on": candidate.selected_on,
        "training": candidate.training,
        "note": candidate.note,
        "splits": list(cell.task.splits),
        "subsets": list(cell.task.subsets),
        "official_split": cell.task.is_official_split,
        "limit": cell.task.limit,
        "versions": environment.versions(),
        "git": environment.git_revision(),
        "began": began,
    }


def described(place: Any) -> dict[str, Any]:
    return {"source": place.source, "revision": place.revision, "identity": place.identity, "vouched": place.vouched}
