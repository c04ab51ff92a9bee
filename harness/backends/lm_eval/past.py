"""Past, Trace, Work: keys and values of a shared beginning, what a request left behind, and what sharing saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch  # noqa: TID253
from transformers import DynamicCache  # noqa: TID253

Past = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, (b, heads, t, d)."""


@dataclass(slots=True)
class Trace:
    """What scoring one request left behind, beside lm-eval's own answer."""

    continuation_tokens: int | None = None
    """Likelihood requests: tokens of the continuation."""
    gold_nll: float | None = None
    """Generation requests: nats of the whole gold answer after the prompt."""
    gold_tokens: int | None = None
    generated_tokens: list[int] = field(default_factory=list)
    """One entry a repeat; the stop token counts."""
    truncated: list[bool] = field(default_factory=list)
    """Whether the limit came before a stop."""


@dataclass(slots=True, kw_only=True)
class Work:
    """Tokens asked for and tokens computed: what sharing saved."""

    prompt_tokens: int = 0
    """In the rows, as plain lm-eval would compute them."""
    computed_tokens: int = 0
    generated_tokens: int = 0
    """Of the computed ones."""
    shared_prefixes: int = 0


def padded_right(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return (b, t) ids with zeros after each row."""
    padded = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.tensor(row)
    return padded


def layers_of(cache: DynamicCache) -> Past:
    """Return the keys and values a cache holds; it replaces them when it grows, so these stay as they are."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def cache_of(past: Past | None, rows: int) -> DynamicCache | None:
    """Return a new cache that begins with `past`, of one row, for each of `rows` rows; None for no past."""
    if past is None:
        return None
    return DynamicCache([(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)) for keys, values in past])
