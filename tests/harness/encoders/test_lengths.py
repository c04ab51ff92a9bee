"""Lengths text by text: held against the tokenizers themselves, and against what encoders count as they encode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from candidates_support import candidate_directory, chat_model
from cells_support import HashEncoder
from st_support import save_model, transformer
from suites_support import isolate

from harness.candidates.named import named_candidate
from harness.encoders.checked import CheckedEncoder
from harness.encoders.lengths import lengths, tells_lengths
from harness.encoders.loading import load
from harness.sources.places import Sources

LONG = "the cat sat on the mat and looked at the moon " * 6
TEXTS = ["the cat", LONG, "", "a small dog <|im_end|>", "the cat"]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return kind -> what names a tiny candidate of it that cuts at 24 tokens."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    folder = tmp_path_factory.mktemp("tiny")
    model = chat_model(folder / "model")
    candidate_directory(folder / "plain", model, kind="mean-pool", encoder="{max_text_tokens: 24}")
    generation = "{generation: {max_new_tokens: 2}, max_text_tokens: 24}"
    candidate_directory(folder / "writer", model, kind="rationale", encoder=generation)
    stored = save_model(folder / "st", lambda body: [transformer(body), Pooling(32, "mean")])
    library = f"{{encoder: sentence-transformers, model: {stored}, max_text_tokens: 24}}"
    return {"plain": str(folder / "plain"), "writer": str(folder / "writer"), "library": library}


@pytest.mark.parametrize("prompt", [None, "find : "])
@pytest.mark.parametrize("kind", ["plain", "writer", "library"])
def test_lengths_are_what_encoding_counts(named, tmp_path: Path, monkeypatch, kind: str, prompt: str | None) -> None:
    """Each text encoded alone counts as many tokens, and is cut where they say so; asking counts nothing."""
    isolate(monkeypatch, tmp_path)
    encoder = load(named_candidate(named[kind], Sources()), use_cache=False)
    assert tells_lengths(encoder)
    found = lengths(encoder, TEXTS, role=None, prompt=prompt)
    assert encoder.take_counters()["tokens"] == 0
    assert found is not None
    for text, tokens, is_cut in zip(TEXTS, found.tokens, found.cut, strict=True):
        counts = take_counts(encoder, text, prompt)
        assert (tokens, is_cut) == (counts["tokens"], bool(counts["truncated_texts"])), text
    assert found.cut == [False, True, False, False, False]


def take_counts(encoder: CheckedEncoder, text: str, prompt: str | None) -> dict[str, float]:
    """Return what encoding one text counts, without the rationale's own tokens."""
    encoder.encode([text], prompt=prompt)
    counts = encoder.take_counters()
    details = encoder.take_details()
    if details is not None:
        inner: Any = encoder.inner
        counts["tokens"] -= len(inner.write([text], prompt=prompt)[0].about["ids"])
        encoder.take_counters()
    return counts


def test_encoders_of_other_packages_do_not_say() -> None:
    """None, rather than a guess."""
    other = CheckedEncoder(HashEncoder(4), name="other")
    assert not tells_lengths(other)
    assert lengths(other, ["a"], role=None, prompt=None) is None
