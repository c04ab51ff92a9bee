"""`report.md` from a `Report`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.table import AxisSummary, CellView, Mean, Report, ordered_types

POINT_DIGITS = 2
"""Scores and differences are shown in points with two decimals."""
NOT_THERE = "-"
"""A missing cell; never 0."""


def points(value: float | None) -> str:
    """Return a score with `POINT_DIGITS` decimals, or `-`."""
    return NOT_THERE if value is None else f"{value:.{POINT_DIGITS}f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign, or `-`."""
    return NOT_THERE if value is None else f"{value:+.{POINT_DIGITS}f}"


def render(report: Report) -> str:
    """Return the report as Markdown."""
    parts = [_head(report), *(_axis(report, axis) for axis in report.axes), _models(report), _problems(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: Report) -> str:
    limited = f" - LIMITED to {', '.join(map(str, report.limits))} items a task" if report.limits else ""
    lines = [f"# {report.title}{limited}"]
    if report.description:
        lines += ["", report.description]
    if report.limits:
        lines += ["", "Limited scores are comparable with each other only, never with full or published ones."]
    if report.baseline:
        lines += ["", f"Differences are to **{report.baseline}**, over the tasks that both models have."]
    return "\n".join(lines)


def _axis(report: Report, axis: AxisSummary) -> str:
    name = "Embedding" if axis.axis == "embedding" else "General ability"
    if not axis.models:
        return f"## {name}\n\nNo scores yet: {len(axis.tasks)} task(s) to run."
    left_out = len(axis.tasks) - len(axis.common)
    over = f"Means over the {len(axis.common)} of {len(axis.tasks)} tasks that every model with scores has."
    if left_out:
        missing = [task for task in axis.tasks if task not in axis.common]
        over += f" Left out: {', '.join(missing[:10])}{', ...' if len(missing) > 10 else ''}."
    return "\n\n".join([f"## {name}", over, _summary(report, axis), "### By task", _by_task(report, axis)])


def _summary(report: Report, axis: AxisSummary) -> str:
    types = list(axis.by_type)
    header = ["model", "mean over tasks", "mean over types", "difference", *types]
    rows = []
    for model in axis.models:
        delta = axis.delta[model]
        difference = NOT_THERE if model == report.baseline or delta.value is None else _with_n(delta, signed)
        rows.append(
            [
                f"**{model}**" if model == report.baseline else model,
                _with_n(axis.over_tasks[model], points),
                _with_n(axis.over_types[model], points),
                difference,
                *(_with_n(axis.by_type[kind][model], points) for kind in types),
            ]
        )
    return table(header, rows)


def _with_n(mean: Mean, show: object) -> str:
    return f"{show(mean.value)} (n={mean.n})"  # type: ignore[operator]


def _by_task(report: Report, axis: AxisSummary) -> str:
    tasks = [task for task in report.tasks if task.axis == axis.axis]
    header = ["type", "task", "metric", *report.models]
    rows = []
    for kind in ordered_types(tasks):
        for task in (one for one in tasks if one.type == kind):
            views = [report.cells[model, task.name] for model in report.models]
            rows.append([kind, task.label, task.info.main_score, *(_cell(report, view) for view in views)])
    legend = "Score in points [95% interval, bootstrap over items]; difference to the baseline; - missing; n/a."
    return f"{table(header, rows)}\n\n{legend}"


def _cell(report: Report, view: CellView) -> str:
    if view.status == "error":
        return "error"
    if view.score is None:
        return "n/a" if view.status == "n/a" else NOT_THERE
    score = view.score
    text = points(score.score)
    if score.ci_low is not None:
        text += f" [{points(score.ci_low)}, {points(score.ci_high)}]"
    if report.baseline and view.cell.model != report.baseline:
        base = report.cells[report.baseline, view.cell.task.name].value
        if base is not None:
            text += f" ({signed(score.score - base)})"
    return text


def _models(report: Report) -> str:
    rows = []
    for name in report.models:
        candidate = report.candidates[name]
        if candidate is None:
            rows.append([name, "not there", NOT_THERE, NOT_THERE, NOT_THERE])
            continue
        source = candidate.weights.source if candidate.weights else "its own package"
        if candidate.adapter:
            source += f" + adapter {candidate.adapter.source}"
        fingerprint = candidate.fingerprint()
        selected = candidate.selected_on or ("nothing: stock" if not candidate.directory else "not said")
        note = candidate.note or ""
        rows.append([name, candidate.kind, source, (fingerprint or "unknown")[:12], f"{selected}; {note}".strip("; ")])
    header = ["model", "encoder", "weights", "fingerprint", "selected on; note"]
    return "\n\n".join(["## Models", table(header, rows), _provenance(report)])


def _provenance(report: Report) -> str:
    scores = [view.score for view in report.cells.values() if view.score]
    if not scores:
        return ""
    lines = []
    for title, values in (
        ("Versions", {_versions(score.provenance.get("versions", {})) for score in scores}),
        ("Source", {str(score.provenance.get("git") or "installed wheel") for score in scores}),
        ("Dtype", {str(score.provenance.get("encoder", {}).get("dtype", "its own")) for score in scores}),
        ("Prompts", {_prompts(score.provenance.get("prompts", {})) for score in scores}),
    ):
        lines.append(f"- {title}: {'; or '.join(sorted(values))}")
    return "## What the scores were made with\n\n" + "\n".join(lines)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items() if number != "absent")


def _prompts(prompts: dict[str, str | None]) -> str:
    return ", ".join(f"{role}: {prompt!r}" if prompt else f"{role}: none" for role, prompt in prompts.items())


def _problems(report: Report) -> str:
    views = report.cells.values()
    errors = [f"- {v.cell}: {v.failure.error}: {_first_line(v.failure.message)}" for v in views if v.failure]
    missing = _grouped([(str(v.cell), v.reason or "") for v in views if v.status == "missing"])
    parts = []
    if errors:
        parts.append("## Errors\n\n" + "\n".join(errors) + "\n\n`harness inspect CELL` shows the traceback.")
    if missing:
        parts.append("## Missing\n\n" + "\n".join(missing))
    if report.unverified:
        parts.append("## Unverified sources\n\n" + "\n".join(f"- {line}" for line in report.unverified))
    if report.warnings:
        parts.append("## Remarks\n\n" + "\n".join(f"- {line}" for line in report.warnings))
    return "\n\n".join(parts)


def _grouped(pairs: Sequence[tuple[str, str]]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for cell, reason in pairs:
        by_reason.setdefault(reason, []).append(cell)
    return [
        f"- {', '.join(cells[:6])}{f' and {len(cells) - 6} more' if len(cells) > 6 else ''}: {reason}"
        for reason, cells in by_reason.items()
    ]


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; `|` and line breaks in cells are escaped."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
