"""How many tokens of each text an encoder reads, and which texts it cuts: text by text what its counters sum up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.encoders.base import Counters
from harness.encoders.checked import CheckedEncoder
from harness.encoders.dense import MeanPoolEncoder, text_ids
from harness.encoders.input_modules import lengths_of, whole_lengths
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.template import tokenise
from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.tasks.types import Role


class Lengths(NamedTuple):
    """Of texts that were not read yet."""

    tokens: list[int]
    """(n,): that the model reads of each text with what stands around it, padding not counted; of a model that writes,
    the text and the assistant's header, without the prompt that all texts share and without the rationale."""
    cut: list[bool]
    """(n,): whether the text is longer than what the model reads of it."""


def tells_lengths(encoder: CheckedEncoder) -> bool:
    """Return whether `lengths` knows encoders of this kind; those of other packages only count for themselves."""
    return isinstance(encoder.inner, MeanPoolEncoder | RationaleEncoder | SentenceTransformerEncoder)


def lengths(encoder: CheckedEncoder, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Lengths | None:
    """Return the lengths of `texts` as `encode` will read them; counts nothing.

    Args:
        encoder: of any kind.
        texts: any Unicode.
        role, prompt: as of `CheckedEncoder.encode`.

    Returns:
        None where the encoder does not say.
    """
    inner = encoder.inner
    if isinstance(inner, MeanPoolEncoder):
        return _of_language_model(inner, texts, prompt)
    if isinstance(inner, RationaleEncoder):
        return _of_writer(inner, texts, prompt)
    if isinstance(inner, SentenceTransformerEncoder):
        return _of_sentence_transformer(inner, texts, role=role, prompt=prompt)
    return None


def _of_language_model(inner: MeanPoolEncoder, texts: Sequence[str], prompt: str | None) -> Lengths:
    front = len(inner.prefix_ids(prompt))
    most = inner.room(front)
    own = [len(ids) for ids in tokenise(inner.tokenizer, texts)]
    read = text_ids(inner.tokenizer, texts, most, Counters())
    around = front + len(inner.suffix) + len(inner.behind)
    return Lengths([around + len(ids) for ids in read], [length > most for length in own])


def _of_writer(inner: RationaleEncoder, texts: Sequence[str], prompt: str | None) -> Lengths:
    own = [len(ids) for ids in tokenise(inner.tokenizer, [f"{prompt or ''}{text}" for text in texts])]
    most, header = inner.max_text_tokens, len(inner.template.suffix)
    return Lengths([min(length, most) + header for length in own], [length > most for length in own])


def _of_sentence_transformer(
    inner: SentenceTransformerEncoder, texts: Sequence[str], *, role: Role | None, prompt: str | None
) -> Lengths | None:
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates
    how = {"prompt": inner.own_prompt(role) if prompt is None else prompt} | ({"task": role} if role else {})
    features = inner.model.preprocess(clean, **how)
    read = lengths_of(features)
    if len(read) != len(clean):
        return None
    encodings = getattr(features, "encodings", None)
    if encodings is not None:
        return Lengths(read, [bool(one.overflowing) for one in encodings])
    whole = whole_lengths(inner.model, clean, **how)
    return Lengths(read, [length > own for length, own in zip(whole, read, strict=True)])
