"""Vectors together with the rationales they hold: what `encode` alone does not give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.encoders.base import Vectors
from harness.encoders.cache import Entry
from harness.encoders.checked import CheckedEncoder
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.errors import InputError
from harness.tasks.types import Role


class Encoded(NamedTuple):
    """Texts as vectors; of encoders that write, with what was written."""

    vectors: Vectors
    """(n, d), row i for text i."""
    rationales: list[str] | None
    """(n,), decoded; None where the encoder writes none."""
    cut: list[bool] | None
    """(n,): whether the length limit ended the rationale."""
    written: list[int] | None = None
    """(n,): tokens of the rationale."""


def writes(encoder: CheckedEncoder) -> bool:
    """Return whether the encoder writes a rationale about each text."""
    return isinstance(encoder.inner, RationaleEncoder)


def encode_with_rationales(
    encoder: CheckedEncoder, texts: Sequence[str], *, role: Role | None, prompt: str | None
) -> Encoded:
    """Encode `texts`, checked as every encoder's output, and return the rationales with the vectors.

    Args:
        encoder: of any kind.
        texts: any Unicode, in any order.
        role, prompt: as of `CheckedEncoder.encode`; a model that writes rationales is told of no role.

    Raises:
        InputError: `ablation: shuffled-rationale`, where a text's vector depends on which others are encoded with it.
        EncoderOutputError: as `CheckedEncoder.encode`.
    """
    inner = encoder.inner
    if not isinstance(inner, RationaleEncoder):
        return Encoded(encoder.encode(texts, role=role, prompt=prompt), None, None)
    if inner.spec.ablation == "shuffled-rationale":
        raise InputError(
            ["ablation shuffled-rationale: a text's vector would depend on its neighbours; choose another ablation"]
        )
    written: dict[str, Entry] = {}

    def encode(unique: list[str]) -> Vectors:
        entries = inner.write(unique, prompt=prompt)
        written.update(zip(unique, entries, strict=True))
        return inner.stacked(entries)

    vectors = encoder.checked(texts, encode)
    decoded = {text: inner.tokenizer.decode(entry.about["ids"]) for text, entry in written.items()}
    return Encoded(
        vectors,
        rationales=[decoded[text] for text in texts],
        cut=[bool(written[text].about["cut"]) for text in texts],
        written=[len(written[text].about["ids"]) for text in texts],
    )
