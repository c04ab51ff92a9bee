"""`RunOptions`: where results go, what is run, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.sources.places import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a suite; the defaults are those of the command line."""

    results: Path = Path("results")
    """The results folder; what has a score there is not run again."""
    sources: Sources = field(default_factory=Sources)
    """Where data and weights are looked for."""
    models: tuple[str, ...] = ()
    """Only these models; empty: all."""
    tasks: tuple[str, ...] = ()
    """Only these tasks; empty: all."""
    limit: int | None = None
    """Scored items a task; None: what the suite says."""
    train: bool = False
    """First train the candidates that are missing and have a configuration."""
    available: bool = False
    """Run what can be run and show the gaps as missing."""
    executor: str = "local"
    """Where cells are run: a name in `harness.evaluation.executors.table`."""
    workers: int | None = None
    """Processes of the local executor, actors of Ray's; None: one, and with Ray one a GPU or else one a node."""
    part: tuple[int, int] | None = None
    """(i, n): make the i-th of n shares of the work, from 1; None: all of it."""
    cell_timeout: float | None = None
    """Seconds that a worker may be at a cell, or at a shard of one, before it is ended; None: as long as it takes."""
    use_cache: bool = True
    """Whether rationales and their vectors are looked up and kept by content; no score depends on it."""

    @property
    def processes(self) -> int:
        """How many the local executor works with."""
        return self.workers or 1
