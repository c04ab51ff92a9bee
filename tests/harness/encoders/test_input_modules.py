"""Length limits of sentence-transformers models, and the texts that they cut, against the ids without a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import located
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from st_support import HIDDEN, save_body, save_model, transformer, words_tokenizer
from transformers import ByT5Tokenizer

from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.errors import EncoderOutputError, InputError
from harness.suite.model_entries import SentenceTransformersSpec

TEXTS = ["the cat sat on the mat", "rain", "moon " * 4, "moon " * 6, "moon " * 7, "a small dog ran over the hill"]
LONG = ["moon " * count for count in (10, 30, 62, 63, 64, 65, 66, 67, 200)]
"""Around 64 and 66 tokens, with two special ones around them."""


def load(folder: Path, **options: Any) -> SentenceTransformerEncoder:
    """Load a folder as the encoder."""
    spec = SentenceTransformersSpec(
        name="st", encoder="sentence-transformers", model=str(folder), device="cpu", **options
    )
    return SentenceTransformerEncoder(spec, located(folder))


def pooled(folder: Path, family: str = "bert", **options: Any) -> Path:
    """Save a body with mean pooling and return where."""
    return save_model(folder, lambda bodies: [transformer(bodies, family, **options), Pooling(HIDDEN, "mean")])


def python_tokenizer(folder: Path) -> Path:
    """Save a T5 whose tokenizer is written in Python: it keeps nothing of what it cuts."""
    body = save_body(folder / "body", "t5", vocab_size=300)
    for path in body.glob("token*"):
        path.unlink()
    ByT5Tokenizer(model_max_length=500).save_pretrained(body)
    return save_model(folder, lambda _: [Transformer(str(body)), Pooling(HIDDEN, "mean")])


def own_lengths(folder: Path, texts: list[str], prompt: str = "") -> list[int]:
    """Return the ids of each text without a limit, by its tokenizer alone."""
    tokenizer = SentenceTransformer(str(folder), device="cpu").tokenizer
    return [len(tokenizer(f"{prompt}{text}", truncation=False)["input_ids"]) for text in texts]


@pytest.mark.parametrize("prompt", ["", "find : "])
@pytest.mark.parametrize("batch_tokens", [1, 20, 4096])
def test_cut_texts_are_those_with_more_ids_than_the_limit(tmp_path: Path, prompt: str, batch_tokens: int) -> None:
    """The limit itself is not cut; the prompt counts; whatever the batches."""
    folder = pooled(tmp_path)
    encoder = load(folder, max_text_tokens=8, batch_tokens=batch_tokens)
    encoder.encode(TEXTS, role=None, prompt=prompt)
    lengths = own_lengths(folder, TEXTS, prompt)
    assert 8 in lengths
    assert encoder.counters.truncated_texts == sum(length > 8 for length in lengths) > 0
    assert encoder.counters.cut_tokens == sum(max(0, length - 8) for length in lengths)
    assert encoder.counters.tokens == sum(min(length, 8) for length in lengths)


@pytest.mark.parametrize("batch_tokens", [30, 4096])
def test_a_tokenizer_written_in_python_is_asked_once_more(tmp_path: Path, batch_tokens: int) -> None:
    """It does not say what it cut, so batches with a text at the limit are read again; the limit stays."""
    folder = python_tokenizer(tmp_path)
    encoder = load(folder, max_text_tokens=20, batch_tokens=batch_tokens)
    found = encoder.encode(TEXTS, role=None, prompt="")
    lengths = own_lengths(folder, TEXTS)
    assert encoder.counters.truncated_texts == sum(length > 20 for length in lengths) > 0
    assert encoder.counters.cut_tokens == sum(max(0, length - 20) for length in lengths)
    assert encoder.model.max_seq_length == 20
    library = SentenceTransformer(str(folder), device="cpu")
    library.max_seq_length = 20
    assert np.abs(found - library.encode(TEXTS, show_progress_bar=False)).max() < 1e-5


def test_each_route_counts_by_its_own_limit(tmp_path: Path) -> None:
    """Queries are cut at 5 tokens, documents at 8."""

    def modules(bodies: Path) -> list[Any]:
        query, document = ([transformer(bodies / str(most), most=most), Pooling(HIDDEN, "mean")] for most in (5, 8))
        return [Router.for_query_document(query, document)]

    folder = save_model(tmp_path, modules)
    lengths = own_lengths(folder, TEXTS)
    counts = []
    for role, most in (("query", 5), ("document", 8), (None, 8)):
        encoder = load(folder)
        encoder.encode(TEXTS, role=role, prompt=None)
        assert encoder.counters.truncated_texts == sum(length > most for length in lengths) > 0
        counts.append(encoder.counters.truncated_texts)
        assert encoder.max_text_tokens == 8
    assert counts[0] > counts[1]


def test_a_limit_in_the_tokenizers_own_file_counts_too(tmp_path: Path) -> None:
    """Word vectors read texts whole, unless tokenizer.json cuts them."""
    tokenizer = words_tokenizer("$A").backend_tokenizer
    tokenizer.enable_truncation(5)
    folder = save_model(tmp_path, lambda _: [StaticEmbedding(tokenizer, embedding_dim=16)])
    encoder = load(folder)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    assert np.abs(encoder.encode(TEXTS, role=None, prompt=None) - expected).max() < 1e-5
    assert encoder.counters.truncated_texts == sum(len(text.split()) > 5 for text in TEXTS) > 0
    assert encoder.counters.cut_tokens == sum(max(0, len(text.split()) - 5) for text in TEXTS)
    assert encoder.counters.tokens == sum(min(len(text.split()), 5) for text in TEXTS)
    assert encoder.describe()["max_text_tokens"] is None


def test_texts_without_a_token_are_counted(tmp_path: Path) -> None:
    """White space and nothing have no token of their own; the model reads its special tokens alone."""
    encoder = load(pooled(tmp_path))
    encoder.encode(["", "  \n", "?", "rain"], role=None, prompt=None)
    assert encoder.counters.empty_texts == 2


def test_a_text_that_leaves_nothing_to_read_is_refused(tmp_path: Path) -> None:
    """Where the tokenizer adds no special tokens the library raises, or averages nothing: here the reason is said."""
    body = save_body(tmp_path / "body", "llama")
    words_tokenizer("$A").save_pretrained(body)
    encoder = load(save_model(tmp_path, lambda _: [Transformer(str(body)), Pooling(HIDDEN, "mean")]))
    for texts in ([""], ["rain", ""]):
        with pytest.raises(EncoderOutputError, match=r"1 text\(s\) have no token"):
            encoder.encode(texts, role=None, prompt=None)
    assert np.isfinite(encoder.encode(["rain", ""], role=None, prompt="find : ")).all()


@pytest.mark.parametrize(("family", "usable"), [("roberta", 64), ("mpnet", 64), ("bert", 66)])
@pytest.mark.parametrize("own", [None, 66, 1000])
def test_texts_are_cut_where_positions_end(tmp_path: Path, family: str, usable: int, own: int | None) -> None:
    """Whatever the tokenizer's limit: no index error, and the vectors are the library's at that limit."""
    folder = pooled(tmp_path, family, most=own)
    options = {"attn_implementation": "eager"} if family == "mpnet" else {}
    encoder = load(folder, **options)
    assert encoder.max_text_tokens == encoder.describe()["max_text_tokens"] == usable
    found = encoder.encode(LONG, role=None, prompt=None)
    assert encoder.counters.truncated_texts == sum(length > usable for length in own_lengths(folder, LONG))
    library = SentenceTransformer(str(folder), device="cpu", model_kwargs=options)
    library.max_seq_length = usable
    assert np.abs(found - library.encode(LONG, show_progress_bar=False)).max() < 1e-5


def test_a_shorter_limit_of_the_model_is_kept(tmp_path: Path) -> None:
    """The tokenizer's 10 stays, and so does the suite's 12."""
    folder = pooled(tmp_path, "roberta", most=10)
    assert load(folder).max_text_tokens == 10
    assert load(folder, max_text_tokens=12).max_text_tokens == 12


def test_more_than_the_positions_are_refused(tmp_path: Path) -> None:
    """With the number that can be set."""
    with pytest.raises(InputError, match="set `max_text_tokens: 64`"):
        load(pooled(tmp_path, "roberta"), max_text_tokens=65)


@pytest.mark.parametrize("family", ["t5", "modernbert"])
def test_relative_and_rotary_positions_go_on(tmp_path: Path, family: str) -> None:
    """They have no table: the suite may ask for more than the configuration says; T5 reads whole texts."""
    folder = pooled(tmp_path, family)
    encoder = load(folder, max_text_tokens=150)
    encoder.encode(LONG, role=None, prompt=None)
    assert encoder.counters.truncated_texts == 1
    assert load(folder).max_text_tokens == (None if family == "t5" else 66)


def test_a_limit_that_cannot_be_set_is_refused(tmp_path: Path) -> None:
    """Word vectors have none."""
    tokenizer = words_tokenizer("$A").backend_tokenizer
    folder = save_model(tmp_path, lambda _: [StaticEmbedding(tokenizer, embedding_dim=16)])
    with pytest.raises(InputError, match="StaticEmbedding reads every text whole"):
        load(folder, max_text_tokens=8)


def test_an_attention_that_the_model_lacks_is_said_in_words(tmp_path: Path) -> None:
    """MPNet has no sdpa."""
    with pytest.raises(InputError, match="set `attn_implementation: eager`"):
        load(pooled(tmp_path, "mpnet"))


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_positions_that_nothing_tells_of_end_in_words(tmp_path: Path, family: str) -> None:
    """A model of somebody's own whose table is called otherwise: the error names the setting, not an index."""
    encoder = load(pooled(tmp_path, family))
    encoder.model.max_seq_length = 100
    with pytest.raises(EncoderOutputError, match="set `max_text_tokens`"):
        encoder.encode(["moon " * 200], role=None, prompt=None)
