"""The loop: plan -> preflight -> executor -> backend -> store. A failed cell is a Failure; the rest goes on."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import environment, preflight
from harness.backends import Job, Outcome, backend_of
from harness.candidates import Candidate, MissingCandidate
from harness.encoders.checked import CheckedEncoder
from harness.errors import ExitCode, InputError, worst
from harness.hub import Sources
from harness.plan import Cell, Plan, dataset_name, infos_of, make_plan, resolve_tasks
from harness.progress import Reporter, SilentReporter
from harness.results import Failure, Result, Score
from harness.seeds import fold
from harness.store import Store
from harness.suite import Suite
from harness.suite_load import load_suite

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5
"""Between looks at cells that another process holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a suite."""

    results: Path = Path("results")
    sources: Sources = field(default_factory=Sources)
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    available: bool = False
    """Run what can be run and show the gaps as missing."""
    workers: int = 1
    use_cache: bool = True
    """Whether rationales and their vectors are looked up and kept by content; no score depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a run came to."""

    plan: Plan
    results: dict[str, Result]
    """str(cell) -> result, for every cell that has one."""
    exit_code: ExitCode
    ran: int
    """Cells that this run scored or saw fail."""


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
        from harness.executors.local import run_cells

        _note_run(plan, store)
        reporter.start(runnable, done=sum(store.has_score(cell.task.name, cell.key) for cell in plan.cells))
        try:
            run_cells(plan, runnable, options, reporter)
        finally:
            reporter.close()
    outcome = outcome_of(plan, store, ran=len(runnable))
    for result in {(one.task, one.key): one for one in stored_results(plan, store).values()}.values():
        _note_names(result, plan, store)
    return outcome


def _note_names(result: Result, plan: Plan, store: Store) -> None:
    """Have a record found under each model of the plan that shares it: it has the name of the first alone."""
    for cell in plan.cells:
        if (cell.task.name, cell.key) == (result.task, result.key):
            store.note_name(result, model=cell.model, cell=str(cell))


def _refuse_nothing(suite: Suite) -> None:
    """Raise InputError where there is nothing to run: a list of tasks alone is for other suites to extend."""
    if not suite.models:
        raise InputError(
            [f"suite {suite.name!r} names no models: write a suite with `extends: [{suite.name}.yaml]` and `models:`"]
        )
    if not resolve_tasks(suite):
        raise InputError([f"suite {suite.name!r} names no tasks: `harness ls --tasks` lists what there is"])


def needs_work(cell: Cell, store: Store) -> bool:
    """Whether a cell is applicable and has no score."""
    return cell.state != "n/a" and not store.has_score(cell.task.name, cell.key)


def outcome_of(plan: Plan, store: Store, *, ran: int = 0) -> RunOutcome:
    """Read the plan's results and say which exit code they come to."""
    results = stored_results(plan, store)
    codes: list[ExitCode] = []
    if any(isinstance(one, Failure) for one in results.values()):
        codes.append(ExitCode.CELLS_FAILED)
    if any(cell.state == "missing" or (cell.state == "cell" and cell.key is None) for cell in plan.cells):
        codes.append(ExitCode.ENVIRONMENT)
    plan, results = fold(plan, results, store)
    return RunOutcome(plan=plan, results=results, exit_code=worst(codes), ran=ran)


def stored_results(plan: Plan, store: Store) -> dict[str, Result]:
    """Return str(cell) -> score or failure, for every cell of the plan that has one."""
    found = {str(cell): store.get(cell.task.name, cell.key) for cell in plan.cells}
    return {cell: result for cell, result in found.items() if result is not None}


def run_candidate(
    candidate: Candidate, cells: Sequence[Cell], plan: Plan, store: Store, reporter: Reporter, *, use_cache: bool = True
) -> None:
    """Load a candidate once and run those of its `cells` that no other process finishes first."""
    waiting = list(cells)
    encoder: CheckedEncoder | None = None
    while waiting:
        held = []
        for cell in waiting:
            assert cell.key is not None  # noqa: S101 - only keyed cells are runnable
            with store.claim(cell.key) as claimed:
                if not claimed:
                    held.append(cell)
                elif store.has_score(cell.task.name, cell.key):
                    reporter.finished(cell, store.get(cell.task.name, cell.key), 0.0)
                else:
                    encoder = _run_cell(cell, candidate, encoder, plan, store, reporter, use_cache)
        waiting = held
        if waiting:
            time.sleep(WAIT_SECONDS)


