"""The means by type: bars in the page and in a picture, a table in report.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.plan.cells import PlannedTask
from harness.report.numbers import NOT_THERE, points, signed
from harness.report.pictures.data import Bar, Panel
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.records import Score
from harness.statistics.conventions import NORMAL_QUANTILE
from harness.summary.views import AxisSummary, Mean, Summary

LINK = Link("types", "By type", is_always_there=False)


def markdown(_report: Report) -> str:
    """Return nothing: report.md has the means of each axis in the verdict's part (`means`)."""
    return ""


def page(report: Report) -> dict[str, Any]:
    """Return the bars."""
    return {"panels": panels(report.summary)}


def means(summary: Summary, axis: AxisSummary) -> str:
    """Return the means of one axis as a Markdown table, a row a model."""
    header = ["model", "mean over tasks", "mean over types", "difference", *axis.by_type]
    return table(header, [_means_row(summary, axis, model) for model in axis.models])


def panels(summary: Summary) -> list[Panel]:
    """Return the bars of every type that has common tasks."""
    found = []
    for axis in summary.axes:
        for kind, means in axis.by_type.items():
            tasks = [task for task in summary.tasks if task.name in axis.common and task.type == kind]
            values = {model: mean.value for model, mean in means.items() if mean.value is not None}
            if values:
                found.append(_panel(summary, axis, kind, tasks, values))
    return found


def _means_row(summary: Summary, axis: AxisSummary, model: str) -> list[str]:
    is_baseline, delta = model == summary.baseline, axis.delta[model]
    return [
        f"**{model}**" if is_baseline else model,
        _with_n(axis.over_tasks[model], points),
        _with_n(axis.over_types[model], points),
        NOT_THERE if is_baseline or delta.value is None else _with_n(delta, signed),
        *(_with_n(of[model], points) for of in axis.by_type.values()),
    ]


def _with_n(mean: Mean, show: Callable[[float | None], str]) -> str:
    return f"{show(mean.value)} (n={mean.n})"


def _panel(
    summary: Summary, axis: AxisSummary, kind: str, tasks: Sequence[PlannedTask], values: Mapping[str, float]
) -> Panel:
    reaches = {model: _reach([summary.cells[model, task.name].score for task in tasks]) for model in values}
    theirs = [one.by_type[kind].value or 0.0 for one in summary.public if kind in one.by_type]
    lowest = min([0.0, *theirs] + [value - (reaches[model] or 0.0) for model, value in values.items()])
    highest = max([1.0, *theirs] + [value + (reaches[model] or 0.0) for model, value in values.items()])
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
                index=summary.models.index(model),
                is_baseline=model == summary.baseline,
                value=value,
                reach=reach,
                left=min(place(0.0), place(value)),
                width=abs(place(value) - place(0.0)),
                whisker=whisker,
                says=f"{model}: {value:.2f}" + (f" ± {reach:.2f}" if reach is not None else ""),
            )
        )
    if axis.axis == "embedding":
        bars += _published(summary, kind, place)
    return Panel(axis=axis.axis, type=kind, n=len(tasks), zero=place(0.0), bars=tuple(bars))


def _published(summary: Summary, kind: str, place: Callable[[float], float]) -> list[Bar]:
    """Return the bars of published models that have every task of the type, without intervals."""
    found = []
    for number, one in enumerate(summary.public):
        value = one.by_type[kind].value if kind in one.by_type else None
        if value is not None:
            found.append(
                Bar(
                    model=one.short_label,
                    index=len(summary.models) + number,
                    is_baseline=False,
                    value=value,
                    reach=None,
                    left=min(place(0.0), place(value)),
                    width=abs(place(value) - place(0.0)),
                    whisker=None,
                    says=f"{one.label}: {value:.2f}, no interval",
                    is_published=True,
                )
            )
    return found


def _reach(scores: Sequence[Score | None]) -> float | None:
    """Return half the 95 % interval of the mean of independent tasks; None where one has no standard error."""
    errors = [score.stderr if score else None for score in scores]
    if not errors or any(error is None for error in errors):
        return None
    squares = math.fsum(error * error for error in errors if error is not None)
    return NORMAL_QUANTILE * math.sqrt(squares) / len(errors)
