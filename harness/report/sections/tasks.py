"""Every score, a row a task and a column a model, with its difference to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.plan.cells import PlannedTask
from harness.report.numbers import (
    NOT_THERE,
    SAME_RECORD,
    UNIT_NAMES,
    between,
    figure,
    figures,
    interval_text,
    probability,
    seeds_note,
)
from harness.report.sections import ability, contamination
from harness.report.sections.contamination import Mark
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.records import Score, Unit
from harness.statistics.difference import Difference
from harness.summary.views import AXES, AxisSummary, CellView, Summary, ordered_types
from harness.tasks.types import UNITS

LINK = Link("tasks", "By task")
Marks = Mapping[tuple[str, str], Sequence[Mark]]
"""(model, task) -> what of the task's data the model has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCell:
    """One cell of the page's table."""

    status: str
    sort: float | None
    """The score, for sorting."""
    score: str
    interval: str = ""
    difference: str = ""
    chances: str = ""
    """`p 0.0312, q 0.0450`; empty where nothing was tested."""
    direction: str = ""
    """up, down, or empty where the interval of the difference covers 0."""
    remark: str
    """Why there is no score, or what stands beside it."""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task in the page."""

    name: str
    axis: str
    type: str
    metric: str
    n: int | None
    limit: int | None
    cells: tuple[TaskCell, ...]


def markdown(_report: Report) -> str:
    """Return nothing: report.md has the table of each axis in the verdict's part (`by_task`)."""
    return ""


def page(report: Report) -> dict[str, Any]:
    """Return the rows, and what the legend counts."""
    summary = report.summary
    differences = summary.differences.values()
    return {
        "rows": task_rows(summary, contamination.marks_by_cell(contamination.records(summary))),
        "types": ordered_types(summary.tasks),
        "units": units_of(summary.tasks),
        "tested": sum(one.p_value is not None for one in differences),
        "has_shared": any(one.is_same_record for one in differences),
    }


def by_task(summary: Summary, axis: AxisSummary) -> str:
    """Return the table of one axis as Markdown, with its legend."""
    tasks = [task for task in summary.tasks if task.axis == axis.axis]
    header = ["type", "task", "metric", *summary.models]
    rows = [
        [kind, _named(task), _metric_name(views), *(_cell(summary, view) for view in views)]
        for kind in ordered_types(tasks)
        for task in tasks
        if task.type == kind
        for views in [[summary.cells[model, task.name] for model in summary.models]]
    ]
    legend = "Score in points [95% interval] (paired difference to the baseline [95% interval]); - missing; n/a."
    if units := units_of(tasks):
        legend += f" Intervals: over items, which are for {units}."
    return f"{table(header, rows)}\n\n{legend}"


def units_of(tasks: Sequence[PlannedTask]) -> str:
    """Return what is resampled in each type, `STS: pairs; ...`; empty for types that say nothing."""
    return "; ".join(f"{kind}: {UNITS[kind]}" for kind in ordered_types(tasks) if kind in UNITS)


def task_rows(summary: Summary, marks: Marks) -> list[TaskRow]:
    """Return the page's row of every task, embedding first, types in MTEB's order."""
    rows = []
    for axis in AXES:
        tasks = [task for task in summary.tasks if task.axis == axis]
        for kind in ordered_types(tasks):
            rows += [_task_row(summary, task, marks) for task in tasks if task.type == kind]
    return rows


def _named(task: PlannedTask) -> str:
    return f"{task.label} (limit {task.limit})" if task.limit else task.label


def _metric_name(views: Sequence[CellView]) -> str:
    """Return what a task is scored by, with its unit where that is not points."""
    name = views[0].cell.task.info.main_score if views else ""
    return name + _unit_names([view.score for view in views if view.score])


def _unit_names(scores: Sequence[Score]) -> str:
    units = {UNIT_NAMES[score.unit] for score in scores} - {""}
    return f" ({', '.join(sorted(units))})" if units else ""


def _cell(summary: Summary, view: CellView) -> str:
    score = view.score
    if score is None:
        return view.status if view.status in ("error", "n/a") else NOT_THERE
    text = f"{figure(score.score, score.unit)} {between(score.ci_low, score.ci_high, score.unit)}".rstrip()
    text += ability.chance_note(score) + seeds_note(score)
    difference = summary.differences.get((view.cell.model, view.cell.task.name))
    return f"{text} ({interval_text(difference, unit=score.unit)})" if difference else text


def _task_row(summary: Summary, task: PlannedTask, marks: Marks) -> TaskRow:
    views = [summary.cells[model, task.name] for model in summary.models]
    scores = [view.score for view in views if view.score]
    metrics = {score.metric for score in scores} or {task.info.main_score}
    return TaskRow(
        name=task.label,
        axis=task.axis,
        type=task.type,
        metric=", ".join(sorted(metrics)) + _unit_names(scores),
        n=max((score.n for score in scores), default=None),
        limit=task.limit,
        cells=tuple(_task_cell(summary, view, marks) for view in views),
    )


def _task_cell(summary: Summary, view: CellView, marks: Marks) -> TaskCell:
    place = (view.cell.model, view.cell.task.name)
    score, difference = view.score, summary.differences.get(place)
    if score is None:
        shown = view.status if view.status in ("error", "n/a") else NOT_THERE
        remark = view.failure.message.splitlines()[0] if view.failure and view.failure.message else view.reason or ""
        return TaskCell(status=view.status, sort=None, score=shown, remark=remark)
    better = difference is not None and (difference.value > 0) != score.lower_is_better
    return TaskCell(
        status="ok",
        sort=score.score,
        score=figure(score.score, score.unit),
        interval=between(score.ci_low, score.ci_high, score.unit),
        difference=_shown(difference, score.unit),
        chances=_chances(difference),
        direction=("up" if better else "down") if difference and difference.is_clear else "",
        remark=(ability.chance_note(score) + seeds_note(score)).removeprefix(" / ").strip(),
        marks=tuple(marks.get(place, ())),
    )


def _shown(difference: Difference | None, unit: Unit) -> str:
    if difference is None:
        return ""
    if difference.is_same_record:
        return SAME_RECORD
    return figures(difference.value, difference.low, difference.high, unit)


def _chances(difference: Difference | None) -> str:
    if difference is None or difference.p_value is None:
        return ""
    said = f"p {probability(difference.p_value)}"
    return said if difference.q_value is None else f"{said}, q {probability(difference.q_value)}"
