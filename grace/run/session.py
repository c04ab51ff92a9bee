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


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run, ready to train: configuration checked, data and model loaded."""

    config: TrainConfig
    run: RunDir
    trained: Trainable
    data: TrainingData
    world: World = field(default_factory=World)
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a training loop ended."""

    steps: int
    """Optimiser steps done, those before a resumption included."""
    seconds: float
    """Wall-clock, over all resumptions."""
    cpu_seconds: float
    is_interrupted: bool = False
    """True: a signal ended it; a checkpoint stands in the run's directory, and no candidate is written."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further provenance for candidate.yaml."""
