"""The loop: plan -> preflight -> executor -> backend -> store. A failed cell is a Failure; the rest goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from harness.errors import InputError
from harness.evaluation import preflight
from harness.evaluation.executors.local import run_cells
from harness.evaluation.options import RunOptions
from harness.evaluation.progress import Reporter, SilentReporter
from harness.evaluation.record import note_names
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.results.outcome import RunOutcome, needs_work, outcome_of, stored_results
from harness.results.store import Store
from harness.suite.load import load_suite
from harness.suite.schema import Suite


def run(suite: Suite | str | Path, options: RunOptions | None = None, reporter: Reporter | None = None) -> RunOutcome:
    """Run every cell of `suite` that has no score yet.

    Args:
        suite: a loaded suite, a file, or the name of a shipped one.
        options: where results go and what is run; the defaults of the command line where None.
        reporter: told of progress; nothing is shown where None.

    Raises:
        InputError: the suite has problems, or names no model or task.
        EnvironmentGapError: data, weights, a backend or the network is lacking and `available` is not set; nothing ran.
        KeyboardInterrupt: after the cell that was running was dropped; finished cells are kept.
    """
    suite = suite if isinstance(suite, Suite) else load_suite(suite).suite
    options = options or RunOptions()
    reporter = reporter or SilentReporter()
    store = Store(options.results)
    _refuse_nothing(suite)
    plan = make_plan(suite, options.sources, models=options.models, tasks=options.tasks, limit=options.limit)
    if any(needs_work(cell, store) for cell in plan.cells):
        plan = preflight.ready(plan, options, store)
    pending = [cell for cell in plan.cells if needs_work(cell, store)]
    runnable = [cell for cell in pending if cell.key is not None]
    if runnable:
        _note_run(plan, store)
        reporter.start(runnable, done=sum(store.has_score(cell.task.name, cell.key) for cell in plan.cells))
        try:
            run_cells(plan, runnable, options, reporter)
        finally:
            reporter.close()
    outcome = outcome_of(plan, store, ran=len(runnable))
    for result in {(one.task, one.key): one for one in stored_results(plan, store).values()}.values():
        note_names(result, plan, store)
    return outcome


def _refuse_nothing(suite: Suite) -> None:
    """Raise InputError where there is nothing to run: a list of tasks alone is for other suites to extend."""
    if not suite.models:
        raise InputError(
            [f"suite {suite.name!r} names no models: write a suite with `extends: [{suite.name}.yaml]` and `models:`"]
        )
    if not resolve_tasks(suite):
        raise InputError([f"suite {suite.name!r} names no tasks: `harness ls --tasks` lists what there is"])


def _note_run(plan: Plan, store: Store) -> None:
    """Keep which keys the cells have, for a report on a machine that lacks the weights or the data."""
    cells = {str(cell): cell.key for cell in plan.cells if cell.key}
    record = {"suite": plan.suite.model_dump(mode="json"), "cells": cells, "at": datetime.now(UTC).isoformat()}
    store.write_run(plan.suite.name, record)
