"""What engines print and warn of: into a log file of the results folder, in every process of a run."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

from harness.environment import without_bars


def quiet(results: Path) -> None:
    """Send the engines' chatter to a log file, so that the terminal shows progress alone."""
    without_bars()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    handler = _LogFile(results / "logs" / "harness.log", encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


class _LogFile(logging.FileHandler):
    """A log that goes without what it cannot write: no run ends for its sake."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, in a folder that is made where it is not there."""
        try:
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Show no traceback on the terminal."""
