"""One candidate: load once, score its cells one by one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from harness import environment
from harness.backends.interface import Job, Outcome, backend_of
from harness.candidates.candidate import Candidate
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.evaluation import rationale_samples
from harness.evaluation.progress import Reporter
from harness.evaluation.record import described, failure_of, note_names, provenance_of, score_of
from harness.plan.cells import Cell, Plan, dataset_name, infos_of
from harness.results import rationale_file
from harness.results.records import Result, Score
from harness.results.store import Store

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5
"""Between looks at cells that another process holds."""


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
            reporter.phase(cell, "loading")
            encoder = loading.load(candidate, seed=plan.suite.seed + candidate.seed_index, use_cache=use_cache)
            load_seconds = time.perf_counter() - started
        reporter.phase(cell, "evaluating")
        result = _score(cell, candidate, encoder, plan, store, reporter, began, load_seconds)
    except Exception as error:  # noqa: BLE001 - the one place where any error becomes a Failure
        failure = failure_of(cell, candidate, error, began)
        store.put_failure(failure)
        result = failure
        logger.warning("%s failed: %s: %s", cell, type(error).__name__, error)
    note_names(result, plan, store)
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
    provenance = provenance_of(cell, candidate, began) | {
        "encoder": encoder.describe(),
        "data": {name: described(place) for name, place in data.items()},
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
    return store.put_score(score_of(cell, outcome, provenance), outcome.items, outcome.unit)


def _keep_rationales(cell: Cell, encoder: CheckedEncoder, outcome: Outcome, store: Store) -> dict[str, Any] | None:
    """Store what the model wrote about the examples, before the score names the file; None for other encoders."""
    content = rationale_samples.samples(encoder.inner, outcome.examples)
    if content is None:
        return None
    return store.put_side(cell.task.name, str(cell.key), rationale_file.SUFFIX, content)


def _data_names(cell: Cell) -> dict[str, str]:
    return {info.name: dataset_name(info) for info in infos_of(cell.task)}