def _run_cell(
    cell: Cell,
    candidate: Candidate,
    encoder: CheckedEncoder | None,
    plan: Plan,
    store: Store,
    reporter: Reporter,
    use_cache: bool,
) -> CheckedEncoder | None:
    """Score one claimed cell and commit its score or failure; returns the encoder, loaded at the first need."""
    started = time.perf_counter()
    began = datetime.now(UTC).isoformat(timespec="seconds")
    reporter.started(cell)
    load_seconds = 0.0
    result: Result
    try:
        if encoder is None:
            from harness import encoders

            reporter.phase(cell, "loading")
            encoder = encoders.load(candidate, seed=plan.suite.seed + candidate.seed_index, use_cache=use_cache)
            load_seconds = time.perf_counter() - started
        reporter.phase(cell, "evaluating")
        result = _score(cell, candidate, encoder, plan, store, reporter, began, load_seconds)
    except Exception as error:  # noqa: BLE001 - the one place where any error becomes a Failure
        failure = _failure(cell, candidate, error, began)
        store.put_failure(failure)
        result = failure
        logger.warning("%s failed: %s: %s", cell, type(error).__name__, error)
    _note_names(result, plan, store)
    reporter.finished(cell, result, time.perf_counter() - started)
    return encoder


def _score(
    cell: Cell,
    candidate: Candidate,
    encoder: CheckedEncoder,
    plan: Plan,
    store: Store,
    reporter: Reporter,
    began: str,
    load_seconds: float,
) -> Score:
    started = time.perf_counter()
    encoder.take_counters()
    encoder.take_details()
    encoder.progress = lambda count: reporter.progress(cell, count)
    data = {info: plan.datasets[name] for info, name in _data_names(cell).items()}
    job = Job(
        cell=cell,
        data=data,
        seed=plan.suite.seed,
        fingerprint=str(candidate.fingerprint()),
        native_folder=store.root / cell.task.engine,
    )
    outcome = backend_of(cell.task.engine)(job, encoder)
    counters = encoder.take_counters()
    provenance = _provenance(cell, candidate, began) | {
        "encoder": encoder.describe(),
        "data": {name: _describe_data(place) for name, place in data.items()},
        **outcome.facts,
        "counts": counters,
        "rationales": encoder.take_details(),
        "seconds": {
            "load_model": round(load_seconds, 3),
            "evaluate": round(time.perf_counter() - started, 3),
            "encode": round(counters["encode_seconds"], 3),
        },
        "hardware": environment.hardware(),
        "peak_memory_bytes": environment.peak_memory_bytes(),
    }
    if outcome.examples:
        provenance["rationale_samples"] = _keep_rationales(cell, encoder, outcome, store)
    return store.put_score(_as_score(cell, outcome, provenance), outcome.items, outcome.unit)


def _keep_rationales(cell: Cell, encoder: CheckedEncoder, outcome: Outcome, store: Store) -> dict[str, Any] | None:
    """Store what the model wrote about the examples, before the score names the file; None for other encoders."""
    from harness import rationale_records, rationale_samples

    content = rationale_samples.samples(encoder.inner, outcome.examples)
    if content is None:
        return None
    return store.put_side(cell.task.name, str(cell.key), rationale_records.SUFFIX, content)


def _as_score(cell: Cell, outcome: Outcome, provenance: dict[str, Any]) -> Score:
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


def _failure(cell: Cell, candidate: Candidate, error: Exception, began: str) -> Failure:
    return Failure(
        key=str(cell.key),
        model=cell.model,
        axis=cell.task.axis,
        type=cell.task.type,
        task=cell.task.name,
        error=type(error).__name__,
        message=str(error),
        traceback="".join(traceback.format_exception(error)),
        provenance=_provenance(cell, candidate, began),
    )


def _provenance(cell: Cell, candidate: Candidate, began: str) -> dict[str, Any]:
    spec = candidate.spec.model_dump(mode="json")
    return {
        "cell": str(cell),
        "spec": spec,
        "identity": candidate.identity(),
        "fingerprint": candidate.fingerprint(),
        "weights": _describe_data(candidate.weights) if candidate.weights else None,
        "adapter": _describe_data(candidate.adapter) if candidate.adapter else None,
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


def _describe_data(place: Any) -> dict[str, Any]:
    return {"source": place.source, "revision": place.revision, "identity": place.identity, "vouched": place.vouched}


def _data_names(cell: Cell) -> dict[str, str]:
    return {info.name: dataset_name(info) for info in infos_of(cell.task)}


def _note_run(plan: Plan, store: Store) -> None:
    """Keep which keys the cells have, for a report on a machine that lacks the weights or the data."""
    cells = {str(cell): cell.key for cell in plan.cells if cell.key}
    record = {"suite": plan.suite.model_dump(mode="json"), "cells": cells, "at": datetime.now(UTC).isoformat()}
    store.write_run(plan.suite.name, record)


def candidates_by_name(plan: Plan) -> dict[str, Candidate | MissingCandidate]:
    """Return the plan's candidates by name."""
    return {candidate.name: candidate for candidate in plan.candidates}


class _CallableModule(ModuleType):
    """Lets `harness.run(suite)` work beside `from harness.run import run`: a package attribute is one thing only."""

    def __call__(self, *arguments: Any, **options: Any) -> RunOutcome:
        return run(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule
