"""Between a schedule and the workers of an executor: units out, results and deaths in, failures committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from harness.candidates.candidate import Candidate
from harness.evaluation.events import Event, Finished, Remark, Reporter, ShardMade, Started
from harness.evaluation.options import RunOptions
from harness.evaluation.record import lost
from harness.evaluation.schedule import ATTEMPTS, Schedule, of_its_cell
from harness.evaluation.units import Done, Unit
from harness.plan.cells import Cell, Plan
from harness.plan.parts import opening, share_of, work_of
from harness.results.records import Failure
from harness.results.store import Store


def schedule_of(plan: Plan, cells: Sequence[Cell], options: RunOptions, *, longest_first: bool) -> Schedule:
    """Return the schedule of a run's cells, or of the share of them that `options.part` names."""
    candidates = {one.name: one for one in plan.candidates if isinstance(one, Candidate)}

    def work(cell: Cell) -> float:
        return work_of(cell, candidates[cell.model])

    opens = opening(plan)
    units = [Unit(step="open" if opens(cell) else "whole", cell=cell) for cell in cells]
    share = {"share": share_of(plan, *options.part)} if options.part else {}
    return Schedule(units, work=work if longest_first else None, **share)


@dataclass(slots=True, kw_only=True)
class Dispatch:
    """What an executor asks for units, and tells what became of them."""

    plan: Plan
    schedule: Schedule
    store: Store
    reporter: Reporter
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    begun: dict[str, float] = field(default_factory=dict)
    """Cells that a worker has come to -> when."""
    ended: set[str] = field(default_factory=set)
    """Cells whose result was told."""
    others: set[str] = field(default_factory=set)
    """Cells that this run is not to finish: those of its other parts, and those that lack shards of theirs."""

    @classmethod
    def of(
        cls, plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter, *, longest_first: bool
    ) -> Dispatch:
        """Return the dispatch of a run."""
        schedule = schedule_of(plan, cells, options, longest_first=longest_first)
        others = {str(cell) for cell in cells} - set(schedule.names)
        return cls(plan=plan, schedule=schedule, store=Store(options.results), reporter=reporter, others=others)

    def report(self, event: Event) -> None:
        """Pass on what a worker tells; that a cell is begun and ended once, and how long it took over all its steps.

        A worker may die between telling a result and handing the unit back.
        """
        if isinstance(event, Started):
            if str(event.cell) in self.begun:
                return
            self.begun[str(event.cell)] = time.perf_counter()
        elif isinstance(event, Finished):
            if str(event.cell) in self.ended:
                return
            self.ended.add(str(event.cell))
            if not event.was_there:
                event = replace(event, seconds=self._seconds(event.cell, event.seconds))
        self.reporter.report(event)

    def _seconds(self, cell: Cell, otherwise: float) -> float:
        """Return how long ago a worker first came to a cell."""
        began = self.begun.get(str(cell))
        return otherwise if began is None else time.perf_counter() - began

    def back(self, done: Done) -> None:
        """Take note of what came of a unit."""
        verdict = self.schedule.note(done)
        cell = done.unit.cell
        if done.state == "waits" or (done.unit.step == "open" and verdict == "over" and done.failure is None):
            self.others.add(str(cell))
        if done.unit.step == "shard" and done.state == "done":
            made, of = self.schedule.shards_of(cell)
            self.reporter.report(ShardMade(cell=cell, made=made, of=of, was_there=done.was_there))
        if done.failure is not None and verdict == "given up":
            self._give_up(of_its_cell(done.failure, done.unit), done.unit)
        elif done.failure is not None and verdict == "again":
            said = f"{done.failure.error}: {done.failure.message}"
            self.reporter.report(Remark(text=f"{done.unit}: {said}; it is tried again, {ATTEMPTS} times in all"))

    def died(self, unit: Unit, why: str) -> None:
        """Take note of a unit whose worker is gone; `why` says how."""
        verdict = self.schedule.died(unit)
        if verdict == "given up":
            again = "the next run tries it again"
            self._give_up(of_its_cell(lost(unit.cell, self.plan, why, self.began), unit), unit)
        elif verdict == "over":
            again = "its cell had failed before"
        else:
            again = f"another worker tries it again, {ATTEMPTS} times in all"
        self.reporter.report(Remark(text=f"{unit}: {why}; {again}"))

    def _give_up(self, failure: Failure, unit: Unit) -> None:
        """Commit the failure of a cell, unless another run has scored it by now."""
        cell = unit.cell
        if not self.store.has_score(cell.task.name, cell.key):
            self.store.put_failure(failure)
        self.report(
            Finished(cell=cell, result=self.store.get(cell.task.name, cell.key), seconds=self._seconds(cell, 0.0))
        )
