"""THE table of encoder kinds. A new one of ours is a class in `model_entries.py`, a row here, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import NamedTuple

from harness.environment import is_installed
from harness.suite.model_entries import (
    Bm25Spec,
    FittedModel,
    LoadedModel,
    MeanPoolSpec,
    RationaleSpec,
    SentenceTransformersSpec,
    TfIdfSpec,
)

ENTRY_POINT_GROUP = "harness.encoders"
"""Where other packages register theirs."""


class EncoderKind(NamedTuple):
    """What is known of an encoder of ours before anything is loaded."""

    entry: type[LoadedModel | FittedModel]
    """What a suite says of it."""
    scoring_version: int
    """Raised when our code changes its vectors; part of every key."""
    has_language_model: bool
    """Whether a causal language model is inside, which the ability axis can be run on."""
    encoder: str
    """`module:class`, with `from_candidate`; imported when a candidate is loaded."""

    embeds: bool = True
    """Whether it gives vectors; False: it ranks documents, and nothing else can be measured of it."""
    packages: Mapping[str, str] = {}
    """Distribution -> module of what it needs beside what is always installed."""
    install: str = ""
    """How those are had."""

    def lacking_packages(self) -> list[str]:
        """Return the distributions that it needs and that are not installed."""
        return [name for name, module in self.packages.items() if not is_installed(module)]

    @property
    def draws_random_numbers(self) -> bool:
        """Whether another seed gives other vectors: where the entry says how something is generated."""
        return "generation" in self.entry.model_fields


KINDS = {
    "sentence-transformers": EncoderKind(
        entry=SentenceTransformersSpec,
        scoring_version=2,
        has_language_model=False,
        encoder="harness.encoders.sentence_transformer:SentenceTransformerEncoder",
    ),
    "mean-pool": EncoderKind(
        entry=MeanPoolSpec,
        scoring_version=2,
        has_language_model=True,
        encoder="harness.encoders.dense:MeanPoolEncoder",
    ),
    "rationale": EncoderKind(
        entry=RationaleSpec,
        scoring_version=3,
        has_language_model=True,
        encoder="harness.encoders.rationale.encoder:RationaleEncoder",
    ),
    "tf-idf": EncoderKind(
        entry=TfIdfSpec,
        scoring_version=1,
        has_language_model=False,
        encoder="harness.encoders.tfidf:TfIdfEncoder",
    ),
    "bm25": EncoderKind(
        entry=Bm25Spec,
        scoring_version=1,
        has_language_model=False,
        encoder="harness.encoders.bm25:Bm25Encoder",
        embeds=False,
        packages={"bm25s": "bm25s", "PyStemmer": "Stemmer"},
        install="pip install 'encoder-verdict[bm25]'",
    ),
}


def known_encoders() -> list[str]:
    """Return the encoder kinds that can be named: ours and those that other packages register."""
    return [*KINDS, *sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]


def has_language_model(kind: str) -> bool:
    """Return whether the ability axis can be run on encoders of a kind; those of other packages have no such model."""
    return kind in KINDS and KINDS[kind].has_language_model
