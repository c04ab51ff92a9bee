"""Models against tasks: what means, standings, differences and retention are all made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from harness.results.records import Score
from harness.statistics.difference import Difference
from harness.summary.views import CellView, Comparer


class Pair(NamedTuple):
    """The scores that two models have of one task."""

    own: Score
    other: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The cells of a report, and how two of them are compared."""

    views: dict[tuple[str, str], CellView]
    """(model, task) -> view; every model has one of every task."""
    models: tuple[str, ...]
    """In the order of the suite."""
    baseline: str | None
    """One of the models; None where there is none."""
    compare: Comparer
    """Gives the difference of two scores of one task."""

    def score(self, model: str, task: str) -> Score | None:
        """Return what a model scored on a task; None where its cell is no score."""
        return self.views[model, task].score

    def label(self, task: str) -> str:
        """Return how a task is called, the parts that were run with it."""
        return next(view.cell.task.label for (_, name), view in self.views.items() if name == task)

    def pair(self, model: str, other: str, task: str) -> Pair | None:
        """Return the scores of two models; None where one has none, or ran another part of the task."""
        own, base = self.views[model, task], self.views[other, task]
        if own.score is None or base.score is None or own.cell.task.label != base.cell.task.label:
            return None
        return Pair(own.score, base.score)

    def difference(self, model: str, other: str, task: str) -> Difference | None:
        """Return what a model scored less what `other` did; None where they are no pair."""
        pair = self.pair(model, other, task)
        return self.compare(*pair) if pair else None
