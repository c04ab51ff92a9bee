"""Metrics of a training to the tracker that its configuration names, or to nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from grace.config.schema import TrainConfig
from harness.trackers import Tracking

PROJECT = "grace"


class Tracker:
    """Tracks the steps of one run."""

    def __init__(self, config: TrainConfig, say: Callable[[str], None], *, is_on: bool) -> None:
        """Track where `is_on` and the configuration names a tracker; `say` is given a line where that fails."""
        self._config = config
        self._tracking = Tracking(config.tracker if is_on else None, say)

    def __enter__(self) -> Tracker:
        """Begin a run under the configuration's name."""
        self._tracking.begin(PROJECT, self._config.name, self._config.plain())
        return self

    def log(self, row: Mapping[str, Any]) -> None:
        """Track one step."""
        self._tracking.log(row, int(row["step"]))

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the run."""
        self._tracking.end()
