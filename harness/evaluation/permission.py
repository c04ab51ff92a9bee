"""Cells that run model-written programs: whether the suite allows it, and whether there is a sandbox for them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from harness import sandbox
from harness.plan.cells import Plan
from harness.results.damage import is_finished
from harness.results.store import Store
from harness.suite.task_entries import CodeRef
from harness.tasks.humaneval import ALLOW


class Withheld(NamedTuple):
    """Why the cells of a task that runs model-written programs are not run."""

    task: str
    reason: str
    is_forbidden: bool
    """True: the suite does not allow it; False: there is no sandbox."""


def withheld(plan: Plan, store: Store) -> list[Withheld]:
    """Return the tasks with cells to run that the suite does not allow or no sandbox protects."""
    wanting = {
        cell.task.name: cell.task
        for cell in plan.cells
        if cell.task.runs_code and cell.state == "to run" and not is_finished(cell, store)
    }
    found = []
    for name, task in wanting.items():
        if not isinstance(task.ability, CodeRef) or not task.ability.allow_code_execution:
            reason = (
                f"it runs programs that the model writes, and the suite does not allow that: write `{ALLOW}: true` "
                "beside its name (they run in a bubblewrap sandbox, docs/sandbox.md), or leave it out with --tasks"
            )
            found.append(Withheld(name, reason, is_forbidden=True))
        elif (missing := sandbox.available()) is not None:
            found.append(Withheld(name, f"no sandbox for model-written programs: {missing}", is_forbidden=False))
    return found


def without(plan: Plan, kept_back: list[Withheld]) -> Plan:
    """Return the plan with the cells of those tasks missing, and why."""
    reasons = {one.task: one.reason for one in kept_back}
    cells = tuple(
        replace(cell, state="missing", key=None, reason=reasons[cell.task.name])
        if cell.state == "to run" and cell.task.name in reasons
        else cell
        for cell in plan.cells
    )
    return replace(plan, cells=cells)
