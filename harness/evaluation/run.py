"""`harness run` as a story: load, plan, preflight, execute, outcome. A failed cell is a Failure; the rest goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.evaluation.events import Remark, Reporter, SilentReporter, told
from harness.evaluation.executors.table import executor_of
from harness.evaluation.options import RunOptions
from harness.evaluation.preflight import foreseen, ready, refuse_nothing
from harness.evaluation.record import lost as lost_record
from harness.evaluation.record import note_all_names, note_run
from harness.evaluation.train_first import failed_trainings, trained
from harness.plan.cells import Cell, Plan
from harness.plan.planner import make_plan
from harness.results.damage import damage, is_finished
from harness.results.outcome import RunOutcome, needs_work, outcome_of
from harness.results.store import Store
from harness.suite.load import load_suite
from harness.suite.schema import Suite
from harness.wording import first_few


def run(suite: Suite | str | Path, options: RunOptions | None = None, reporter: Reporter | None = None) -> RunOutcome:
    """Run every cell of `suite` that has no score yet.

    Args:
        suite: a loaded suite, a file, or the name of a shipped one.
        options: where results go and what is run; the defaults of the command line where None.
        reporter: told of progress; nothing is shown where None.

    A cell that was to be run has a record of this run when it ends, whatever became of the processes that ran it.

    Raises:
        InputError: the suite has problems, or names no model or task.
        EnvironmentGapError: data, weights, a backend or the network is lacking and `available` is not set; nothing ran.
        KeyboardInterrupt: after the cell that was running was dropped; finished cells are kept.
    """
    options, reporter = options or RunOptions(), reporter or SilentReporter()
    execute, store = executor_of(options.executor), Store(options.results)
    suite = suite if isinstance(suite, Suite) else load_suite(suite).suite
    refuse_nothing(suite)
    plan = make_plan(suite, options.sources, models=options.models, tasks=options.tasks, limit=options.limit)
    if options.train:
        plan = trained(plan, options, store, reporter)
    plan = ready(plan, options, store, coming=failed_trainings(plan) if options.train else ())
    cells = [cell for cell in plan.cells if needs_work(cell, store) and cell.key is not None]
    if cells:
        note_run(plan, store)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        before = {str(cell): store.stamp(cell.task.name, cell.key) for cell in cells}
        damaged = {str(cell): damage(cell, store) for cell in cells}
        with told(reporter, cells, done=sum(is_finished(cell, store) for cell in plan.cells)):
            for line in foreseen(plan, cells):
                reporter.report(Remark(text=line))
            for name, why in damaged.items():
                if why is not None:
                    reporter.report(Remark(text=f"{name} is run again, since its files are damaged: {why}"))
            others = execute(plan, cells, options, reporter)
            left = [cell for cell in cells if store.stamp(cell.task.name, cell.key) == before[str(cell)]]
            lost = [cell for cell in left if str(cell) not in others]
            if lost:
                reporter.report(Remark(text=_record_lost(lost, plan, store, began=began)))
            if options.part:
                reporter.report(Remark(text=_left_to_others(options.part, len(left) - len(lost))))
    note_all_names(plan, store)
    return outcome_of(plan, store, ran=len(cells))


def _left_to_others(part: tuple[int, int], left: int) -> str:
    """Return what is not done when one part of a run has ended, and how it comes to be."""
    said = f"part {part[0]} of {part[1]} is done"
    if not left:
        return f"{said}, and all cells are"
    return (
        f"{said}; {left} cell(s) wait for other parts. When all have ended, the same command without --shard scores "
        "what is left (results in folders of their own: `harness merge` first)"
    )


def _record_lost(left: Sequence[Cell], plan: Plan, store: Store, *, began: str) -> str:
    """Make every cell that the executor left without a record of this run a failure; returns what to say of them."""
    for cell in left:
        store.put_failure(lost_record(cell, plan, "the executor ended and left no record of this cell", began))
    return f"{len(left)} cell(s) were left without a record: {first_few(map(str, left))}; the next run tries them again"
