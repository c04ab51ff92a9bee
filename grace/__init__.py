"""Training of the candidates that `harness` judges.

    import grace
    outcome = grace.train("config.yaml", "runs/mine")

What is listed in `__all__` is what others may rely on. This file stands above all rooms, and everything imports it
first: so it imports each of them only when it is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grace.config.schema import TrainConfig
    from grace.run.progress import Progress
    from grace.training.train import Trained
    from harness.sources.places import Sources

__all__ = ["Progress", "TrainConfig", "Trained", "train"]

_TYPES = {
    "Progress": "grace.run.progress",
    "TrainConfig": "grace.config.schema",
    "Trained": "grace.training.train",
}
"""What the function below takes and returns -> its module; `Sources` is harness's."""


def train(
    config: TrainConfig | Path | str | Mapping[str, Any],
    out: Path | str,
    *,
    resume: bool = False,
    sources: Sources | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a candidate; see `grace.training.train.train`."""
    from grace.training.train import train as train_candidate

    return train_candidate(config, out, resume=resume, sources=sources, progress=progress)


def __getattr__(name: str) -> Any:
    if name in _TYPES:
        return getattr(import_module(_TYPES[name]), name)
    raise AttributeError(f"module 'grace' has no attribute {name!r}")
