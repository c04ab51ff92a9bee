"""Every score, a row a task and a column a model, with its difference to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.plan.cells import PlannedTask
from harness.report.numbers import (
    COULD_SHOW,
    COULD_SHOW_LEGEND,
    NOT_THERE,
    SAME_RECORD,
    UNIT_NAMES,
    between,
    could_show,
    figure,
    figures,
    interval_text,
    probability,
    prompts_note,
    seeds_note,
)
from harness.report.sections import ability, contamination, differences, parts
from harness.report.sections.contamination import Mark
from harness.report.sections.parts import PartRow, part_rows
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.results.records import Score, Unit
from harness.statistics.difference import Difference
from harness.summary.views import AXES, AxisSummary, CellView, Summary, ordered_types
from harness.tasks.types import UNITS, Axis

LINK = Link("tasks", "By task")
AXIS_TITLES: Mapping[Axis, str] = {"embedding": "Embedding", "ability": "General ability"}
MOST_WITH_INTERVALS = 3
"""Models whose intervals stand in report.md's table; of more it would be wider than a page."""
LEGEND = "Score in points [95% interval] (paired difference to the baseline [95% interval]); - missing; n/a."
SHORT_LEGEND = (
    "Score in points; \u25b2 \u25bc: the 95% interval of the paired difference to the baseline lies above, below 0; "
    "- missing; n/a. The interval of every score: index.html, scores.csv; of every difference: below."
)
Direction = Literal["up", "down", ""]
SIGNS: Mapping[Direction, str] = {"up": " \u25b2", "down": " \u25bc", "": ""}
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
    direction: Direction = ""
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
    items: str
    """The same as it is shown: `40 of 100` where the data are of another size than the benchmark's own."""
    limit: int | None
    cells: tuple[TaskCell, ...]
    parts: tuple[PartRow, ...]
    """What it is made of; empty for a task in one piece."""


def markdown(report: Report) -> str:
    """Return the table of each axis with scores and their legend, then every difference."""
    summary = report.summary
    scored = [axis for axis in summary.axes if axis.models]
    blocks = ["## By task"] if scored else []
    for axis in scored:
        blocks += [f"### {AXIS_TITLES[axis.axis]}"] if len(scored) > 1 else []
        blocks += by_task(summary, axis)
    return "\n\n".join([*blocks, *(differences.section(summary) if scored else ())])


def page(report: Report) -> dict[str, Any]:
    """Return the rows, and what the legend counts."""
    summary = report.summary
    differences = summary.differences.values()
    return {
        "rows": task_rows(summary, contamination.marks_by_cell(contamination.records(summary))),
        "types": ordered_types(summary.tasks),
        "units": units_of(summary.tasks),
        "could_show_legend": COULD_SHOW_LEGEND,
        "tested": sum(one.p_value is not None for one in differences),
        "has_shared": any(one.is_same_record for one in differences),
    }


def by_task(summary: Summary, axis: AxisSummary) -> list[str]:
    """Return the table of one axis as Markdown blocks, with its legend and the parts of its tasks, folded."""
    tasks = [task for task in summary.tasks if task.axis == axis.axis]
    is_narrow = len(summary.models) <= MOST_WITH_INTERVALS
    cell = _cell if is_narrow else _short_cell
    header = ["type", "task", "metric", "items", *summary.models]
    ordered = [task for kind in ordered_types(tasks) for task in tasks if task.type == kind]
    rows = []
    for task in ordered:
        views = [summary.cells[model, task.name] for model in summary.models]
        shown = [cell(summary, view) for view in views]
        metric = _metric_name(views) + ("" if is_narrow else _chances_of(views))
        rows.append([task.type, _named(task), metric, _items(views), *shown])
    legend = LEGEND if is_narrow else SHORT_LEGEND
    if units := units_of(tasks):
        legend += f" Intervals: over items, which are for {units}."
    return [table(header, rows), legend, *parts.section(summary, ordered)]


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


