"""What every objective's training is handed, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData
from grace.run.directory import RunDir
from grace.run.progress import Progress
from grace.run.trainable import Trainable
from grace.run.world import World
from harness.sources.places import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run, ready to train: configuration checked, data and model loaded."""

    config: TrainConfig
    run: RunDir
    """Where everything is written."""
    trained: Trainable
    """The model, and which of its weights are trained."""
    data: TrainingData
    sources: Sources = field(default_factory=Sources)
    """Where datasets and weights are looked for."""
    world: World = field(default_factory=World)
    """The processes that share the work."""
    progress: Progress = field(default_factory=Progress)
    """What is told of the steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a training loop ended."""

    steps: int
    """Optimiser steps done, those before a resumption included."""
    seconds: float
    """Wall-clock, over all resumptions."""
    cpu_seconds: float
    """Processor time of this process, all threads, over all resumptions."""
    is_interrupted: bool = False
    """True: a signal ended it; a checkpoint stands in the run's directory, and no candidate is written."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further provenance for candidate.yaml."""
