"""What a report says of models with `seeds: n`: the spread between seeds beside the interval over items."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev
from typing import Any, NamedTuple

from harness.report.numbers import NOT_THERE, between, figure
from harness.report.sections.section import Link, Report
from harness.report.tables import csv_text, table
from harness.results.records import Score, SeededScore
from harness.summary.views import Summary

LINK = Link("seeds", "Seeds", is_always_there=False)
CSV_HEADER = ("model", "task", "metric", "seed", "score", "key")
SEED_HEADER = (
    "model", "task", "metric", "mean over seeds", "seeds", "sd between seeds", "least", "most",
    "95% interval over items",
)  # fmt: skip
LEGEND = (
    "The score is the mean over the seeds. The interval over items says how sure that mean is on other items of the "
    "kind; the standard deviation between seeds says how far one run is from the next on these."
)


def markdown(report: Report) -> str:
    """Return the table and its legend; empty where no model has seeds."""
    found = seed_cells(report.summary)
    return f"## Seeds\n\n{table(SEED_HEADER, found)}\n\n{LEGEND}" if found else ""


def page(report: Report) -> dict[str, Any]:
    """Return the same table."""
    return {"seed_header": SEED_HEADER, "seed_rows": seed_cells(report.summary), "seed_legend": LEGEND}


def seed_cells(summary: Summary) -> list[list[str]]:
    """Return a row for every cell of a model with seeds, as `SEED_HEADER` says."""
    found = seed_rows([(view.cell.model, view.cell.task.label, view.score) for view in summary.cells.values()])
    shown = []
    for model, task, score, sd in found:
        each = [one.score for one in score.parts]
        interval = between(score.ci_low, score.ci_high, "points") or NOT_THERE
        numbers = [figure(one, score.unit) for one in (sd, min(each), max(each))]
        shown.append([model, task, score.metric, figure(score.score, score.unit), str(len(each)), *numbers, interval])
    return shown


def seeds_csv(summary: Summary) -> str | None:
    """Return `seeds.csv`, a row for every seed of every such cell; None where no model has seeds."""
    found = seed_rows([(view.cell.model, view.cell.task.label, view.score) for view in summary.cells.values()])
    lines = [
        [one.model, one.task, one.score.metric, number, figure(part.score, part.unit), part.key]
        for one in found
        for number, part in enumerate(one.score.parts)
    ]
    return csv_text(CSV_HEADER, lines) if lines else None


class SeedRow(NamedTuple):
    """One cell of a model with seeds."""

    model: str
    task: str
    score: SeededScore
    sd: float
    """Standard deviation between the seeds' scores, in the score's unit."""


def seed_rows(scores: Sequence[tuple[str, str, Score | None]]) -> list[SeedRow]:
    """Return a row for each of (model, task, score) that has seeds."""
    return [
        SeedRow(model, task, score, stdev(one.score for one in score.parts))
        for model, task, score in scores
        if isinstance(score, SeededScore)
    ]
