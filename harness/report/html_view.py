"""What the HTML page shows, as plain data for its templates: a pure function of the `Report`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.paired import NORMAL_QUANTILE, Difference
from harness.plan import PlannedTask
from harness.report import ability
from harness.report.cards import figures
from harness.report.contamination import Mark
from harness.report.markdown import seeds_note
from harness.report.paired_table import probability
from harness.report.table import AxisSummary, CellView, Report, ordered_types
from harness.results import Score, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One model's mean over the common tasks of a type, in points."""

    model: str
    index: int
    is_baseline: bool
    value: float
    reach: float | None
    """Half its 95 % interval, in points."""
    left: float
    """Of the bar, in per cent of its track."""
    width: float
    whisker: tuple[float, float] | None
    """Left end and width of the 95 % interval, in per cent; None where a task has no interval."""
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The bars of one type."""

    axis: str
    type: str
    n: int
    """Tasks that every model has."""
    zero: float
    """Where 0 lies on the track, in per cent."""
    bars: tuple[Bar, ...]


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


def panels(report: Report) -> list[Panel]:
    """Return the bars of every type that has common tasks."""
    found = []
    for axis in report.axes:
        for kind, means in axis.by_type.items():
            tasks = [task for task in report.tasks if task.name in axis.common and task.type == kind]
            values = {model: mean.value for model, mean in means.items() if mean.value is not None}
            if values:
                found.append(_panel(report, axis, kind, tasks, values))
    return found


def task_rows(report: Report, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> list[TaskRow]:
    """Return a row a task, embedding first, types in MTEB's order."""
    rows = []
    for axis in ("embedding", "ability"):
        tasks = [task for task in report.tasks if task.axis == axis]
        for kind in ordered_types(tasks):
            rows += [_task_row(report, task, marks) for task in tasks if task.type == kind]
    return rows


def problems(report: Report) -> Problems:
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


def _panel(
    report: Report, axis: AxisSummary, kind: str, tasks: Sequence[PlannedTask], values: Mapping[str, float]
) -> Panel:
    reaches = {model: _reach([report.cells[model, task.name].score for task in tasks]) for model in values}
    lowest = min([0.0] + [value - (reaches[model] or 0.0) for model, value in values.items()])
    highest = max([1.0] + [value + (reaches[model] or 0.0) for model, value in values.items()])
    top = min(100.0, math.ceil(highest / 10) * 10)
    low = math.floor(lowest / 10) * 10 if lowest < 0 else 0.0

    def place(value: float) -> float:
        return 100 * (min(max(value, low), top) - low) / (top - low)

    bars = []
    for model, value in values.items():
        reach = reaches[model]
        whisker = None if reach is None else (place(value - reach), place(value + reach) - place(value - reach))
        bars.append(
            Bar(
                model=model,
                index=report.models.index(model),
                is_baseline=model == report.baseline,
                value=value,
                reach=reach,
                left=min(place(0.0), place(value)),
                width=abs(place(value) - place(0.0)),
                whisker=whisker,
                says=f"{model}: {value:.2f}" + (f" ± {reach:.2f}" if reach is not None else ""),
            )
        )
    return Panel(axis=axis.axis, type=kind, n=len(tasks), zero=place(0.0), bars=tuple(bars))


def _reach(scores: Sequence[Score | None]) -> float | None:
    """Return half the 95 % interval of the mean of independent tasks; None where one has no standard error."""
    errors = [score.stderr if score else None for score in scores]
    if not errors or any(error is None for error in errors):
        return None
    squares = math.fsum(error * error for error in errors if error is not None)
    return NORMAL_QUANTILE * math.sqrt(squares) / len(errors)


def _task_row(report: Report, task: PlannedTask, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> TaskRow:
    views = [report.cells[model, task.name] for model in report.models]
    scores = [view.score for view in views if view.score]
    metrics = {score.metric for score in scores} or {task.info.main_score}
    units = {ability.UNIT_NAMES[score.unit] for score in scores} - {""}
    return TaskRow(
        name=task.label,
        axis=task.axis,
        type=task.type,
        metric=", ".join(sorted(metrics)) + (f" ({', '.join(sorted(units))})" if units else ""),
        n=max((score.n for score in scores), default=None),
        limit=task.limit,
        cells=tuple(_task_cell(report, view, marks) for view in views),
    )


def _task_cell(report: Report, view: CellView, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> TaskCell:
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
        interval = f"[{ability.figure(score.ci_low, score.unit)}, {ability.figure(score.ci_high, score.unit)}]"
    better = difference is not None and (difference.value > 0) != score.lower_is_better
    return TaskCell(
        status="ok",
        sort=score.score,
        score=ability.figure(score.score, score.unit),
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
        return ability.SAME_RECORD
    return figures(difference.value, difference.low, difference.high, unit)


def _chances(difference: Difference | None) -> str:
    if difference is None or difference.p_value is None:
        return ""
    said = f"p {probability(difference.p_value)}"
    return said if difference.q_value is None else f"{said}, q {probability(difference.q_value)}"
