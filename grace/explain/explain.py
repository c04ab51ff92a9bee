"""Why two texts are similar: both rationales, the cosine, and the exact share of every token in it.

An encoder whose vector is a mean of token states makes the cosine a sum over pairs of tokens, so nothing here is
estimated: a side's shares add up to the cosine (`harness/encoders/explain/shares.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.encoders.checked import CheckedEncoder
from harness.encoders.explain.pieces import token_pieces
from harness.encoders.explain.shares import token_shares
from harness.encoders.explain.states import Part, TokenStates, token_states
from harness.errors import EncoderOutputError

TOLERANCE = 1e-4
"""Largest difference of normalised vectors between the encoder and the states; 1e-5 in float32, more in bfloat16."""
TOLERANCE_16_BIT = 2e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that takes part in a vector."""

    id: int
    piece: str
    """What it adds to the text; empty where it holds a part of a character that a later token completes."""
    part: Part
    share: float
    """In the cosine; may be negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two texts."""

    text: str
    tokens: tuple[Token, ...]
    rationale: str | None
    """None where the encoder writes none."""
    is_cut: bool
    """Whether the length limit ended the rationale."""
    is_text_cut: bool = False
    """Whether the length limit cut the text."""

    def by_part(self) -> dict[str, float]:
        """Return the summed shares of text, header and rationale, those that take part."""
        sums: dict[str, float] = {}
        for token in self.tokens:
            sums[token.part] = sums.get(token.part, 0.0) + token.share
        return sums

    def spans(self) -> Iterator[tuple[str, Part, float]]:
        """Yield (text, part, share) with the tokens of one character put together."""
        waiting = 0.0
        for token in self.tokens:
            waiting += token.share
            if token.piece:
                yield token.piece, token.part, waiting
                waiting = 0.0
        if waiting:
            yield "\ufffd", self.tokens[-1].part, waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Two texts under one candidate."""

    candidate: str
    kind: str
    fingerprint: str
    seed: int
    prompt: str | None
    cosine: float
    """In [-1, 1]."""
    a: Side
    b: Side

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain JSON; each side's shares add up to `cosine`."""
        about: dict[str, Any] = {"candidate": self.candidate, "kind": self.kind, "fingerprint": self.fingerprint}
        about |= {"seed": self.seed, "prompt": self.prompt, "cosine": self.cosine}
        return about | {"a": _side_json(self.a), "b": _side_json(self.b)}


def explain(
    encoder: CheckedEncoder, text_a: str, text_b: str, *, kind: str, fingerprint: str, seed: int, prompt: str | None
) -> Explanation:
    """Share the cosine of two texts out among their tokens.

    Args:
        encoder: of a candidate of kind `mean-pool` or `rationale`.
        text_a, text_b: may be equal.
        kind, fingerprint, seed: of the candidate; repeated in the result.
        prompt: stands before both texts, or None.

    Raises:
        HarnessError: the encoder's vectors are no mean of states.
        EncoderOutputError: the states do not average to the encoder's vectors.
    """
    inner: Any = encoder.inner
    texts = list(dict.fromkeys([text_a, text_b]))
    found = dict(zip(texts, token_states(inner, texts, prompt=prompt), strict=True))
    vectors = encoder.encode(texts, role=None, prompt=prompt)
    bits = TOLERANCE if inner.spec.dtype == "float32" else TOLERANCE_16_BIT
    for text, vector in zip(texts, vectors, strict=True):
        _hold_against(found[text], vector, text, bits)
    a, b = found[text_a], found[text_b]
    shares = token_shares(a.states, b.states)
    return Explanation(
        candidate=encoder.name,
        kind=kind,
        fingerprint=fingerprint,
        seed=seed,
        prompt=prompt,
        cosine=float(shares.a.sum()),
        a=_side(inner, text_a, a, shares.a),
        b=_side(inner, text_b, b, shares.b),
    )


def _hold_against(states: TokenStates, vector: Any, text: str, tolerance: float) -> None:
    """Refuse to explain a vector that is not the one the encoder gives."""
    own, theirs = states.vector / np.linalg.norm(states.vector), vector / np.linalg.norm(vector)
    distance = float(np.abs(own - theirs).max())
    if not distance < tolerance:
        raise EncoderOutputError(
            f"the states of {text[:60]!r} average to another vector than the encoder gives (by {distance:.2g}): "
            f"a stale cache would do that; try again with --no-cache"
        )


def _side(encoder: Any, text: str, states: TokenStates, shares: Any) -> Side:
    pieces = token_pieces(encoder.tokenizer, states.ids)
    tokens = zip(states.ids, pieces, states.parts, shares.tolist(), strict=True)
    written = states.rationale_ids
    return Side(
        text=text,
        tokens=tuple(Token(id=id_, piece=piece, part=part, share=share) for id_, piece, part, share in tokens),
        rationale=None if written is None else encoder.tokenizer.decode(list(written)),
        is_cut=states.is_cut,
        is_text_cut=states.is_text_cut,
    )


def _side_json(side: Side) -> dict[str, Any]:
    tokens = [{"id": one.id, "piece": one.piece, "part": one.part, "share": one.share} for one in side.tokens]
    about: dict[str, Any] = {"text": side.text, "text_cut": side.is_text_cut}
    about |= {"rationale": side.rationale, "rationale_cut": side.is_cut}
    return about | {"shares": side.by_part(), "tokens": tokens}
