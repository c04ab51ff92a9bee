"""What a report says of models with `seeds: n`: the spread between seeds beside the interval over items."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev
from typing import NamedTuple

from harness.report.numbers import NOT_THERE, between, figure
from harness.report.tables import csv_text, table
from harness.results.records import Score, SeededScore
from harness.summary.views import Summary

CSV_HEADER = ("model", "task", "metric", "seed", "score", "key")
LEGEND = (
    "The score is the mean over the seeds. The interval over items says how sure that mean is on other items of the "
    "kind; the standard deviation between seeds says how far one run is from the next on these."
)


def section(report: Summary) -> str:
    """Return the section of the Markdown report; empty where no model has seeds."""
    found = seed_cells(report)
    return f"## Seeds\n\n{table(SEED_HEADER, found)}\n\n{LEGEND}" if found else ""


def seed_cells(report: Summary) -> list[list[str]]:
    """Return a row for every cell of a model with seeds, under `seeds.HEADER`."""
    found = seed_rows([(view.cell.model, view.cell.task.label, view.score) for view in report.cells.values()])
    shown = []
    for model, task, score, sd in found:
        each = [one.score for one in score.parts]
        interval = between(score.ci_low, score.ci_high, "points") or NOT_THERE
        numbers = [figure(one, score.unit) for one in (sd, min(each), max(each))]
        shown.append([model, task, score.metric, figure(score.score, score.unit), str(len(each)), *numbers, interval])
    return shown


def seeds_csv(report: Summary) -> str | None:
    """Return `seeds.csv`, a row for every seed of every such cell; None where no model has seeds."""
    found = seed_rows([(view.cell.model, view.cell.task.label, view.score) for view in report.cells.values()])
    lines = [
        [one.model, one.task, one.score.metric, number, figure(part.score, part.unit), part.key]
        for one in found
        for number, part in enumerate(one.score.parts)
    ]
    return csv_text(CSV_HEADER, lines) if lines else None


SEED_HEADER = ("model", "task", "metric", "mean over seeds", "seeds", "sd between seeds", "least", "most",
          "95% interval over items")  # fmt: skip


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
