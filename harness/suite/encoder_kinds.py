"""THE table of encoder kinds: entry class, scoring version, language model or not, module:class."""

from __future__ import annotations

from importlib.metadata import entry_points

from harness.suite.model_entries import (
    BUILT_IN_ENCODERS,
    LoadedModel,
    MeanPoolSpec,
    RationaleSpec,
    SentenceTransformersSpec,
)

ENCODER_SCORING_VERSION = {"sentence-transformers": 1, "mean-pool": 1, "rationale": 2, "tf-idf": 1}
"""Raised when our code changes the vectors of an encoder; part of every key."""

LM_ENCODERS = ("mean-pool", "rationale")
"""Encoders over a causal language model, which the ability axis can be run on."""

SPECS: dict[str, type[LoadedModel]] = {
    "sentence-transformers": SentenceTransformersSpec,
    "mean-pool": MeanPoolSpec,
    "rationale": RationaleSpec,
}
ENTRY_POINT_GROUP = "harness.encoders"


def known_encoders() -> list[str]:
    """Return the encoder kinds that can be named: ours and those that other packages register."""
    return [*BUILT_IN_ENCODERS, *sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]
