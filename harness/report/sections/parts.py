"""The parts of a task: CQADupstack's forums, MMLU's subjects, several subsets; told under it, folded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.plan.cells import PlannedTask
from harness.report.numbers import NOT_THERE, figure
from harness.report.tables import folded, table
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.summary.views import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One part of a task."""

    name: str
    """Of the part; a split and subset where the task is one with several of these."""
    values: tuple[str, ...]
    """Its main metric, a model each; `-` where a model has none."""


def part_rows(scores: Sequence[Score | None]) -> tuple[PartRow, ...]:
    """Return the parts of a task by its models' scores, in the order of the engine; empty for a task in one piece."""
    each = [{} if score is None else _values(score) for score in scores]
    names = list(dict.fromkeys(name for values in each for name in values))
    if len(names) < 2:
        return ()
    return tuple(PartRow(name=name, values=tuple(values.get(name, NOT_THERE) for values in each)) for name in names)


def section(summary: Summary, tasks: Sequence[PlannedTask]) -> list[str]:
    """Return a folded Markdown table for each task that has parts."""
    found = []
    for task in tasks:
        rows = part_rows([summary.cells[model, task.name].score for model in summary.models])
        if rows:
            shown = table(["part", *summary.models], [[one.name, *one.values] for one in rows])
            found.append(folded(f"{task.label}: its {len(rows)} parts", shown, rows=len(rows), most=0))
    return found


def _values(score: Score) -> dict[str, str]:
    """Return part -> its main metric; those of the whole are left out."""
    chosen = (facts_of(score).ability.get("settings") or {}).get("filter")
    main = [
        one
        for one in score.metrics
        if one.name == score.metric and one.unit == score.unit and (one.filter or "none") == (chosen or "none")
    ]
    in_parts = [one for one in main if one.part is not None]
    if in_parts:
        return {str(one.part): figure(one.value, one.unit) for one in in_parts}
    where = {(one.split, one.subset): figure(one.value, one.unit) for one in main}
    splits = {split for split, _ in where}
    return {subset if len(splits) == 1 else f"{split}/{subset}": value for (split, subset), value in where.items()}
