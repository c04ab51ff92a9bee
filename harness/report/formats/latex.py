"""LaTeX tables (booktabs): of a report and of a comparison; every text that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.numbers import SAME_RECORD, figure
from harness.results.records import Unit
from harness.statistics.difference import Difference
from harness.summary.views import AxisSummary, CellView, Summary, ordered_types

PREAMBLE = "% the preamble of your document needs \\usepackage{booktabs}\n"
NOT_THERE = "--"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}


def escape(text: str) -> str:
    """Return `text` as LaTeX shows it as it is; control characters and line breaks become spaces."""
    shown = "".join(_SPECIAL.get(one, one if one.isprintable() else " ") for one in text)
    return shown.replace("--", "-{}-")


def tabular(
    header: Sequence[str],
    rows: Sequence[Sequence[str] | None],
    *,
    columns: str,
    caption: str,
    notes: Sequence[str] = (),
) -> str:
    """Return a table environment.

    Args:
        header, rows: cells that are LaTeX already; None is a rule between rows.
        columns: such as `llrr`, one letter a cell.
        caption: plain text.
        notes: plain text below the table.
    """
    body = "\n".join(r"\midrule" if row is None else _line(row) for row in rows)
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        _line(header),
        r"\midrule",
        body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape(note)}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines)


def number(value: float | None, unit: Unit = "points", *, sign: bool = False) -> str:
    """Return a number in mathematics, so that its minus is one."""
    if value is None:
        return NOT_THERE
    return f"${'+' if sign and value >= 0 else ''}{figure(value, unit)}$"


def interval(found: Difference, unit: Unit = "points") -> str:
    """Return `[low, high]`, or nothing where there is none."""
    if found.is_same_record:
        return SAME_RECORD
    if found.low is None or found.high is None:
        return ""
    return f"$[{figure(found.low, unit)}, {figure(found.high, unit)}]$"


def render(summary: Summary) -> str:
    """Return a report's tables: for each axis the means by type, and every task with its interval."""
    parts = [PREAMBLE]
    for axis in summary.axes:
        if axis.models:
            parts += [_means(summary, axis), _tasks(summary, axis)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _means(summary: Summary, axis: AxisSummary) -> str:
    header = ["model", "tasks", "types", *(escape(kind) for kind in axis.by_type)]
    rows = [
        [
            escape(model),
            number(axis.over_tasks[model].value),
            number(axis.over_types[model].value),
            *(number(of[model].value) for of in axis.by_type.values()),
        ]
        for model in axis.models
    ]
    counts = [f"{kind}: {next(iter(of.values())).n}" for kind, of in axis.by_type.items() if of]
    note = f"Means over the {len(axis.common)} task(s) that every model has ({', '.join(counts)})."
    caption = f"{summary.title}: {axis.axis}, means in points{_limited(summary)}"
    return tabular(header, rows, columns="l" + "r" * (len(header) - 1), caption=caption, notes=[note])


def _tasks(summary: Summary, axis: AxisSummary) -> str:
    tasks = [task for task in summary.tasks if task.axis == axis.axis]
    rows: list[list[str] | None] = []
    for kind in ordered_types(tasks):
        if rows:
            rows.append(None)
        for task in (one for one in tasks if one.type == kind):
            cells = [_score(summary.cells[model, task.name]) for model in axis.models]
            rows.append([escape(kind), escape(task.label), *cells])
    header = ["type", "task", *(escape(model) for model in axis.models)]
    caption = f"{summary.title}: {axis.axis} by task, with 95% intervals over items{_limited(summary)}"
    return tabular(header, rows, columns="ll" + "r" * len(axis.models), caption=caption)


def _score(view: CellView) -> str:
    if view.score is None:
        return "error" if view.status == "error" else "n/a" if view.status == "n/a" else NOT_THERE
    score = view.score
    shown = number(score.score, score.unit)
    if score.ci_low is None or score.ci_high is None:
        return shown
    low, high = figure(score.ci_low, score.unit), figure(score.ci_high, score.unit)
    return rf"{shown} {{\scriptsize $[{low}, {high}]$}}"


def _limited(summary: Summary) -> str:
    return f" (LIMITED to {', '.join(map(str, summary.limits))} items a task)" if summary.limits else ""


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
