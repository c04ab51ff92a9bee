"""One candidate at a time: load it once, score its cells one by one, commit each score or failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness import environment
from harness.backends.interface import Job, Outcome, backend_of
from harness.candidates.candidate import Candidate
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.errors import ResultsNotWrittenError
from harness.evaluation import rationale_samples
from harness.evaluation.attempts import Attempts
from harness.evaluation.events import Finished, Phase, Progress, Reporter, Started
from harness.evaluation.record import described, failure_of, note_names, provenance_of, score_of
from harness.plan.cells import Cell, Plan, dataset_name
from harness.results import rationale_file
from harness.results.damage import is_finished
from harness.results.records import Failure, Result, Score
from harness.results.store import Store
from harness.sources.reading import unchanged

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5
"""Between looks at cells that another process holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Scores cells of a plan, one after the other."""

    plan: Plan
    store: Store
    reporter: Reporter
    use_cache: bool = True
    """Whether rationales and their vectors are looked up and kept by content."""
    attempts: Attempts = field(default_factory=Attempts.none)
    """Which cells other processes of this run died at."""

    def run(self, candidate: Candidate, cells: Sequence[Cell]) -> None:
        """Load `candidate` once, at the first need, and run those of its `cells` that no other process finishes first.

        A cell that fails is a stored `Failure`, and the next one is run.
        """
        waiting = list(cells)
        encoder: CheckedEncoder | None = None
        while waiting:
            held = []
            for cell in waiting:
                assert cell.key is not None  # noqa: S101 - only keyed cells are runnable
                with self.store.claim(cell.key) as claimed:
                    if not claimed:
                        held.append(cell)
                    elif is_finished(cell, self.store):
                        result = self.store.get(cell.task.name, cell.key)
                        self.reporter.report(Finished(cell=cell, result=result, seconds=0.0))
                    elif not self.attempts.died(cell):  # else it would kill this process too
                        with self.attempts.at(cell):
                            encoder = self._run_cell(cell, candidate, encoder)
            waiting = held
            if waiting:
                time.sleep(WAIT_SECONDS)

    def _run_cell(self, cell: Cell, candidate: Candidate, encoder: CheckedEncoder | None) -> CheckedEncoder | None:
        """Score one claimed cell and commit its score or failure; returns the encoder, None while it is not loaded."""
        started = time.perf_counter()
        began = datetime.now(UTC).isoformat(timespec="seconds")
        self.reporter.report(Started(cell=cell))
        load_seconds = 0.0
        result: Result
        try:
            if encoder is None:
                self.reporter.report(Phase(cell=cell, name="loading"))
                seed = self.plan.suite.seed + candidate.seed_index
                with unchanged(candidate.weights, "models"), unchanged(candidate.adapter, "models"):
                    encoder = loading.load(candidate, seed=seed, use_cache=self.use_cache)
                load_seconds = time.perf_counter() - started
            self.reporter.report(Phase(cell=cell, name="evaluating"))
            result = self._score(cell, candidate, encoder, began=began, load_seconds=load_seconds)
        except ResultsNotWrittenError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the one place where any error becomes a Failure
            result = failure_of(cell, candidate, error, began)
            logger.warning("%s failed: %s: %s", cell, type(error).__name__, error)
            self._keep(result)
        note_names(result, self.plan, self.store)
        self.reporter.report(Finished(cell=cell, result=result, seconds=time.perf_counter() - started))
        return encoder

    def _keep(self, failure: Failure) -> None:
        """Commit a failure; where that fails too, the cell's own error is said with it."""
        try:
            self.store.put_failure(failure)
        except ResultsNotWrittenError as full:
            own = f"{failure.model}/{failure.task} had failed before that, and has no record: "
            raise ResultsNotWrittenError([*full.gaps, f"{own}{failure.error}: {failure.message}"]) from full

    def _score(
        self, cell: Cell, candidate: Candidate, encoder: CheckedEncoder, *, began: str, load_seconds: float
    ) -> Score:
        """Evaluate a cell and commit its score."""
        started = time.perf_counter()
        encoder.take_counters()
        encoder.take_details()
        encoder.progress = lambda count: self.reporter.report(Progress(cell=cell, texts=count))
        job = self._job(cell, candidate)
        outcome = backend_of(cell.task.engine)(job, encoder)
        counters = encoder.take_counters()
        provenance = provenance_of(cell, candidate, began) | {
            "encoder": encoder.describe(),
            "data": {name: described(place) for name, place in job.data.items()},
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
            provenance["rationale_samples"] = _keep_rationales(cell, encoder, outcome, self.store)
        return self.store.put_score(score_of(cell, outcome, provenance), outcome.items, outcome.unit)

    def _job(self, cell: Cell, candidate: Candidate) -> Job:
        """Return the cell as a backend takes it, with the place of each of its tasks' data."""
        return Job(
            cell=cell,
            data={info.name: self.plan.datasets[dataset_name(info)] for info in cell.task.parts},
            seed=self.plan.suite.seed,
            fingerprint=str(candidate.fingerprint()),
            native_folder=self.store.root / cell.task.engine,
        )


def _keep_rationales(cell: Cell, encoder: CheckedEncoder, outcome: Outcome, store: Store) -> dict[str, Any] | None:
    """Store what the model wrote about the examples, before the score names the file; None for other encoders."""
    content = rationale_samples.samples(encoder.inner, outcome.examples)
    if content is None:
        return None
    return store.put_side(cell.task.name, str(cell.key), rationale_file.SUFFIX, content)
