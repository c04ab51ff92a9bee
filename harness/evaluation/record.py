"""From an outcome or an exception to the record that is stored, with provenance; and what is noted beside it."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

from harness import environment
from harness.backends.interface import NotRecomputedError, Outcome
from harness.candidates.candidate import Candidate
from harness.candidates.rule import rule_of
from harness.errors import CellLostError
from harness.plan.cells import Cell, Plan
from harness.results.outcome import stored_results
from harness.results.records import Failure, Result, Score
from harness.results.store import Store
from harness.sources.places import Located
from harness.statistics.resampling import BOOTSTRAP_SAMPLES

ROUNDING = 1e-6
"""How far a score may lie from an interval without width."""


def score_of(cell: Cell, outcome: Outcome, provenance: dict[str, Any]) -> Score:
    """Return the score of a cell, without the items file that the store adds.

    Raises:
        NotRecomputedError: the score is not where its interval says that it is.
    """
    interval = outcome.interval
    _refuse_another_unit(outcome)
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


def _refuse_another_unit(outcome: Outcome) -> None:
    """An interval as a fraction beside a score in points, or of another metric, lies farther off than it is wide."""
    interval, score = outcome.interval, outcome.score
    if interval is None:
        return
    off = max(interval.low - score, score - interval.high)
    if not off <= interval.high - interval.low + ROUNDING:
        raise NotRecomputedError(
            f"{outcome.metric}: the score is {score!r} {outcome.score_unit} and its interval "
            f"[{interval.low!r}, {interval.high!r}]: one of the two is in another unit or of another metric"
        )


def failure_of(cell: Cell, candidate: Candidate, error: BaseException, began: str) -> Failure:
    """Return what is kept of a cell that raised an error.

    Args:
        cell: that was scored.
        candidate: its model.
        error: with its traceback.
        began: as in `provenance_of`.
    """
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


def lost(cell: Cell, plan: Plan, why: str, began: str) -> Failure:
    """Return what is kept of a cell whose process ended before it came to a result.

    Args:
        cell: that was worked on, or was to be.
        plan: that it is of.
        why: what ended, and how.
        began: as in `provenance_of`.
    """
    candidate = next(one for one in plan.candidates if isinstance(one, Candidate) and one.name == cell.model)
    return failure_of(cell, candidate, CellLostError(why), began)


def provenance_of(cell: Cell, candidate: Candidate, began: str) -> dict[str, Any]:
    """Return what a record was made of, as far as it is known before the cell is run.

    Args:
        cell: what is scored.
        candidate: its model; where an adapter is off for answering, an ability cell is one of the base's.
        began: when work on it began, in ISO format.
    """
    rule = {} if candidate.serving is None else {"rule": candidate.serving}
    candidate = candidate.answering() if cell.task.axis == "ability" else candidate
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
        "data_remarks": list(cell.task.remarks),
        "resamples": BOOTSTRAP_SAMPLES,
        "versions": environment.versions(),
        "git": environment.git_revision(),
        "began": began,
        **rule,
    }


def described(place: Located) -> dict[str, Any]:
    """Return where data or weights came from, for provenance."""
    return {
        "kind": place.kind,
        "source": place.source,
        "revision": place.revision,
        "identity": place.identity,
        "vouched": place.vouched,
    }


def note_run(plan: Plan, store: Store) -> None:
    """Keep which keys the cells have, for a report on a machine that lacks the weights or the data."""
    cells = {str(cell): cell.key for cell in plan.cells if cell.key}
    record = {"suite": plan.suite.model_dump(mode="json"), "cells": cells, "at": datetime.now(UTC).isoformat()}
    store.write_run(plan.suite.name, record)


def note_names(result: Result, plan: Plan, store: Store) -> None:
    """Have a record found under each model of the plan that shares it: it has the name of the first alone."""
    rules = {one.name: rule_of(one) for one in plan.candidates if isinstance(one, Candidate)}
    for cell in plan.cells:
        if (cell.task.name, cell.key) == (result.task, result.key):
            store.note_name(result, model=cell.model, cell=str(cell), rule=rules.get(cell.model))


def note_all_names(plan: Plan, store: Store) -> None:
    """Do so for every cell that has a record, of this run or an earlier one."""
    for result in {(one.task, one.key): one for one in stored_results(plan, store).values()}.values():
        note_names(result, plan, store)
