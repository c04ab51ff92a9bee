"""The key of a cell: everything that can change its score, hashed; pure, imports nothing of the harness.

Batch size, device and thread count move a last digit at most: they are provenance, not key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.digests import digest

KEY_LENGTH = 20
"""Hex digits of a key: 80 bits, so that a billion cells collide with a chance below one in a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """What a key is made of; every field changes it."""

    candidate: Mapping[str, Any]
    """Weights, tokenizer, adapter, pooling, template, text length, generation, quantisation, similarity, dtype,
    attention, third-party options, and the encoder's scoring version."""
    task: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]
    prompts: Mapping[str, str | None]
    """Role -> the prefix this task's texts get."""
    dataset: Mapping[str, Any]
    """Dataset (or part) -> commit or digest of the files."""
    seed: int
    """The suite's where something draws from it, else 0."""
    limit: int | None
    engine: str
    """Distribution and version, such as mteb==2.26.24."""
    scoring_version: int
    """Of our own backend code."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Ability tasks: shots, filters, generation arguments, system instruction, chat template, subtasks.

    Tasks that rank documents: `search_precision`, where it is not float32, and `rescore`, where there is one; others on
    bits: `bits_version`.
    Clustering: `least_sets`, where a limit is so small that it counts. Limited tasks of BRIGHT: `keeps`.
    """


def key_of(parts: KeyParts) -> str:
    """Return the key: `KEY_LENGTH` hex digits."""
    return digest(asdict(parts))[:KEY_LENGTH]
