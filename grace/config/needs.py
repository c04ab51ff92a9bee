"""What a training wants from outside, and when it ends: read off its configuration; nothing is looked up or loaded."""

from __future__ import annotations

import importlib.util
from typing import Any

from grace.config.schema import TrainConfig


def needs_of(config: TrainConfig) -> dict[str, Any]:
    """Return base, data, teacher, budgets and lacking packages as plain data; what there is none of is None."""
    data = config.data
    return {
        "name": config.name,
        "objective": config.objective,
        "base": {"model": config.model, "revision": config.revision, "sha256": config.sha256},
        "data": data.model_dump(include={"path", "dataset", "revision", "config", "split", "limit", "sample"}),
        "teacher": config.distil.teacher if config.objective == "distil" else None,
        "steps": config.steps,
        "budget_minutes": config.budget_minutes,
        "budget_cpu_seconds": config.budget_cpu_seconds,
        "lacking": list(_lacking(config)),
    }


def _lacking(config: TrainConfig) -> list[str]:
    found = []
    if config.objective == "grace" and importlib.util.find_spec("trl") is None:
        found.append("objective grace needs trl: pip install 'encoder-verdict[train]'")
    if config.objective == "grace" and config.grace.vllm is not None and importlib.util.find_spec("vllm") is None:
        found.append(f"grace.vllm: {config.grace.vllm} needs vLLM: pip install vllm")
    return found
