"""Published models beside one's own: means and scores over the same tasks, marked, without intervals or tests."""

from __future__ import annotations

from typing import Any

from harness.report.numbers import points
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.summary.views import AxisSummary, PublicView, Summary

LINK = Link("public", "Beside the public board", is_always_there=False)
SAID = (
    "Published scores come without per-item results: no interval, no paired difference, no rank and no q-value can be "
    "given of them, and no gate or verdict looks at them. A published model has a mean only where it has every task "
    "that the mean is over."
)


def markdown(report: Report) -> str:
    """Return the tables; empty where a suite names no published model."""
    summary = report.summary
    axis = _axis(summary)
    if not summary.public or axis is None:
        return ""
    parts = ["## Beside the public board", SAID, _means(summary, axis), _tasks(summary)]
    lacks = [f"- {one.label} lacks {name}: {why}" for one in summary.public for name, why in one.lacking.items()]
    return "\n\n".join(part for part in (*parts, "\n".join(lacks)) if part)


def page(report: Report) -> dict[str, Any]:
    """Return the same for the page."""
    summary = report.summary
    axis = _axis(summary)
    shown = summary.public if axis is not None else ()
    return {
        "published": [{"view": one, "from": origin(one)} for one in shown],
        "axis": axis,
        "said": SAID,
        "tasks": [task for task in summary.tasks if task.axis == "embedding"],
    }


def origin(one: PublicView) -> str:
    """Return what wrote a published model's rows, and of which revision of it."""
    wrote = f"mteb {', '.join(one.versions)}" if one.versions else "mteb, version not said"
    return f"published ({one.kind}), {wrote}, revision {one.revision or 'not said'}"


def _axis(summary: Summary) -> AxisSummary | None:
    return next((axis for axis in summary.axes if axis.axis == "embedding"), None)


def _means(summary: Summary, axis: AxisSummary) -> str:
    kinds = list(axis.by_type)
    header = ["model", f"mean over {len(axis.common)} task(s)", *kinds, "from"]
    rows = [
        [
            model,
            points(axis.over_tasks[model].value),
            *(points(axis.by_type[kind][model].value) for kind in kinds),
            "here",
        ]
        for model in axis.models
    ]
    for one in summary.public:
        by_type = [points(one.by_type[kind].value) if kind in one.by_type else points(None) for kind in kinds]
        rows.append([f"*{one.label}*", points(one.mean.value), *by_type, origin(one)])
    return table(header, rows)


def _tasks(summary: Summary) -> str:
    header = ["task", *summary.models, *(f"*{one.label}*" for one in summary.public)]
    rows = [
        [
            task.label,
            *(points(summary.cells[model, task.name].value) for model in summary.models),
            *(points(one.scores.get(task.name)) for one in summary.public),
        ]
        for task in summary.tasks
        if task.axis == "embedding"
    ]
    return table(header, rows)
