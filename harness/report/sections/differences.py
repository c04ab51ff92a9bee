"""The paired differences to the baseline, a row each: interval, p, q, items won, tied and lost; pure."""

from __future__ import annotations

from harness.plan.cells import PlannedTask
from harness.report.numbers import (
    COULD_SHOW,
    COULD_SHOW_LEGEND,
    NOT_THERE,
    SAME_RECORD,
    could_show,
    figures,
    probability,
)
from harness.report.tables import folded, table
from harness.statistics.difference import Difference
from harness.summary.views import Summary
from harness.tasks.types import UNITS

HEADER = ("task", "model", "difference [95% interval]", COULD_SHOW, "p", "q", "won / tied / lost", "method")
LEGEND = (
    "p: two-sided, of no difference. q: Benjamini-Hochberg over all {cells} differences of this report that have a p; "
    "of the cells with q under 0.05 at most 5% are expected to be false. Methods: score interval and McNemar's exact "
    "test where items are right or wrong (with few that differ the exact p may stay over 0.05 where the interval just "
    "leaves out 0: 5 won and none lost have p 0.0625); Student's t for means of item scores, over training samples "
    "(classification) and k-means seeds (clustering) too, or over halves of the pool of texts (newer clustering); the "
    "same held to a score interval where few items differ: t alone would be too sure then, and what is wider counts, "
    "which need not be symmetric; else the paired bootstrap."
)
SHARED = (
    f" {SAME_RECORD.capitalize()}: both models share one stored cell (general ability hangs on the language model "
    "alone), so the difference is 0 by construction."
)
QUESTION = "question or text"


def section(summary: Summary) -> list[str]:
    """Return heading, table and legend as Markdown blocks; nothing where no cell has a baseline to differ from."""
    tasks = [task for axis in summary.axes for task in summary.tasks if task.axis == axis.axis]
    rows = [
        _row(task, model, summary.differences[model, task.name], summary)
        for task in tasks
        for model in summary.models
        if (model, task.name) in summary.differences
    ]
    if not rows:
        return []
    tested = sum(one.p_value is not None for one in summary.differences.values())
    kinds = list(dict.fromkeys(task.type for task in tasks))
    units = "; ".join(f"{kind}: {UNITS.get(kind, QUESTION)}" for kind in kinds)
    shared = SHARED if any(row[2] == SAME_RECORD for row in rows) else ""
    return [
        f"## Differences to {summary.baseline}",
        folded(f"All {len(rows)} differences", table(HEADER, rows), rows=len(rows)),
        f"{LEGEND.format(cells=tested)} {COULD_SHOW_LEGEND} Resampled and counted: {units}.{shared}",
    ]


def _row(task: PlannedTask, model: str, one: Difference, summary: Summary) -> list[str]:
    score = summary.cells[model, task.name].score
    unit = score.unit if score else "points"
    if one.is_same_record:
        return [task.label, model, SAME_RECORD, *[NOT_THERE] * 5]
    text = figures(one.value, one.low, one.high, unit)
    counts = NOT_THERE if one.wins is None else f"{one.wins} / {one.ties} / {one.losses}"
    return [
        task.label,
        model,
        text,
        could_show(one, unit),
        probability(one.p_value),
        probability(one.q_value),
        counts,
        one.method or NOT_THERE,
    ]
