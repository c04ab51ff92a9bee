"""A size of a model's vectors, cut from its whole ones: the first dimensions, rounded; sentence-transformers' own way.

- dimensions: the first so many (`truncate_dim`), then of length one again where the similarity is cosine
  (`normalize_embeddings`), since classifiers and k-means see lengths.
- float16: rounded to half floats, and computed with as floats.
- int8: each dimension is cut into 256 steps (`quantize_embeddings(..., "int8")`) between its least and its greatest
  value over the texts of one call, as `encode(..., precision="int8")` does it. Documents that are ranked have steps of
  their own: see `harness.search.comparison`, which is given float vectors.
- binary: whether a value is above 0 (`quantize_embeddings(..., "ubinary")`), unpacked to +1 and -1, so that cosine and
  product are the Hamming distance turned over. The packed bytes themselves are no numbers to compute with.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from harness.encoders.base import Vectors
from harness.errors import EncoderOutputError
from harness.suite.fields import Similarity
from harness.suite.size import Size

_QUANTIZATION = "sentence_transformers.util.quantization"


def cut(vectors: Vectors, size: Size, similarity: Similarity) -> Vectors:
    """Return (n, d) float32: the first dimensions of whole vectors, rounded where they are kept as half floats.

    Args:
        vectors: (n, D) float32, whole.
        size: d and precision; int8 and binary are left to `quantised`, or to the search.
        similarity: of the model.

    Raises:
        EncoderOutputError: there are fewer dimensions, or one of the vectors is 0 then, or not finite.
    """
    found = vectors
    if size.dimension is not None:
        found = _first(found, size, similarity)
    if size.precision == "float16":
        with np.errstate(over="ignore"):
            found = found.astype(np.float16).astype(np.float32)
    if found is not vectors:
        good = int((np.isfinite(found).all(axis=1) & found.any(axis=1)).sum())
        if good < len(found):
            what = f"{len(found) - good} of {len(found)} vectors are 0 or not finite"
            raise EncoderOutputError(f"model {size.name!r}: {what} in its size; leave that size out")
    return found


def quantised(vectors: Vectors, size: Size) -> Vectors:
    """Return the integers of int8, or the signs of binary, as (n, d) float32; other vectors as they are.

    Args:
        vectors: (n, d) float32, of `cut`.
        size: says the precision.

    Raises:
        EncoderOutputError: int8 of one vector alone, which has no steps.
    """
    from sentence_transformers.util import quantize_embeddings

    if size.precision == "binary" and len(vectors):
        bits = np.unpackbits(quantize_embeddings(vectors, "ubinary"), axis=1, count=vectors.shape[1])
        return np.where(bits, np.float32(1), np.float32(-1))
    if size.precision == "int8" and len(vectors):
        if len(vectors) < 2:
            raise EncoderOutputError(f"model {size.name!r}: int8 of one text alone has no steps; leave the size out")
        with _without_advice():
            return np.asarray(quantize_embeddings(vectors, "int8"), dtype=np.float32)
    return vectors


def _first(vectors: Vectors, size: Size, similarity: Similarity) -> Vectors:
    import torch

    assert size.dimension is not None  # noqa: S101 - asked by `cut`
    if len(vectors) and vectors.shape[1] < size.dimension:
        what = f"{size.dimension} is more than the {vectors.shape[1]} that its vectors have"
        raise EncoderOutputError(f"model {size.of!r}: dimensions: {what}; take it out")
    first = vectors[:, : size.dimension]
    if similarity != "cosine":
        return np.ascontiguousarray(first)
    normalised: Vectors = torch.nn.functional.normalize(torch.from_numpy(np.array(first)), p=2, dim=1).numpy()
    return normalised


@contextmanager
def _without_advice() -> Iterator[None]:
    """Leave out that ranges of few texts are rough, which the library says of each call: docs/encoders.md does."""
    logger = logging.getLogger(_QUANTIZATION)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
