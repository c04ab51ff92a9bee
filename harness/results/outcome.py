"""What is left to do of a plan, and what its results come to: scores, failures, exit code."""

from __future__ import annotations

from dataclasses import dataclass

from harness.candidates.candidate import MissingCandidate
from harness.errors import ExitCode, worst
from harness.plan.cells import Cell, Plan
from harness.results.damage import is_finished, read
from harness.results.prompts import under_main
from harness.results.records import Failure, Result
from harness.results.seeds import fold
from harness.results.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a run came to."""

    plan: Plan
    results: dict[str, Result]
    """str(cell) -> result, for every cell that has one."""
    exit_code: ExitCode
    ran: int
    """Cells that this run scored or saw fail."""


def needs_work(cell: Cell, store: Store) -> bool:
    """Whether a cell is applicable and has no score, or has lost a file of it."""
    return cell.state != "n/a" and not is_finished(cell, store)


def outcome_of(plan: Plan, store: Store, *, ran: int = 0) -> RunOutcome:
    """Read the plan's results, a model's seeds and prompts as one, and say which exit code they come to.

    Args:
        plan: as it was run, a candidate a seed.
        store: where its results are.
        ran: cells that were run just now.
    """
    results = stored_results(plan, store) | untrained_results(plan)
    codes: list[ExitCode] = []
    if any(isinstance(one, Failure) for one in results.values()):
        codes.append(ExitCode.CELLS_FAILED)
    if any(
        (cell.state == "missing" and str(cell) not in results) or (cell.state == "to run" and cell.key is None)
        for cell in plan.cells
    ):
        codes.append(ExitCode.ENVIRONMENT)
    plan, results = under_main(*fold(plan, results, store))
    return RunOutcome(plan=plan, results=results, exit_code=worst(codes), ran=ran)


def untrained_results(plan: Plan) -> dict[str, Result]:
    """Return str(cell) -> failure, for every cell whose model's training failed; it has no key, and is never stored."""
    reasons = {one.name: one.failure for one in plan.candidates if isinstance(one, MissingCandidate)}
    return {
        str(cell): Failure(
            key="",
            model=cell.model,
            axis=cell.task.axis,
            type=cell.task.type,
            task=cell.task.name,
            error="TrainingFailed",
            message=str(reason),
            traceback="",
        )
        for cell in plan.cells
        if cell.state == "missing" and (reason := reasons.get(cell.model)) is not None
    }


def stored_results(plan: Plan, store: Store) -> dict[str, Result]:
    """Return str(cell) -> score or failure, for every cell of the plan that has one."""
    found = {str(cell): read(cell, store) for cell in plan.cells}
    return {cell: result for cell, result in found.items() if result is not None}
