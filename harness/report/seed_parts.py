"""What a report says of models with `seeds: n`: the spread between seeds beside the interval over items."""

from __future__ import annotations

from harness import seeds
from harness.report.ability import figure
from harness.report.csv_files import csv_text
from harness.report.markdown import table
from harness.report.table import Report

CSV_HEADER = ("model", "task", "metric", "seed", "score", "key")
LEGEND = (
    "The score is the mean over the seeds. The interval over items says how sure that mean is on other items of the "
    "kind; the standard deviation between seeds says how far one run is from the next on these."
)


def section(report: Report) -> str:
    """Return the section of the Markdown report; empty where no model has seeds."""
    found = rows(report)
    return f"## Seeds\n\n{table(seeds.HEADER, found)}\n\n{LEGEND}" if found else ""


def rows(report: Report) -> list[list[str]]:
    """Return a row for every cell of a model with seeds, under `seeds.HEADER`."""
    found = seeds.rows([(view.cell.model, view.cell.task.label, view.score) for view in report.cells.values()])
    shown = []
    for model, task, score, sd in found:
        each = [one.score for one in score.parts]
        between = (
            "-" if score.ci_low is None else f"[{figure(score.ci_low, 'points')}, {figure(score.ci_high, 'points')}]"
        )
        numbers = [figure(one, score.unit) for one in (sd, min(each), max(each))]
        shown.append([model, task, score.metric, figure(score.score, score.unit), str(len(each)), *numbers, between])
    return shown


def seeds_csv(report: Report) -> str | None:
    """Return `seeds.csv`, a row for every seed of every such cell; None where no model has seeds."""
    found = seeds.rows([(view.cell.model, view.cell.task.label, view.score) for view in report.cells.values()])
    lines = [
        [one.model, one.task, one.score.metric, number, figure(part.score, part.unit), part.key]
        for one in found
        for number, part in enumerate(one.score.parts)
    ]
    return csv_text(CSV_HEADER, lines) if lines else None
