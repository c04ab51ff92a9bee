"""Bars of the means by type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.plan.cells import PlannedTask
from harness.report.pictures.data import Bar, Panel
from harness.results.records import Score
from harness.statistics.conventions import NORMAL_QUANTILE
from harness.summary.views import AxisSummary, Summary


def panels(report: Summary) -> list[Panel]:
    """Return the bars of every type that has common tasks."""
    found = []
    for axis in report.axes:
        for kind, means in axis.by_type.items():
            tasks = [task for task in report.tasks if task.name in axis.common and task.type == kind]
            values = {model: mean.value for model, mean in means.items() if mean.value is not None}
            if values:
                found.append(_panel(report, axis, kind, tasks, values))
    return found


def _panel(
    report: Summary, axis: AxisSummary, kind: str, tasks: Sequence[PlannedTask], values: Mapping[str, float]
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
