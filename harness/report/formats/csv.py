"""`scores.csv` (one row a cell) and `metrics.csv` (every other metric): no clock, host or cost in them.

Points have two decimals; what is in nats (`nll`, `gold_nll`: lower is better) or in a task's own unit has four.
"""

from __future__ import annotations

import math

from harness.report.numbers import DIGITS
from harness.report.tables import csv_text
from harness.results.records import Unit
from harness.summary.views import CellView, Summary

SCORES_HEADER = (
    "model", "axis", "type", "task", "metric", "score", "stderr", "ci_low", "ci_high", "n", "limit", "status", "key",
)  # fmt: skip
METRICS_HEADER = ("model", "axis", "type", "task", "part", "split", "subset", "metric", "filter", "value", "key")


def scores_csv(summary: Summary) -> str:
    """Return a row for every cell of the plan, in its order."""
    return csv_text(SCORES_HEADER, [_score_row(view) for view in summary.cells.values()])


def metrics_csv(summary: Summary) -> str:
    """Return a row for every metric of every finished cell."""
    rows: list[list[object]] = []
    for view in summary.cells.values():
        if view.score is None:
            continue
        head = [view.cell.model, view.cell.task.axis, view.cell.task.type, view.cell.task.label]
        rows += [
            [
                *head,
                one.part or "",
                one.split,
                one.subset,
                one.name,
                one.filter or "",
                _points(one.value, one.unit),
                view.cell.key,
            ]
            for one in view.score.metrics
        ]
    return csv_text(METRICS_HEADER, rows)


def _score_row(view: CellView) -> list[object]:
    task, score = view.cell.task, view.score
    numbers: list[object] = ["", "", "", "", ""]
    if score is not None:
        shown = [_points(one, score.unit) for one in (score.score, score.stderr, score.ci_low, score.ci_high)]
        numbers = [*shown, score.n]
    limit = task.limit if task.limit is not None else ""
    metric = score.metric if score else task.info.main_score
    head: list[object] = [view.cell.model, task.axis, task.type, task.label, metric]
    return [*head, *numbers, limit, view.status, view.cell.key or ""]


def _points(value: float | None, unit: Unit = "points") -> str:
    if value is None:
        return ""
    return f"{value:.{DIGITS[unit]}f}" if math.isfinite(value) else str(value)
