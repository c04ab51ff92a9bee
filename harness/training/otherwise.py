"""Trained candidates whose directory was made from another configuration than the suite names for them now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.candidates.untrained import is_trained, shown_config
from harness.suite.model_entries import CandidateSpec
from harness.suite.schema import Suite
from harness.suite.training import overrides_of
from harness.training.asked import ask_needs

SHOWN = 4
"""Keys that a line names."""


def trained_otherwise(suite: Suite, models: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a line for each candidate of `suite` that is trained, and not as its `config:` and `train:` say.

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
    return tuple(
        _line(spec, row["otherwise"])
        for spec, row in zip(there, ask_needs(requests), strict=True)
        if row.get("otherwise")
    )


def _line(spec: CandidateSpec, found: Sequence[Sequence[str]]) -> str:
    """Return what is said of one candidate.

    Args:
        found: key, value it was trained with, value asked for.
    """
    told = "; ".join(f"{key} is {asked} there, {was} in its training" for key, was, asked in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (
        f"{spec.name}: {spec.candidate} was not trained as {shown_config(spec.config or '')} says now: {told}{more}; "
        "what is judged is what is in the directory"
    )
