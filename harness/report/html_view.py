"""What the HTML page shows, as plain data for its templates: a pure function of the `Report`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.paired import NORMAL_QUANTILE, Difference
from harness.plan import PlannedTask
from harness.report import ability
from harness.report.charts import Estimate, Point
from harness.report.contamination import Mark
from harness.report.markdown import seeds_note
from harness.report.paired_table import probability
from harness.report.table import AxisSummary, CellView, Report, Standing, ordered_types
from harness.results import Score, Unit
from harness.retention import SAME_MODEL, AxisRetention, Verdict

AXIS_NAMES = {"embedding": "embedding", "ability": "general ability"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisLine:
    """One model on one axis."""

    axis: str
    mean: float | None
    n: int
    """Tasks in the mean."""
    difference: Difference | None
    """To the baseline; None for the baseline itself or without common tasks."""
    ahead: int = 0
    behind: int = 0
    undecided: int = 0
    reason: str | None = None
    """Why there is no mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model: the sentence a reader came for, and what stands behind it."""

    model: str
    index: int
    is_baseline: bool
    note: str | None
    sentence: str
    verdict: Verdict | None
    """On general ability; None for the baseline and for models without ability scores."""
    lines: tuple[AxisLine, ...]
    badges: tuple[tuple[str, str], ...]
    """(kind, text): what to know before believing it."""


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


def cards(report: Report, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> list[Card]:
    """Return a card a model, in the order of the suite."""
    return [_card(report, model, index, marks) for index, model in enumerate(report.models)]


def points_of(found: Sequence[Card]) -> list[Point]:
    """Return the models that have an embedding difference (or are the baseline) for the trade-off picture."""
    points = []
    for card in found:
        on = {line.axis: line for line in card.lines}
        embedding, other = on.get("embedding"), on.get("ability")
        if card.is_baseline:
            has_ability = other is not None and other.mean is not None
            zero = Estimate(value=0.0)
            points.append(
                Point(name=card.model, index=card.index, x=zero, y=zero if has_ability else None, is_baseline=True)
            )
        elif embedding is not None and embedding.difference is not None:
            y = _estimate(other.difference) if other is not None and other.difference is not None else None
            points.append(Point(name=card.model, index=card.index, x=_estimate(embedding.difference), y=y))
    return points


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


def figures(value: float, low: float | None, high: float | None, unit: Unit = "points", *, sign: bool = True) -> str:
    """Return `+1.23 [0.45, 2.01]`."""
    head = f"{'+' if sign and value >= 0 else ''}{ability.figure(value, unit)}"
    if low is None or high is None:
        return head
    return f"{head} [{ability.figure(low, unit)}, {ability.figure(high, unit)}]"


def _card(report: Report, model: str, index: int, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> Card:
    lines = tuple(_axis_line(report, axis, model) for axis in report.axes)
    is_baseline = model == report.baseline
    kept = next((one for one in report.retention if one.model == model), None)
    candidate = report.candidates.get(model)
    return Card(
        model=model,
        index=index,
        is_baseline=is_baseline,
        note=candidate.note if candidate else None,
        sentence=_baseline_sentence(lines) if is_baseline else _sentence(lines, kept),
        verdict=kept.verdict if kept else None,
        lines=lines,
        badges=_badges(report, model, marks),
    )


def _axis_line(report: Report, axis: AxisSummary, model: str) -> AxisLine:
    standing: Standing | None = next((one for one in axis.standings if one.model == model), None)
    if standing is None:
        views = [report.cells[model, task] for task in axis.tasks]
        states = {view.status for view in views}
        reason = (
            "not applicable: it has no language model"
            if states == {"n/a"}
            else "no scores"
            if model not in axis.models
            else "no task that every model has a score for"
        )
        return AxisLine(axis=axis.axis, mean=None, n=0, difference=None, reason=reason)
    return AxisLine(
        axis=axis.axis,
        mean=standing.mean,
        n=len(axis.common),
        difference=standing.to_baseline,
        ahead=standing.ahead,
        behind=standing.behind,
        undecided=standing.undecided,
    )


def _baseline_sentence(lines: Sequence[AxisLine]) -> str:
    said = [
        f"{line.mean:.2f} points over {line.n} {AXIS_NAMES[line.axis]} task{'s' if line.n != 1 else ''}"
        for line in lines
        if line.mean is not None
    ]
    return f"The baseline: {' and '.join(said)}." if said else "The baseline; it has no scores yet."


def _sentence(lines: Sequence[AxisLine], kept: AxisRetention | None) -> str:
    """Return what became of a model on each axis, with how sure that is."""
    said = []
    for line in lines:
        name = AXIS_NAMES[line.axis]
        if line.axis == "ability" and kept is not None:
            said.append(_retention(kept))
        elif line.mean is None:
            said.append(f"{name}: {line.reason}")
        elif line.difference is not None and line.difference.is_same_record:
            said.append(f"{name}: the same record as the baseline")
        elif line.difference is None:
            said.append(f"{name}: {line.mean:.2f} points, with no baseline score to compare with")
        else:
            said.append(_change(name, line.difference))
    text = "; ".join(said)
    return (text[:1].upper() + text[1:] + ".") if text else "No scores."


def _retention(kept: AxisRetention) -> str:
    """Return the verdict with the change and what is excluded."""
    if kept.verdict == SAME_MODEL:
        return "general ability: the same language model as the baseline, measured once"
    if kept.loss is None or kept.upper is None:
        return f"general ability {kept.verdict}"
    change = f"{0.0 - kept.loss:+.2f} points, a loss above {kept.upper:.2f} is excluded, the margin is {kept.margin:g}"
    return f"general ability {kept.verdict} ({change})"


def _change(name: str, difference: Difference) -> str:
    size = figures(difference.value, difference.low, difference.high)
    if difference.low is None or difference.high is None:
        return f"{name} changed by {size} points, how surely cannot be said"
    if not difference.is_clear:
        return f"no clear change on {name}: {size} points"
    low, high = sorted((abs(difference.low), abs(difference.high)))
    verb = "gained" if difference.value > 0 else "lost"
    return f"{verb} {figures(abs(difference.value), low, high, sign=False)} points on {name}"


def _badges(report: Report, model: str, marks: Mapping[tuple[str, str], Sequence[Mark]]) -> tuple[tuple[str, str], ...]:
    views = [view for (name, _), view in report.cells.items() if name == model]
    counts = {status: sum(view.status == status for view in views) for status in ("error", "missing")}
    marked = {task for (name, task) in marks if name == model}
    badges = []
    if counts["error"]:
        badges.append(("bad", f"{counts['error']} failed"))
    if counts["missing"]:
        badges.append(("warn", f"{counts['missing']} missing"))
    if marked:
        badges.append(("warn", f"saw data of {len(marked)} task{'s' if len(marked) != 1 else ''}"))
    return tuple(badges)


def _estimate(difference: Difference) -> Estimate:
    return Estimate(value=difference.value, low=difference.low, high=difference.high)


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
