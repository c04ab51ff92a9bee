"""A `Comparison` as a table for the terminal, as Markdown, CSV, LaTeX and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.candidates.rule import ANSWERS_AS_BASE
from harness.comparison.compare import Comparison, Row
from harness.report import tables
from harness.report.formats import latex
from harness.report.numbers import (
    COULD_SHOW,
    COULD_SHOW_LEGEND,
    DIGITS,
    NOT_THERE,
    SAME_RECORD,
    between,
    chance,
    could_show,
    figure,
)
from harness.results.records import Unit
from harness.statistics.resampling import BOOTSTRAP_SAMPLES

COLUMNS = ("type", "task", "metric", "level", "a", "b", "difference", "low", "high", "stderr", "p", "q", "win", "tie",
           "loss", "n", "unit", "limit", "method", "detectable")  # fmt: skip
_RULES = {"merged": ": one set of weights, the adapter on, embeds and answers", "switched": f": it {ANSWERS_AS_BASE}"}
"""Rule -> what it means, behind its name."""
ONE_SET = " An item of clustering is a set of texts: of one alone nothing can be resampled."


def text(found: Comparison) -> str:
    """Return the table in columns, and the notes below it."""
    header, rows = _header(found), [_cells(row) for row in shown_rows(found)]
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    left = 3  # columns of names; numbers stand on the right
    lines = [_aligned(header, widths, left), *(_aligned(row, widths, left) for row in rows)]
    return "\n".join([_title(found), "", *lines, "", *notes(found)]) + "\n"


def as_markdown(found: Comparison) -> str:
    """Return the table and the notes as Markdown, means in bold."""
    rows = []
    for row in shown_rows(found):
        cells = _cells(row)
        rows.append(cells if row.level == "task" else [f"**{cell}**" if cell else "" for cell in cells])
    listed = "\n".join(f"- {note}" for note in notes(found))
    return f"# {_title(found)}\n\n{tables.table(_header(found), rows)}\n\n{listed}\n"


def as_csv(found: Comparison) -> str:
    """Return a row for every row of the table, numbers with the digits that are shown."""
    return tables.csv_text(("axis", *COLUMNS), [_csv_row(row) for row in found.rows])


def as_latex(found: Comparison) -> str:
    """Return the table as LaTeX."""
    models = [latex.escape(found.a), latex.escape(found.b)]
    header = ["type", "task", *models, "difference", r"95\% interval", "$p$", "$q$", "win/tie/loss"]
    rows: list[list[str] | None] = []
    before: Row | None = None
    for row in shown_rows(found):
        one, unit = row.difference, _unit(row)
        if before and (row.level, row.axis) != (before.level, before.axis) and "axis" in (row.level, before.level):
            rows.append(None)
        before = row
        named = [latex.escape(row.type or row.axis), latex.escape(row.name)]
        numbers = [latex.number(row.a, unit), latex.number(row.b, unit), latex.number(one.value, unit, sign=True)]
        chances = ["--" if value is None else f"${chance(value)}$" for value in (one.p_value, one.q_value)]
        rows.append([*named, *numbers, latex.interval(one, unit), *chances, latex.escape(_counts(row))])
    table = latex.tabular(header, rows, columns="llrrrrrrr", caption=_title(found), notes=notes(found))
    return f"{latex.PREAMBLE}\n{table}\n"


def as_json(found: Comparison) -> dict[str, Any]:
    """Return everything as plain data."""
    plain = asdict(found)
    plain["left_out"] = [{"task": task, "reason": reason} for task, reason in found.left_out]
    plain["units"] = dict(found.units)
    rules = {"rules": dict(found.rules)} if found.rules else {}
    plain = {name: one for name, one in plain.items() if name != "rules"} | rules
    return plain | {"limits": list(found.limits)}


def shown_rows(found: Comparison) -> list[Row]:
    """Return the rows a reader wants: the mean of a type with one task says nothing new."""
    return [row for row in found.rows if row.level != "type" or row.n > 1]


def notes(found: Comparison) -> list[str]:
    """Return the sentences under the table: what is resampled, how, what is left out, what else differs."""
    units = "; ".join(f"{kind}: {unit}" for kind, unit in found.units)
    lines = [
        f"Differences are {found.a} minus {found.b}, in points unless a unit is named, with a paired 95% interval: the "
        "same resampled items for both.",
        f"Resampled: {units}. Means keep the tasks fixed and resample the items within each.",
        f"p is two-sided; q is p adjusted after Benjamini and Hochberg over the {len(found.of('task'))} task(s), over "
        "the types, and over the means, each group by itself. Win/tie/loss counts items; for a mean, tasks or types "
        "whose interval leaves out 0; for STS and pairs, on which a rank is nearer to where it should be.",
    ]
    methods = sorted({row.difference.method for row in found.of("task") if row.difference.method})
    if methods:
        drawn = f" ({BOOTSTRAP_SAMPLES:,} samples, so that p is at least {2 / (BOOTSTRAP_SAMPLES + 1):.1g})"
        named = [f"{method}{drawn if method == 'bootstrap' else ''}" for method in methods]
        lines.append(f"Intervals by: {', '.join(named)}.")
    if any(row.difference.is_undecided for row in found.rows):
        lines.append(COULD_SHOW_LEGEND)
    shared = [row.name for row in found.of("task") if row.difference.is_same_record]
    if shared:
        lines.append(
            f"{SAME_RECORD.capitalize()}: {', '.join(shared)}: both models share one stored cell (general ability "
            "hangs on the language model alone), so the difference is 0 by construction and nothing is tested."
        )
    bare = [row for row in found.of("task") if row.difference.low is None]
    if bare:
        older = " Clustering cells of earlier versions have none until they run again."
        lines.append(
            f"No interval, since there are no two common items to resample: {', '.join(row.name for row in bare)}."
            + (ONE_SET if any(row.type == "Clustering" and row.n == 1 for row in bare) else "")
            + (older if any(row.type == "Clustering" for row in bare) else "")
        )
    if found.limits:
        lines.append("LIMITED scores compare with each other only, never with full or published ones.")
    lines += [f"{name} is served {rule}{_RULES[rule]}." for name, rule in found.rules]
    lines += [f"Left out: {task}: {reason}." for task, reason in found.left_out]
    lines += [f"Made differently: {line}." for line in found.unlike]
    if not found.unlike:
        lines.append("Both were made with the same batch, device, dtype, threads, versions and data.")
    return lines


def _title(found: Comparison) -> str:
    limited = f" - LIMITED to {', '.join(map(str, found.limits))} items a task" if found.limits else ""
    return f"{found.a} against {found.b}{limited}"


def _header(found: Comparison) -> list[str]:
    return [
        "type",
        "task",
        "metric",
        found.a,
        found.b,
        "difference",
        "95% interval",
        COULD_SHOW,
        "p",
        "q",
        "win/tie/loss",
    ]


def _cells(row: Row) -> list[str]:
    one, unit = row.difference, _unit(row)
    name = (
        f"{row.name} (n={row.n})" if row.level != "task" else row.name + (f" (limit {row.limit})" if row.limit else "")
    )
    interval = SAME_RECORD if one.is_same_record else between(one.low, one.high, unit) or NOT_THERE
    value = f"{'+' if one.value >= 0 else ''}{figure(one.value, unit)}"
    metric = (
        row.metric if row.unit == "points" else f"{row.metric} ({row.unit}{', lower is better' * one.lower_is_better})"
    )
    scores = [figure(row.a, unit), figure(row.b, unit)]
    chances = [chance(one.p_value), chance(one.q_value)]
    return [row.type or row.axis, name, metric, *scores, value, interval, could_show(one, unit), *chances, _counts(row)]


def _csv_row(row: Row) -> list[object]:
    one, unit = row.difference, _unit(row)
    spread = (None, None, None) if one.is_same_record else (one.low, one.high, one.stderr)
    numbers = [_plain(value, unit) for value in (row.a, row.b, one.value, *spread)]
    counts = ["" if value is None else value for value in (one.wins, one.ties, one.losses)]
    chances = ["" if value is None else f"{value:.6g}" for value in (one.p_value, one.q_value)]
    named = [row.axis, row.type, row.name, row.metric, row.level]
    last = [row.n, row.unit, row.limit or "", _method(row), _plain(one.detectable, unit)]
    return [*named, *numbers, *chances, *counts, *last]


def _counts(row: Row) -> str:
    one = row.difference
    return NOT_THERE if one.wins is None else f"{one.wins}/{one.ties}/{one.losses}"


def _method(row: Row) -> str:
    return SAME_RECORD if row.difference.is_same_record else row.difference.method or ""


def _unit(row: Row) -> Unit:
    return row.unit  # type: ignore[return-value]


def _plain(value: float | None, unit: Unit) -> str:
    return "" if value is None else f"{value:.{DIGITS[unit]}f}"


def _aligned(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    shown = [
        cell.ljust(width) if at < left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(shown).rstrip()
