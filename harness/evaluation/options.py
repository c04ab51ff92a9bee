"""RunOptions: where results go and what is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.sources.places import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a suite."""

    results: Path = Path("results")
    sources: Sources = field(default_factory=Sources)
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    available: bool = False
    """Run what can be run and show the gaps as missing."""
    workers: int = 1
    use_cache: bool = True
    """Whether rationales and their vectors are looked up and kept by content; no score depends on it."""
