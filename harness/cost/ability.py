"""What a cell of the ability axis asks of the model, from prompt facts and the task's settings: pure.

Tokens in are those really computed: rows that begin alike share one forward pass over the beginning, as
`backends/lm_eval/prefixes.py` has it, so MMLU's five examples count once a subject. A chat template's own few tokens a
turn are not counted.
"""

from __future__ import annotations

from harness.cost.own_prompts import own_work
from harness.cost.prompt_facts import mean_of, shipped
from harness.cost.work import AbilityWork, Habits, pile_of
from harness.plan.cells import PlannedTask
from harness.suite.task_entries import FileRef, NllRef


def work_of(task: PlannedTask, habits: Habits) -> AbilityWork:
    """Return what a cell computes; `task` has the settings of the cell's model."""
    if isinstance(task.ability, FileRef | NllRef):
        return own_work(task, habits)
    measured = shipped().tasks.get(task.name)
    if not measured:
        return AbilityWork(piles=(), note="lengths unknown: no copy of its data was measured")
    unmeasured = [part for part in task.subsets if part not in measured]
    mean = mean_of(list(measured.values()))
    piles = []
    for part in task.subsets:
        items = _items(task, part)
        if items is None:
            return AbilityWork(piles=(), note=f"the number of items of {part} is unknown")
        piles.append(pile_of(measured.get(part, mean), items, task.asked, habits))
    note = None
    if unmeasured:
        note = f"{len(unmeasured)} of {len(task.subsets)} parts assumed: the mean of the {len(measured)} measured"
    return AbilityWork(piles=tuple(piles), note=note)


def _items(task: PlannedTask, part: str) -> int | None:
    counts = [task.info.counts.get(split, {}).get(part) for split in task.splits]
    known = [one.items for one in counts if one is not None]
    if len(known) < len(counts):
        return None
    return min(sum(known), task.limit) if task.limit else sum(known)
