"""The states an encoder takes the mean of, a token each: what explanations are made from.

One text at a time, through the same code as the encoder's own vectors; their mean is that vector (to rounding).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.encoders.base import Encoder, Vectors
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.head import body_of
from harness.encoders.rationale import plain
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.generate import forward_on, pool
from harness.encoders.rationale.plain import PlainPrefix
from harness.encoders.rationale.prefix_attention import SharedPrefix
from harness.encoders.rationale.template import tokenise
from harness.errors import HarnessError

Part = Literal["text", "suffix", "header", "rationale"]
"""Of the assistant header: the ids between text and rationale; of the suffix: what an entry has behind every text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStates:
    """The tokens of one text that take part in its vector, in order."""

    ids: tuple[int, ...]
    """(n,)"""
    parts: tuple[Part, ...]
    """(n,)"""
    states: NDArray[np.float32]
    """(n, h), after the final norm; the vector is their mean."""
    rationale_ids: tuple[int, ...] | None
    """The rationale, whether or not it takes part; None where the encoder writes none."""
    is_cut: bool = False
    """Whether the length limit ended the rationale."""
    is_text_cut: bool = False
    """Whether the length limit cut the text."""

    @property
    def vector(self) -> Vectors:
        """Their mean, (h,) float32."""
        mean: Vectors = self.states.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


def token_states(encoder: Encoder, texts: Sequence[str], *, prompt: str | None = None) -> list[TokenStates]:
    """Return the token states of each text.

    Args:
        encoder: as loaded, without the wrapper of central checks.
        texts: distinct; with `ablation: shuffled-rationale` each gets the rationale that `encoder.encode(texts)` gives.
        prompt: the prefix for every text, as in `encode`.

    Raises:
        HarnessError: the encoder's vectors are not the mean of states of a language model.
    """
    if isinstance(encoder, RationaleEncoder):
        return _of_rationales(encoder, texts, prompt)
    if isinstance(encoder, MeanPoolEncoder):
        return _of_texts(encoder, texts, prompt)
    raise HarnessError(
        f"{type(encoder).__name__} does not take the mean of a language model's states, so that its vectors cannot be "
        f"shared out among tokens; `encoder: mean-pool` and `rationale` do"
    )


def states_of_ids(model: Any, prefix: SharedPrefix | PlainPrefix, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return the states of `ids` after the prefix, (n, h): those that `rationale.pool` takes the mean of.

    Args:
        model: a causal language model in eval mode, inside `forward_on`.
        prefix: of `with_prompt`.
        ids: (n,) text + suffix + rationale.
    """
    if isinstance(prefix, PlainPrefix):
        return plain.states(model, prefix, ids)
    with _states_seen(model) as seen:
        pool(model, prefix, [list(ids)])
    states = np.concatenate(seen)[: len(ids)]
    assert len(states) == len(ids)  # noqa: S101 - one row is padded on the right or not at all
    return states


@contextmanager
def _states_seen(model: Any) -> Iterator[list[NDArray[np.float32]]]:
    """Collect the last states of every pass of one row inside the block."""
    seen: list[NDArray[np.float32]] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(output.last_hidden_state[0].float().cpu().numpy())

    handle = body_of(model).register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def _of_rationales(encoder: RationaleEncoder, texts: Sequence[str], prompt: str | None) -> list[TokenStates]:
    entries = encoder.write(texts, prompt=prompt)
    suffix, most = list(encoder.template.suffix), encoder.max_text_tokens
    whole = tokenise(encoder.tokenizer, [f"{prompt or ''}{text}" for text in texts])
    partners = encoder.partners(texts, prompt) if encoder.spec.ablation == "shuffled-rationale" else range(len(texts))
    found = []
    with forward_on(encoder.model, encoder.spec.forward):
        for uncut, partner in zip(whole, partners, strict=True):
            about, ids = entries[partner].about, uncut[:most]
            row = [*ids, *suffix, *about["ids"]]
            states = states_of_ids(encoder.model, encoder.prefix, row)
            parts = _parts({"text": len(ids), "header": len(suffix), "rationale": len(about["ids"])})
            start = len(ids) + len(suffix) if encoder.spec.ablation == "rationale-only" else 0
            found.append(
                TokenStates(
                    ids=tuple(row[start:]),
                    parts=parts[start:],
                    states=states[start:],
                    rationale_ids=tuple(about["ids"]),
                    is_cut=bool(about["cut"]),
                    is_text_cut=len(uncut) > most,
                )
            )
    return found


def _parts(counts: Mapping[Part, int]) -> tuple[Part, ...]:
    """Return which part each token is of, by how many tokens each part has, in their order."""
    return tuple(part for part, count in counts.items() for _ in range(count))


def _of_texts(encoder: MeanPoolEncoder, texts: Sequence[str], prompt: str | None) -> list[TokenStates]:
    import torch

    prefix, behind = encoder.prefix_ids(prompt), len(encoder.suffix)
    found = []
    for text in texts:
        before = encoder.counters.truncated_texts
        (ids,) = encoder.text_ids([text], len(prefix))
        with torch.inference_mode():
            states = encoder.states(prefix, [ids])[0, len(prefix) :][: len(ids)]
        found.append(
            TokenStates(
                ids=tuple(ids),
                parts=_parts({"text": len(ids) - behind, "suffix": behind}),
                states=states.float().cpu().numpy(),
                rationale_ids=None,
                is_text_cut=encoder.counters.truncated_texts > before,
            )
        )
    return found
