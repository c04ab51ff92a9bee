"""What can be checked of a contrastive run before a model is loaded."""

from __future__ import annotations

from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData
from harness.errors import InputError


def check_contrastive(config: TrainConfig, _data: TrainingData, *, processes: int) -> None:
    """Raise InputError where the processes cannot share a batch evenly."""
    if config.batch_size % processes:
        raise InputError([f"batch_size: {config.batch_size} is no multiple of the {processes} processes"])
