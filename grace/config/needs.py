"""What a training wants from outside, when it ends, what another was told: read off configurations, nothing loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grace.config.load import load_config
from grace.config.schema import Data, TrainConfig
from harness.candidates.candidate_file import read_candidate_file
from harness.digests import sha256_file
from harness.environment import is_installed
from harness.errors import InputError
from harness.sources.content import content_of
from harness.suite.training import flat

CANDIDATE, CONFIG = "candidate.yaml", "config.yaml"
"""What a training ended as, and what it was told, in its directory."""
IDLE = ("name", "description", "device", "checkpoint_every", "track", "trackio", "candidate.selected_on")
"""Keys that move no weight of the candidate."""
PLACES = ("data.path", "data.dataset")
"""Keys that say where data are; the same rows elsewhere are the same."""


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

    Empty where it was told the same, or where it left nothing of what it was told.

    Raises:
        InputError: what it was told cannot be read.
    """
    if not (directory / CONFIG).exists():
        return []
    then = flat(load_config(directory / CONFIG).config.model_dump(mode="json"))
    now = flat(config.model_dump(mode="json"))
    apart = [key for key in dict.fromkeys((*then, *now)) if then.get(key) != now.get(key) and key not in IDLE]
    found = {key: (json.dumps(then.get(key)), json.dumps(now.get(key))) for key in apart}
    was, is_now = _noted_data(directory), _data_of(config.data)
    if was and is_now:
        place = next(key for key in PLACES if now.get(key) is not None)
        if was == is_now:
            found.pop(place, None)
        elif place not in found:
            found[f"the content of {place}"] = (was, is_now)
    return [(key, *values) for key, values in found.items()]


def _noted_data(directory: Path) -> str | None:
    """Return the digest of what a candidate was trained on; None where it notes none, or data of the hub."""
    try:
        noted = read_candidate_file(directory / CANDIDATE).training["data_identity"]
        return next((str(noted[name]) for name in ("sha256", "files_sha256") if name in noted), None)
    except (InputError, KeyError, TypeError):
        return None


def _data_of(data: Data) -> str | None:
    """Return the digest of a file or folder of data; None where it is not there, or data are the hub's."""
    try:
        if data.path is not None:
            return sha256_file(Path(data.path))
        is_folder = data.dataset is not None and Path(data.dataset).is_absolute()
        return content_of(Path(str(data.dataset)), "rows").sha256() if is_folder else None
    except OSError:
        return None


def _lacking(config: TrainConfig) -> list[str]:
    found = []
    if config.objective == "grace" and not is_installed("trl"):
        found.append("objective grace needs trl: pip install 'encoder-verdict[train]'")
    if config.objective == "grace" and config.grace.vllm is not None and not is_installed("vllm"):
        found.append(f"grace.vllm: {config.grace.vllm} needs vLLM: pip install vllm")
    return found
