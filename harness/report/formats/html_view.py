"""What the HTML page shows, as plain data for its templates: a pure function of the `Report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.plan.cells import PlannedTask
from harness.report.numbers import SAME_RECORD, UNIT_NAMES, figure, figures, probability, seeds_note
from harness.report.sections import ability
from harness.report.sections.contamination import Mark
from harness.results.records import Unit
from harness.statistics.difference import Difference
from harness.summary.views import CellView, Summary, ordered_types


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCell:
    """One cell of the large table."""

    status: str
    sort: float | None
    """The score, for sorting."""
    score: str
    interval: str
    difference: str
    chances: str
    """`p 0.0312, q 0.0450`; empty where nothing was tested."""
    direction: str
    """up, down, or empty where the interval of the difference covers 0."""
    remark: str
    """Why there is no score."""
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task."""

    name: str
    axis: str
    type: str
    metric: str
    n: int | None
    limit: int | None
    cells: tuple[TaskCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """What went wrong or is not there."""

    errors: tuple[CellView, ...]
    missing: tuple[tuple[str, tuple[str, ...]], ...]
    """(reason, cells)."""
    unverified: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def task_rows(report: Summary, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> list[TaskRow]:
    """Return a row a task, embedding first, types in MTEB's order."""
    rows = []
    for axis in ("embedding", "ability"):
        tasks = [task for task in report.tasks if task.axis == axis]
        for kind in ordered_types(tasks):
            rows += [_task_row(report, task, marks) for task in tasks if task.type == kind]
    return rows


def problems(report: Summary) -> Problems:
    """Return errors, missing cells by reason, unverified sources and remarks."""
    missing: dict[str, list[str]] = {}
    for view in report.cells.values():
        if view.status == "missing":
            missing.setdefault(view.reason or "", []).append(str(view.cell))
    return Problems(
        errors=tuple(view for view in report.cells.values() if view.failure is not None),
        missing=tuple((reason, tuple(cells)) for reason, cells in missing.items()),
        unverified=report.unverified,
        warnings=report.warnings,
    )


def _task_row(report: Summary, task: PlannedTask, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> TaskRow:
    views = [report.cells[model, task.name] for model in report.models]
    scores = [view.score for view in views if view.score]
    metrics = {score.metric for score in scores} or {task.info.main_score}
    units = {UNIT_NAMES[score.unit] for score in scores} - {""}
    return TaskRow(
        name=task.label,
        axis=task.axis,
        type=task.type,
        metric=", ".join(sorted(metrics)) + (f" ({', '.join(sorted(units))})" if units else ""),
        n=max((score.n for score in scores), default=None),
        limit=task.limit,
        cells=tuple(_task_cell(report, view, marks) for view in views),
    )


def _task_cell(report: Summary, view: CellView, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> TaskCell:
    place = (view.cell.model, view.cell.task.name)
    score, difference = view.score, report.differences.get(place)
    if score is None:
        remark = view.failure.message.splitlines()[0] if view.failure and view.failure.message else view.reason or ""
        return TaskCell(
            status=view.status,
            sort=None,
            score={"error": "error", "n/a": "n/a"}.get(view.status, "-"),
            interval="",
            difference="",
            chances="",
            direction="",
            remark=remark,
            marks=(),
        )
    interval = ""
    if score.ci_low is not None and score.ci_high is not None:
        interval = f"[{figure(score.ci_low, score.unit)}, {figure(score.ci_high, score.unit)}]"
    better = difference is not None and (difference.value > 0) != score.lower_is_better
    return TaskCell(
        status="ok",
        sort=score.score,
        score=figure(score.score, score.unit),
        interval=interval,
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
