"""What a worker does with a unit: load its candidate once, cut a cell, make a shard, score a cell, commit it."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from harness import environment
from harness.backends.interface import Job, Outcome, backend_of, sharding_of
from harness.candidates.candidate import Candidate
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError, ResultsNotWrittenError
from harness.evaluation import rationale_samples
from harness.evaluation.events import Finished, Phase, Progress, Remark, Reporter, Started
from harness.evaluation.made_by import maker_of
from harness.evaluation.record import described, failure_of, note_names, provenance_of, score_of
from harness.evaluation.units import Done, State, Unit
from harness.plan.cells import Cell, Plan, dataset_name
from harness.plan.parts import writes_of
from harness.results import rationale_file
from harness.results.damage import is_finished
from harness.results.records import Failure, Result, Score
from harness.results.store import Store
from harness.shards.files import ShardFiles
from harness.sources.reading import unchanged

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Worker:
    """Does units of a plan, one after the other; holds the encoder of one candidate, and the data of one cell."""

    plan: Plan
    store: Store
    reporter: Reporter
    use_cache: bool = True
    """Whether rationales and their vectors are looked up and kept by content."""
    is_part: bool = False
    """Whether other machines make shards too: a cell is then scored when all its shards are there, and not before."""
    _candidate: Candidate | None = None
    _encoder: CheckedEncoder | None = None
    _load_seconds: float = 0.0
    """Of the encoder; until the first cell that tells it."""
    _opened: tuple[str, Any] | None = None
    """Key and data of the cell whose shards are made."""

    @property
    def model(self) -> str | None:
        """Whose encoder is loaded."""
        return self._candidate.encoder_name if self._candidate and self._encoder else None

    def do(self, unit: Unit) -> Done:
        """Do a unit; what it makes is on disk when this returns.

        Raises:
            ResultsNotWrittenError: nothing more can be committed.
        """
        began = datetime.now(UTC).isoformat(timespec="seconds")
        candidate = self._candidate_of(unit.cell)
        try:
            if unit.step == "open":
                return self._open(unit, candidate)
            if unit.step == "shard":
                return self._make(unit, candidate)
            return self._score_cell(unit, candidate)
        except ResultsNotWrittenError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it becomes a Failure, here or after further attempts
            self._opened = None
            logger.warning("%s failed: %s: %s", unit, type(error).__name__, error)
            state: State = "hopeless" if isinstance(error, HarnessError) else "failed"
            return Done(unit=unit, state=state, failure=failure_of(unit.cell, candidate, error, began))

    def _open(self, unit: Unit, candidate: Candidate) -> Done:
        """Load the data of a cell and cut them into shards."""
        cell = unit.cell
        if is_finished(cell, self.store):
            return Done(unit=unit, state="done")
        self.reporter.report(Started(cell=cell))
        encoder = self._encoder_of(cell, candidate)
        self.reporter.report(Phase(cell=cell, name="cutting"))
        shards = sharding_of(cell.task.engine).shards(
            self._job(cell, candidate), self._data_of(cell, candidate), encoder
        )
        return Done(unit=unit, state="done", shards=tuple(shards))

    def _make(self, unit: Unit, candidate: Candidate) -> Done:
        """Make one shard, unless it is there."""
        cell, (shard,) = unit.cell, unit.shards
        encoder = self._encoder_of(cell, candidate)
        job, sharding = self._job(cell, candidate), sharding_of(cell.task.engine)
        with self.store.claim(f"{cell.made_as}.{unit.number}") as claimed:
            if not claimed:
                return Done(unit=unit, state="held")
            if sharding.is_made(job, shard, encoder):  # under its lock: another run may just have made it
                return Done(unit=unit, state="done", was_there=True)
            self._say_damage(cell, job)
            self.reporter.report(Phase(cell=cell, name="evaluating"))
            encoder.progress = lambda count: self.reporter.report(Progress(cell=cell, texts=count))
            sharding.make(job, self._data_of(cell, candidate), shard, encoder)
        return Done(unit=unit, state="done")

    def _score_cell(self, unit: Unit, candidate: Candidate) -> Done:
        """Score a cell, whole or from its shards, unless another process does or has done so."""
        cell = unit.cell
        with self.store.claim(cell.made_as) as claimed:
            if not claimed:
                return Done(unit=unit, state="held")
            if is_finished(cell, self.store):
                result = self.store.get(cell.task.name, cell.key)
                self.reporter.report(Finished(cell=cell, result=result, seconds=0.0, was_there=True))
                return Done(unit=unit, state="done", was_there=True)
            if unit.step == "close" and self.is_part and not self._are_made(unit, candidate):
                return Done(unit=unit, state="waits")
            self._run_cell(unit, candidate)
        return Done(unit=unit, state="done")

    def _are_made(self, unit: Unit, candidate: Candidate) -> bool:
        encoder = self._encoder_of(unit.cell, candidate)
        job, sharding = self._job(unit.cell, candidate), sharding_of(unit.cell.task.engine)
        return all(sharding.is_made(job, shard, encoder) for shard in unit.shards)

    def _run_cell(self, unit: Unit, candidate: Candidate) -> None:
        """Score one claimed cell and commit its score or failure."""
        cell = unit.cell
        started = time.perf_counter()
        began = datetime.now(UTC).isoformat(timespec="seconds")
        self.reporter.report(Started(cell=cell))
        self._opened = None  # its data are read again, and are not to be in memory twice
        result: Result
        try:
            encoder = self._encoder_of(cell, candidate)
            self.reporter.report(Phase(cell=cell, name="evaluating"))
            result = self._score(unit, candidate, encoder, began=began)
        except ResultsNotWrittenError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the one place where any error becomes a Failure
            result = failure_of(cell, candidate, error, began)
            logger.warning("%s failed: %s: %s", cell, type(error).__name__, error)
            self._keep(result)
        note_names(result, self.plan, self.store)
        self.reporter.report(Finished(cell=cell, result=result, seconds=time.perf_counter() - started))

    def _candidate_of(self, cell: Cell) -> Candidate:
        found = (one for one in self.plan.candidates if isinstance(one, Candidate) and one.name == cell.model)
        return next(found)

    def _encoder_of(self, cell: Cell, candidate: Candidate) -> CheckedEncoder:
        """Return the candidate's encoder, loaded at the first need; that of another candidate is let go."""
        if self._encoder is None or self._candidate is None or self._candidate.encoder_name != candidate.encoder_name:
            self._encoder = self._opened = None
            self._candidate = candidate
            started = time.perf_counter()
            self.reporter.report(Phase(cell=cell, name="loading"))
            seed = self.plan.suite.seed + candidate.seed_index
            with unchanged(candidate.weights, "models"), unchanged(candidate.adapter, "models"):
                self._encoder = loading.load(candidate.whole(), seed=seed, use_cache=self.use_cache)
            self._load_seconds = time.perf_counter() - started
        return self._encoder

    def _data_of(self, cell: Cell, candidate: Candidate) -> Any:
        """Return the data of a cell that is made in parts, loaded once for the shards that come one after the other."""
        if self._opened is None or self._opened[0] != cell.key:
            self._opened = None
            self._opened = str(cell.key), sharding_of(cell.task.engine).load(self._job(cell, candidate))
        return self._opened[1]

    def _keep(self, failure: Failure) -> None:
        """Commit a failure; where that fails too, the cell's own error is said with it."""
        try:
            self.store.put_failure(failure)
        except ResultsNotWrittenError as full:
            own = f"{failure.model}/{failure.task} had failed before that, and has no record: "
            raise ResultsNotWrittenError([*full.gaps, f"{own}{failure.error}: {failure.message}"]) from full

    def _score(self, unit: Unit, candidate: Candidate, encoder: CheckedEncoder, *, began: str) -> Score:
        """Evaluate a cell and commit its score."""
        cell = unit.cell
        started = time.perf_counter()
        encoder.take_counters()
        encoder.take_details()
        encoder.progress = lambda count: self.reporter.report(Progress(cell=cell, texts=count))
        if unit.step == "close":  # its shards have told of their texts
            encoder.progress = lambda _: None
        job = self._job(cell, candidate)
        with self._using(unit, job, encoder) as shards:
            self._say_damage(cell, job)
            outcome = backend_of(cell.task.engine)(job, encoder)
            counters = encoder.take_counters()
            provenance = provenance_of(cell, candidate, began) | {
                "encoder": encoder.describe(),
                "data": {name: described(place) for name, place in job.data.items()},
                **outcome.facts,
                **({"shards": shards} if shards else {}),
                "counts": counters,
                "rationales": encoder.take_details(),
                "seconds": {
                    "load_model": round(self._load_seconds, 3),
                    "evaluate": round(time.perf_counter() - started + shards.get("seconds", 0.0), 3),
                    "encode": round(counters["encode_seconds"], 3),
                },
                "hardware": environment.hardware(),
                "peak_memory_bytes": environment.peak_memory_bytes(),
            }
            self._load_seconds = 0.0
            if outcome.examples:
                provenance["rationale_samples"] = _keep_rationales(cell, encoder, outcome, self.store)
        return self.store.put_score(score_of(cell, outcome, provenance), outcome.items, outcome.unit)

    def _say_damage(self, cell: Cell, job: Job) -> None:
        for one in job.files.damaged if job.files else ():
            self.reporter.report(Remark(text=f"{cell}: a shard was not whole and is made again: {one}"))

    def _using(self, unit: Unit, job: Job, encoder: CheckedEncoder) -> AbstractContextManager[dict[str, Any]]:
        if unit.step == "whole":
            return nullcontext({})
        return sharding_of(unit.cell.task.engine).using(job, unit.shards, encoder)

    def _job(self, cell: Cell, candidate: Candidate) -> Job:
        """Return the cell as a backend takes it, with the place of each of its tasks' data."""
        return Job(
            cell=cell,
            data={info.name: self.plan.datasets[dataset_name(info)] for info in cell.task.parts},
            seed=self.plan.suite.seed,
            fingerprint=str(candidate.fingerprint()),
            native_folder=self.store.root / cell.task.engine,
            maker=maker_of(candidate, self.plan.suite.seed),
            writes=writes_of(candidate),
            files=ShardFiles(self.store.root / "shards"),
            max_texts=self.plan.suite.shards.max_texts,
            max_questions=self.plan.suite.shards.max_questions,
            keeps_texts=self.plan.suite.keep_texts,
        )


def _keep_rationales(cell: Cell, encoder: CheckedEncoder, outcome: Outcome, store: Store) -> dict[str, Any] | None:
    """Store what the model wrote about the examples, before the score names the file; None for other encoders."""
    content = rationale_samples.samples(encoder.inner, outcome.examples)
    if content is None:
        return None
    return store.put_side(cell.task.name, str(cell.key), rationale_file.SUFFIX, content)
