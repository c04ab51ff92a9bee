"""A reporter that also tells a tracker of each finished cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.evaluation.events import Event, Finished, Remark, Reporter, RunBegins, RunEnds
from harness.plan.cells import Cell
from harness.results.records import Failure, Score
from harness.trackers import Tracking

PROJECT = "harness"


class TrackingReporter:
    """Shows what another shows, and tracks the scores."""

    def __init__(self, shown: Reporter, tracker: str | None, *, name: str, config: Mapping[str, Any]) -> None:
        """Track nothing yet.

        Args:
            shown: is told everything, and what goes wrong with the tracker.
            tracker: its name; None: nowhere.
            name: of the run.
            config: what the run is told, as plain data.
        """
        self._shown, self._name, self._config = shown, name, config
        self._tracking = Tracking(tracker, lambda text: shown.report(Remark(text=text)))
        self._finished = 0

    def report(self, event: Event) -> None:
        """Pass `event` on, and track what it says of a cell; the step is how many cells have finished."""
        if isinstance(event, RunEnds):  # before the display closes, so that a remark is seen
            self._tracking.end()
        self._shown.report(event)
        if isinstance(event, RunBegins):
            self._tracking.begin(PROJECT, self._name, self._config)
        if isinstance(event, Finished) and event.result is not None:
            self._finished += 1
            self._tracking.log(values_of(event.cell, event.result), self._finished)


def values_of(cell: Cell, result: Score | Failure) -> dict[str, Any]:
    """Return what is tracked of a cell, each value under `model/task/...`: the score with its interval, n, key."""
    if isinstance(result, Failure):
        own: dict[str, Any] = {"error": result.error, "key": result.key}
    else:
        names = ("score", "ci_low", "ci_high", "stderr", "n", "metric", "unit", "key")
        own = {name: getattr(result, name) for name in names}
    return {f"{cell}/{name}": value for name, value in own.items()}
