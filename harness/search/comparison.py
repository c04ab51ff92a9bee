"""How two vectors are compared: in float32, as int8 or by their signs; what is an integer is computed exactly.

- `float32`: the product of the vectors, made of length one first where the similarity is cosine.
- `int8`: each dimension is cut into 256 steps between the least and the greatest value that it has over the documents
  (`sentence_transformers.util.quantize_embeddings`, calibrated on the documents; queries are cut by the same steps).
  The product of the integers is exact; cosine divides it by their lengths in float64. A vector of which every integer
  is 0 has no direction and is as like to all: 0.
- `binary`: bit i says whether value i is above 0. The score is d - 2 * (Hamming distance): the product of the signs,
  whatever the similarity. It is computed as a product of +1 and -1, which matrix units do faster than bits are counted.

Whatever the precision a score ends as float32, which is what trec_eval ranks by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["float32", "int8", "binary"]
Similarity = Literal["cosine", "dot"]
_EXACT = 1024
"""Dimensions up to which sums of products of two int8 are whole numbers that float32 holds: 128 * 128 * 1024 = 2^24."""
STEPS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Vectors, ready to be multiplied."""

    values: Any
    """(n, d) float tensor."""
    lengths: Any | None = None
    """(n,) float64 tensor that products are divided by; None where they are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is done to vectors before they are multiplied, and to products after."""

    similarity: Similarity
    precision: Precision = "float32"
    ranges: NDArray[np.float32] | None = None
    """(2, d) least and greatest value of each dimension over the documents (`ranges_of`); of int8 alone."""
    queries_as_floats: bool = False
    """Whether queries stay floats, of length one where the similarity is cosine, as documents that bits have found are
    ranked again: the product with signs orders them as that with bits does (`semantic_search_faiss(rescore=True)`)."""

    def asked(self, vectors: Any) -> Prepared:
        """Return queries, an (n, d) float32 tensor, as they are compared."""
        plain = Comparison(similarity=self.similarity) if self.queries_as_floats else self
        return plain.prepared(vectors)

    def prepared(self, vectors: Any) -> Prepared:
        """Return `vectors`, an (n, d) float32 tensor, as they are compared."""
        import torch

        if self.precision == "binary":
            return Prepared(values=torch.where(vectors > 0, 1.0, -1.0))
        if self.precision == "float32":
            is_cosine = self.similarity == "cosine"
            return Prepared(values=torch.nn.functional.normalize(vectors, dim=1) if is_cosine else vectors)
        integers = self._integers(vectors)
        if self.similarity == "dot":
            return Prepared(values=integers)
        squares = integers.double().square().sum(dim=1)
        return Prepared(values=integers, lengths=squares.sqrt().clamp(min=1.0))  # 0, or 1 and more

    def matrix(self, queries: Prepared, documents: Prepared) -> Any:
        """Return the (q, n) float32 scores of all queries with all documents."""
        products = queries.values @ documents.values.T
        if queries.lengths is None or documents.lengths is None:
            return products.float()
        return (products.double() / queries.lengths[:, None] / documents.lengths[None, :]).float()

    def pairs(self, queries: Prepared, documents: Prepared) -> Any:
        """Return the (n,) float32 scores of rows with like index."""
        products = (queries.values * documents.values).sum(dim=1)
        if queries.lengths is None or documents.lengths is None:
            return products.float()
        return (products.double() / queries.lengths / documents.lengths).float()

    def _integers(self, vectors: Any) -> Any:
        """Return what `quantize_embeddings(..., "int8")` does, as whole floats in a type that sums them exactly."""
        import torch

        if self.ranges is None:
            raise ValueError("int8 needs the ranges of the documents")
        # Steps are divided out by numpy: torch multiplies by a reciprocal on some devices.
        starts, steps = self.ranges[0], (self.ranges[1] - self.ranges[0]) / np.float32(STEPS)
        steps = np.where(steps == 0, np.float32(1), steps)
        low, step = (torch.from_numpy(one).to(vectors.device) for one in (starts, steps))
        integers = ((vectors - low) / step).floor().clamp(0, STEPS) - 128
        return integers if vectors.shape[1] <= _EXACT else integers.double()


def ranges_of(blocks: Iterable[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Return (2, d): the least and the greatest value of each dimension over all rows of `blocks`.

    Raises:
        ValueError: there is no row.
    """
    found: NDArray[np.float32] | None = None
    for _, block in blocks:
        if len(block):
            rows = block if found is None else np.concatenate([found, block])
            found = np.stack([rows.min(axis=0), rows.max(axis=0)])
    if found is None:
        raise ValueError("no document: int8 has no ranges")
    return found
