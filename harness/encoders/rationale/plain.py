"""Rationales by the model's own forward pass, one text at a time: slower, and for models of any kind.

Nothing is shared, padded or replaced: state-space and convolution layers, ALiBi, layers with an attention of their own.
The model writes through its own cache (`generate`), where that gives what its forward pass gives, else by reading
everything again for each token. The vector comes from a second forward pass over the same ids, without any cache.
Tokens are drawn as everywhere (`draws`): the same seed, text and rollout give the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.encoders.head import logits_of
from harness.encoders.probe import compared, fault_of
from harness.encoders.rationale.draws import Draws, pick
from harness.encoders.reading import read
from harness.encoders.rope import RopeLimit, apart, rope_limit

if TYPE_CHECKING:
    from torch import Tensor

TEXT_TOKENS = 32
"""Ids that stand for a text there."""
PROBE_TOKENS = 4
"""So many are written at load, to see whether the model's cache can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPrefix:
    """The prompt in front of every text, which is read anew with each."""

    ids: tuple[int, ...]
    """May be empty."""
    uses_cache: bool
    """Whether the model writes through its own cache."""
    rope: RopeLimit | None = None
    """From which length on the model turns positions another way, those in its cache too."""

    def __len__(self) -> int:
        return len(self.ids)

    def can_cache(self, own: int, new: int) -> bool:
        """Return whether the cache holds for a row of `own` tokens behind the prefix and `new` ones that are written.

        Raises:
            EncoderOutputError: it would be longer than the model's own code can be trusted to read.
        """
        start, end = len(self) + own, len(self) + own + new
        apart(self.rope, [end])
        return self.uses_cache and not (self.rope and self.rope.crosses(start, end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How the tokens of one row are chosen."""

    temperature: float
    """0: greedy."""
    draws: Draws | None
    """Of this row alone; None where nothing is drawn."""

    def choose(self, logits: Tensor) -> Tensor:
        """Return the next token, (1,), for logits (1, vocabulary)."""
        return pick(logits, self.temperature, None if self.draws is None else self.draws.next())


def make_plain_prefix(model: Any, ids: Sequence[int], suffix: Sequence[int]) -> PlainPrefix:
    """Return the prefix, and whether the model's cache holds over a few tokens behind a row of usual length."""
    start = [*ids, *ids[:TEXT_TOKENS], *suffix]
    holds = bool(start) and _cache_holds(model, start)
    return PlainPrefix(ids=tuple(ids), uses_cache=holds, rope=rope_limit(model))


def _cache_holds(model: Any, ids: list[int]) -> bool:
    """Return whether the logits that the cache leads to are those of one forward pass over the same tokens."""
    import torch

    greedy = Drawing(temperature=0.0, draws=None)
    try:
        with torch.inference_mode():
            new, logits = _through_the_cache(model, ids, greedy, limit=PROBE_TOKENS, ends=frozenset())
            row = torch.tensor([[*ids, *new[:-1]]], device=model.device)

            def own() -> list[Tensor]:
                return [model(input_ids=row).logits[0, len(ids) - 1 :]]

            return compared(model, [torch.stack(logits)], own(), own=own).holds
    except Exception as error:  # noqa: BLE001 - whatever a family's code says: there is a way without
        fault_of(error)
        return False


def write(
    model: Any, ids: list[int], drawing: Drawing, *, limit: int, ends: frozenset[int], uses_cache: bool
) -> tuple[list[int], int | None]:
    """Write behind `ids`, one row; returns the new ids without the one that ended them, and that one.

    Args:
        model: a causal language model in eval mode.
        ids: prefix + text + suffix.
        drawing: of this row.
        limit: tokens at most.
        ends: ids that end a rationale.
        uses_cache: of the prefix.
    """
    if uses_cache:
        new, _ = _through_the_cache(model, ids, drawing, limit=limit, ends=ends)
    else:
        new = _reading_again(model, ids, drawing, limit=limit, ends=ends)
    return (new[:-1], new[-1]) if new and new[-1] in ends else (new, None)


def pooled(model: Any, prefix: PlainPrefix, row: Sequence[int]) -> NDArray[np.float32]:
    """Return the mean state of `row` (text + suffix + rationale) behind the prefix, (h,)."""
    mean: NDArray[np.float32] = states(model, prefix, row).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def states(model: Any, prefix: PlainPrefix, row: Sequence[int]) -> NDArray[np.float32]:
    """Return the last states of `row` behind the prefix, (n, h)."""
    import torch

    with torch.inference_mode():
        found: NDArray[np.float32] = read(model, [[*prefix.ids, *row]])[0, len(prefix) :].float().cpu().numpy()
    return found


def _reading_again(model: Any, ids: list[int], drawing: Drawing, *, limit: int, ends: frozenset[int]) -> list[int]:
    new: list[int] = []
    while len(new) < limit and not (new and new[-1] in ends):
        last = read(model, [[*ids, *new]])[0, -1:]
        new.append(int(drawing.choose(logits_of(model, last))))
    return new


def _through_the_cache(
    model: Any, ids: list[int], drawing: Drawing, *, limit: int, ends: frozenset[int]
) -> tuple[list[int], list[Tensor]]:
    """Return the new ids, the one that ended them among them, and the logits before each, (vocabulary,)."""
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    seen: list[Tensor] = []

    def choose(_: Tensor, scores: Tensor) -> Tensor:
        seen.append(scores[0])
        return torch.full_like(scores, float("-inf")).scatter_(1, drawing.choose(scores)[:, None], 0.0)

    stops = sorted(ends)
    config = GenerationConfig(do_sample=False, max_new_tokens=limit, eos_token_id=stops or None, pad_token_id=0)
    row = torch.tensor([ids], device=model.device)
    with configured(model, config):
        made = model.generate(
            input_ids=row,
            attention_mask=torch.ones_like(row),
            logits_processor=LogitsProcessorList([choose]),
            use_cache=True,
        )
    return made[0, len(ids) :].tolist(), seen


@contextmanager
def configured(model: Any, config: Any) -> Iterator[None]:
    """Let `generate` read this configuration and none of the model's own: no penalty, no other end."""
    before = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = before
