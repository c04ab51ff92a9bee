"""Trained candidates whose directory was made from another configuration than the suite names for them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.candidates.untrained import is_trained, shown_config
from harness.suite.model_entries import CandidateSpec
from harness.suite.schema import Suite
from harness.suite.training import overrides_of
from harness.training.asked import ask_needs

SHOWN = 4
"""Keys, or problems, that a line names."""


def trained_otherwise(suite: Suite, models: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a line for each candidate of `suite` that is trained, and not as its `config:` and `train:` say.

    So has one of which that cannot be told: its configuration is refused or gone, or that of its training unreadable.

    Args:
        suite: asks `grace needs` only where it names a configuration for a candidate that is there.
        models: only these; empty: all.

    Keys that change no weight, such as a description, are left out of the comparison, and so is a directory without the
    `config.yaml` of its training.

    Raises:
        EnvironmentGapError: configurations cannot be read.
    """
    specs = [
        spec
        for spec in suite.models
        if isinstance(spec, CandidateSpec) and spec.config is not None and (not models or spec.name in models)
    ]
    there = [spec for spec in specs if is_trained(Path(spec.candidate).expanduser())]
    requests = [
        {
            "config": spec.config,
            "overrides": overrides_of(spec),
            "trained": str(Path(spec.candidate).expanduser().resolve()),
        }
        for spec in there
    ]
    rows = zip(there, ask_needs(requests), strict=True)
    return tuple(f"{line}; what is judged is what is in the directory" for one in rows if (line := _line(*one)))


def _line(spec: CandidateSpec, row: Mapping[str, Any]) -> str | None:
    """Return what is said of one candidate; None where it is as its entry says.

    Args:
        spec: its entry.
        row: what `grace needs` says: `problems`, or `otherwise`: key, value it was trained with, value asked for.
    """
    config = shown_config(spec.config or "")
    if problems := row.get("problems"):
        why = "; ".join(problems[:SHOWN])
        return f"{spec.name}: {spec.candidate} cannot be held against its configuration {config}: {why}"
    found = row.get("otherwise")
    if not found:
        return None
    told = "; ".join(f"{key} is {asked} there, {was} in its training" for key, was, asked in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{spec.name}: {spec.candidate} was not trained as {config} says now: {told}{more}"
