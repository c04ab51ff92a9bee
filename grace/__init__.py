"""Training of the candidates that `harness` judges.

    import grace
    outcome = grace.train("config.yaml", "runs/mine")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """Import `grace.train` at its first use: the module is callable, as `grace.train(config, out)`."""
    if name == "train":
        return import_module("grace.train")
    raise AttributeError(f"module 'grace' has no attribute {name!r}")
