"""Metrics to trackio, where the configuration asks for it; the only file that knows that package."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from grace.config.schema import TrainConfig
from harness.errors import EnvironmentGapError


class Tracker:
    """Logs steps to trackio, or nowhere."""

    def __init__(self, config: TrainConfig, *, is_on: bool) -> None:
        """Import trackio if the configuration asks for it; raises EnvironmentGapError where it is not installed."""
        self._config = config
        self._trackio = trackio() if config.trackio and is_on else None

    def __enter__(self) -> Tracker:
        """Begin a run under the configuration's name."""
        if self._trackio:
            self._trackio.init(project="grace", name=self._config.name, config=self._config.plain())
        return self

    def log(self, row: Mapping[str, Any]) -> None:
        """Log one step."""
        if self._trackio:
            self._trackio.log(dict(row), step=row["step"])

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the run."""
        if self._trackio:
            self._trackio.finish()


def trackio() -> Any:
    """Return the package trackio; raises EnvironmentGapError where it is not installed."""
    try:
        import trackio as package  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise EnvironmentGapError(
            ["trackio: true needs a package that is not installed: pip install trackio"]
        ) from error
    return package
