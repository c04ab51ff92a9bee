"""What a training run shows while it runs: one line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from harness.wording import duration

LINE_EVERY_SECONDS = 10.0
REWRITE_EVERY_SECONDS = 0.2
SHOWN = (
    "loss",
    "info_nce",
    "cosine_loss",
    "similarity_loss",
    "cross_entropy",
    "kl",
    "reward",
    "margin",
    "accuracy",
    "tokens_per_text",
    "tokens_per_rationale",
    "tokens_per_second",
)


class Progress:
    """Shows metrics rows on a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error by default."""
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._last = float("-inf")

    def say(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"\r\033[K{text}\n" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def row(self, row: Mapping[str, Any], *, share: float, seconds: float, steps: int | None) -> None:
        """Show a step's metrics, the time spent and the time left at this pace, if it is time to.

        Args:
            row: of metrics.jsonl.
            share: of the run that is done, 0 to 1.
            seconds: spent so far.
            steps: in all; None where a budget ends the run.
        """
        now = time.monotonic()
        if now - self._last < (REWRITE_EVERY_SECONDS if self._is_terminal else LINE_EVERY_SECONDS) and share < 1:
            return
        self._last = now
        left = duration(seconds * (1 / share - 1)) if 0 < share < 1 else "-"
        of = f"/{steps}" if steps else ""
        parts = [f"step {row['step']}{of}", *(f"{name} {row[name]:.4g}" for name in SHOWN if name in row)]
        text = "  ".join([*parts, duration(seconds), f"left {left}"])
        self._stream.write(f"\r\033[K{text}" if self._is_terminal and share < 1 else f"{text}\n")
        self._stream.flush()
