"""What a training wants from outside, when it ends, what another was told: read off configurations, nothing loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grace.config.load import load_config
from grace.config.schema import TrainConfig
from harness.candidates.candidate_file import read_candidate_file
from harness.digests import sha256_file
from harness.environment import is_installed
from harness.errors import InputError
from harness.suite.training import flat

CANDIDATE, CONFIG = "candidate.yaml", "config.yaml"
"""What a training ended as, and what it was told, in its directory."""
IDLE = ("name", "description", "device", "checkpoint_every", "track", "trackio", "candidate.selected_on")
"""Keys that move no weight of the candidate."""


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


def otherwise(config: TrainConfig, directory: Path) -> list[tuple[str, str, str]]:
    """Return what a training in `directory` was told otherwise than `config` says: key, told then, said now.

    Empty where it was told the same, or where what it was told cannot be read.
    """
    try:
        then = flat(load_config(directory / CONFIG).config.model_dump(mode="json"))
    except InputError:
        return []
    now = flat(config.model_dump(mode="json"))
    apart = [key for key in dict.fromkeys((*then, *now)) if then.get(key) != now.get(key)]
    if "data.path" in apart and _is_same_data(now.get("data.path"), directory):
        apart.remove("data.path")
    return [(key, json.dumps(then.get(key)), json.dumps(now.get(key))) for key in apart if key not in IDLE]


def _is_same_data(path: str | None, directory: Path) -> bool:
    """Whether a file, wherever it is, has the content that a candidate was trained on."""
    try:
        noted = read_candidate_file(directory / CANDIDATE).training["data_identity"]["sha256"]
        return path is not None and sha256_file(Path(path)) == noted
    except (InputError, OSError, KeyError, TypeError):
        return False


def _lacking(config: TrainConfig) -> list[str]:
    found = []
    if config.objective == "grace" and not is_installed("trl"):
        found.append("objective grace needs trl: pip install 'encoder-verdict[train]'")
    if config.objective == "grace" and config.grace.vllm is not None and not is_installed("vllm"):
        found.append(f"grace.vllm: {config.grace.vllm} needs vLLM: pip install vllm")
    return found