def _items(views: Sequence[CellView]) -> str:
    """Return how many items a task is scored on, `40 of 100` where the benchmark's own data have another number."""
    scores = [view.score for view in views if view.score]
    if not scores:
        return NOT_THERE
    most = max(scores, key=lambda score: score.n)
    both = list(facts_of(most).off_count.values())
    of = f" of {sum(known for _, known in both):,}" if both and most.limit is None else ""
    here = sum(here for here, _ in both) if of else most.n
    return f"{here:,}{of}"


def _short_cell(summary: Summary, view: CellView) -> str:
    """Return the score alone, with the direction of a clear difference."""
    score = view.score
    if score is None:
        return view.status if view.status in ("error", "n/a") else NOT_THERE
    below = ability.BELOW if facts_of(score).ability.get("is_below_chance") else ""
    difference = summary.differences.get((view.cell.model, view.cell.task.name))
    sign = f" ({SAME_RECORD})" if difference and difference.is_same_record else SIGNS[_direction(score, difference)]
    return f"{figure(score.score, score.unit)}{below}{sign}"


def _direction(score: Score, difference: Difference | None) -> Direction:
    """Return where a model's difference to the baseline lies, where its interval does not cover 0."""
    if difference is None or not difference.is_clear:
        return ""
    return "up" if (difference.value > 0) != score.lower_is_better else "down"


def _named(task: PlannedTask) -> str:
    return f"{task.label} (limit {task.limit})" if task.limit else task.label


def _metric_name(views: Sequence[CellView]) -> str:
    """Return what a task is scored by, with its unit where that is not points."""
    name = views[0].cell.task.info.main_score if views else ""
    return name + _unit_names([view.score for view in views if view.score])


def _chances_of(views: Sequence[CellView]) -> str:
    """Return what a guess would have, where a table has no room for it in each cell; empty where it is not known."""
    notes = [ability.chance_note(view.score).removesuffix(ability.BELOW) for view in views if view.score]
    return "".join(dict.fromkeys(notes))


def _unit_names(scores: Sequence[Score]) -> str:
    units = {UNIT_NAMES[score.unit] for score in scores} - {""}
    return f" ({', '.join(sorted(units))})" if units else ""


def _cell(summary: Summary, view: CellView) -> str:
    score = view.score
    if score is None:
        return view.status if view.status in ("error", "n/a") else NOT_THERE
    text = f"{figure(score.score, score.unit)} {between(score.ci_low, score.ci_high, score.unit)}".rstrip()
    text += ability.chance_note(score) + seeds_note(score) + prompts_note(score)
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
        items=_items(views),
        limit=task.limit,
        cells=tuple(_task_cell(summary, view, marks) for view in views),
        parts=part_rows([view.score for view in views]),
    )


def _task_cell(summary: Summary, view: CellView, marks: Marks) -> TaskCell:
    place = (view.cell.model, view.cell.task.name)
    score, difference = view.score, summary.differences.get(place)
    if score is None:
        shown = view.status if view.status in ("error", "n/a") else NOT_THERE
        remark = view.failure.message.splitlines()[0] if view.failure and view.failure.message else view.reason or ""
        return TaskCell(status=view.status, sort=None, score=shown, remark=remark)
    return TaskCell(
        status="ok",
        sort=score.score,
        score=figure(score.score, score.unit),
        interval=between(score.ci_low, score.ci_high, score.unit),
        difference=_shown(difference, score.unit),
        chances=_chances(difference, score.unit),
        direction=_direction(score, difference),
        remark=(ability.chance_note(score) + seeds_note(score) + prompts_note(score)).removeprefix(" / ").strip(),
        marks=tuple(marks.get(place, ())),
    )


def _shown(difference: Difference | None, unit: Unit) -> str:
    if difference is None:
        return ""
    if difference.is_same_record:
        return SAME_RECORD
    return figures(difference.value, difference.low, difference.high, unit)


def _chances(difference: Difference | None, unit: Unit) -> str:
    if difference is None or difference.p_value is None:
        return ""
    said = f"p {probability(difference.p_value)}"
    said += "" if difference.q_value is None else f", q {probability(difference.q_value)}"
    least = could_show(difference, unit)
    return said if least == NOT_THERE else f"{said}, {COULD_SHOW} {least}"
