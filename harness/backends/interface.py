"""Job, Outcome, Backend; backend_of(engine)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.encoders.checked import CheckedEncoder
from harness.plan.cells import Cell
from harness.results.records import Metric, Unit
from harness.sources.places import Located
from harness.statistics.resampling import Interval
from harness.tasks.engines import BACKENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a backend is given for one cell."""

    cell: Cell
    data: Mapping[str, Located]
    """Task (or part of an aggregate) -> where its dataset is."""
    seed: int
    fingerprint: str
    """Of the candidate."""
    native_folder: Path
    """Where results in the engine's own format go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a backend makes of a cell."""

    metric: str
    score: float
    """Main metric, in `score_unit`."""
    interval: Interval | None
    """Bootstrap over items, in `score_unit`; None where the metric has none."""
    n: int
    metrics: tuple[Metric, ...]
    items: Any | None
    """pyarrow Table of per-item results."""
    items_missing: str | None
    """Why there are none."""
    unit: str
    """What an item is."""
    score_unit: Unit = "points"
    """Of `score` and `interval`."""
    lower_is_better: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """For provenance: prompts used, phases, what a limit kept."""
    examples: tuple[Any, ...] = ()
    """Items to be read, as `harness.backends.mteb.examples.Example`; for encoders that write rationales."""


Backend = Callable[[Job, CheckedEncoder], Outcome]


def backend_of(engine: str) -> Backend:
    """Import and return the backend of `engine`; raises KeyError where there is none."""
    module, _, name = BACKENDS[engine].partition(":")
    backend: Backend = getattr(import_module(module), name)
    return backend
