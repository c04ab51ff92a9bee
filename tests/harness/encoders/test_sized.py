"""Sizes are cut as sentence-transformers cuts and rounds them: its own `encode` is the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import save_tiny_sentence_transformer

from harness.encoders.sized import cut, quantised
from harness.errors import EncoderOutputError
from harness.suite.size import Size, vector_bytes

TEXTS = ["a man plays", "someone plays music", "rain fell", "the cat sat", "a dog ran", "two men", "stone bridge"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny random SentenceTransformer of 32 dimensions, not normalised."""
    from sentence_transformers import SentenceTransformer

    folder: Path = save_tiny_sentence_transformer(tmp_path_factory.mktemp("tiny"))
    return SentenceTransformer(str(folder), device="cpu")


def size(dimension: int | None = None, precision: Any = "float32") -> Size:
    """Return a size of `m`."""
    return Size(of="m", dimension=dimension, precision=precision)


@pytest.mark.parametrize("dimension", [1, 8, 31, 32])
def test_the_first_dimensions_are_those_of_truncate_dim(model, dimension):
    """Of length one again where the similarity is cosine; as they are where it is the product."""
    whole = model.encode(TEXTS)
    again = model.encode(TEXTS, truncate_dim=dimension, normalize_embeddings=True)
    assert np.array_equal(cut(whole, size(dimension), "cosine"), again)
    assert np.array_equal(cut(whole, size(dimension), "dot"), model.encode(TEXTS, truncate_dim=dimension))


@pytest.mark.parametrize("dimension", [8, None])
def test_integers_and_bits_are_those_of_the_library(model, dimension):
    """int8 over the texts of the call; bits unpacked to +1 and -1, those past the last dimension left out."""
    more = {} if dimension is None else {"truncate_dim": dimension, "normalize_embeddings": True}
    whole = model.encode(TEXTS)
    integers = quantised(cut(whole, size(dimension, "int8"), "cosine"), size(dimension, "int8"))
    assert np.array_equal(integers, model.encode(TEXTS, precision="int8", **more))
    assert integers.dtype == np.float32
    bits = quantised(cut(whole, size(dimension, "binary"), "cosine"), size(dimension, "binary"))
    packed = model.encode(TEXTS, precision="ubinary", **more)
    assert np.array_equal(bits > 0, np.unpackbits(packed, axis=1).astype(bool))
    assert set(np.unique(bits)) == {-1.0, 1.0}
    odd = quantised(cut(whole, size(3, "binary"), "cosine"), size(3, "binary"))
    assert odd.shape == (len(TEXTS), 3)


def test_half_floats_are_rounded_and_computed_with_as_floats(model):
    """To numpy's own rounding."""
    whole = model.encode(TEXTS)
    found = cut(whole, size(None, "float16"), "cosine")
    assert found.dtype == np.float32
    assert np.array_equal(found, whole.astype(np.float16))
    assert not np.array_equal(found, whole)


def test_whole_vectors_stay_what_they_are():
    """Not even a copy."""
    whole = np.eye(3, dtype=np.float32)
    assert cut(whole, size(), "cosine") is whole
    assert quantised(whole, size()) is whole


@pytest.mark.parametrize(
    ("vectors", "wanted", "said"),
    [
        (np.ones((2, 4)), size(5), "dimensions: 5 is more than the 4"),
        (np.eye(4), size(2), "2 of 4 vectors are 0 or not finite"),
        (np.full((2, 4), 1e6), size(None, "float16"), "2 of 2 vectors are 0 or not finite"),
        (np.full((2, 4), 1e-9), size(None, "float16"), "2 of 2 vectors are 0 or not finite"),
    ],
)
def test_a_size_that_leaves_nothing_is_refused(vectors, wanted, said):
    """Too few dimensions, zeros where a vector is cut, and what half floats do not hold."""
    with pytest.raises(EncoderOutputError, match=said):
        cut(vectors.astype(np.float32), wanted, "cosine")


def test_int8_of_one_text_alone_is_refused():
    """Its steps would have no width, as the library says too."""
    with pytest.raises(EncoderOutputError, match="int8 of one text alone"):
        quantised(np.ones((1, 4), dtype=np.float32), size(None, "int8"))
    assert quantised(np.ones((0, 4), dtype=np.float32), size(None, "int8")).shape == (0, 4)


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", 1028), ("float16", 514), ("int8", 257), ("binary", 33)]
)
def test_bytes_of_a_vector(precision, expected):
    """Of 257 dimensions; bits are filled up to whole bytes."""
    assert vector_bytes(257, precision) == expected
