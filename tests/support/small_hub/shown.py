"""What tests over the small hub tell of the cells that they checked; benchmarks/all_tasks.py makes a table of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from harness.results.records import Score

Tell = Callable[[str, object], None]
"""pytest's `record_property`: what is told stands in the XML of `--junitxml`, as text."""
SHOWN = ("axis", "task", "type", "metric", "model", "n", "score", "ci_low", "ci_high")


def tell_engine(tell: Tell, task: str, model: str, score: float | None, *, draws: int | None = None) -> None:
    """Tell what the engine alone makes of a task, in points; of fewer draws of training texts where `draws` says so.

    None where the engine's metric was not asked.
    """
    tell("engine", json.dumps({"task": task, "model": model, "score": score, "draws": draws}))


def tell_cell(tell: Tell, cell: Score) -> None:
    """Tell a cell's own figures."""
    tell("cell", json.dumps({name: getattr(cell, name) for name in SHOWN}))


def tell_difference(tell: Tell, task: str, row: Any) -> None:
    """Tell the paired difference of a row of a comparison, with its interval."""
    found = row.difference
    tell("difference", json.dumps({"task": task, "value": found.value, "low": found.low, "high": found.high}))
