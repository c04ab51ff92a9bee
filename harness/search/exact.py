"""Exact top-k of queries over a stream of documents' vectors, in memory that does not grow with the documents.

Vectors come in blocks and are compared in tiles of a few million scores, so that a million documents of 576 dimensions
and a thousand queries need some hundred MB beside the block itself. Nothing is approximate: every document is compared
with every query, and of equal scores those with the greater id are kept, at the cut too (`harness.search.keys`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.best import Best, finite
from harness.search.comparison import Comparison, Prepared
from harness.search.keys import NOTHING, keys_of, places_of, scores_of
from harness.search.ranks import Ranks

Vectors = NDArray[np.float32]
Blocks = Iterable[tuple[int, Vectors]]
"""(position of the first document, its and the next documents' vectors), one after the other, every document once."""
TILE_SCORES = 1 << 21
"""Scores that are looked at in one go: 8 MiB, and a few times that while what is good enough is picked out."""
TILE_DOCUMENTS = 2048
LEAST_TILE = 128
RESERVOIRS = 96 << 20
"""Bytes that reservoirs may take together beyond the k of each query, which must be held."""
PAIR_VALUES = 1 << 23
"""Values of vectors that are multiplied in one go where each query has documents of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best documents of each query, the best first."""

    documents: NDArray[np.int64]
    """(hits,) positions in the corpus, query after query."""
    scores: NDArray[np.float32]
    """(hits,)"""
    ends: NDArray[np.int64]
    """(queries,) where the hits of each end; they begin where those of the one before end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Which documents are to be ranked for which query."""

    queries: NDArray[np.int64]
    """(n,) rows of the queries."""
    documents: NDArray[np.int64]
    """(n,) positions of the documents; no pair twice."""


def search(
    queries: Vectors, documents: Blocks, ranks: Ranks, k: int, *, comparison: Comparison, device: str = "cpu"
) -> Found:
    """Return the `k` documents most like each query, fewer where there are fewer.

    Args:
        queries: (q, d) float32.
        documents: the corpus' vectors, block by block.
        ranks: the order of its ids.
        k: documents wanted for each query.
        comparison: how vectors are compared.
        device: `cpu`, or a CUDA device.

    Raises:
        ScoreNotFiniteError: a similarity is NaN, or one that would be found is infinite.
        ValueError: the blocks leave documents out, repeat some or hold more than there are ids.
    """
    k = min(k, len(ranks.of))
    # Ten bytes: a key has eight, and beyond the k a reservoir has room for a tile and a quarter (`best.OFTEN`).
    width = min(TILE_DOCUMENTS, max(LEAST_TILE, RESERVOIRS // (10 * max(1, len(queries)))))
    height = max(1, TILE_SCORES // width)
    asked = comparison.asked(_tensor(queries, device))
    best = Best(len(queries), k, width, device)
    for start, block in _whole(documents, len(ranks.of)):
        for first in range(0, len(block) if k else 0, width):
            tile = block[first : first + width]
            places = _tensor(ranks.of[start + first : start + first + len(tile)].astype(np.int64), device)
            held = comparison.prepared(_tensor(_filled(tile, width), device))
            for row in range(0, len(queries), height):
                scores = comparison.matrix(_rows(asked, slice(row, row + height)), held)[:, : len(tile)]
                best.add(row, scores, places)
    return _found(best.taken().reshape(-1), ranks, np.arange(1, len(queries) + 1) * k)


def rerank(
    queries: Vectors,
    documents: Blocks,
    ranks: Ranks,
    k: int,
    *,
    pairs: Pairs,
    comparison: Comparison,
    device: str = "cpu",
) -> Found:
    """Return the `k` best of the documents that each query has of its own; arguments and errors as of `search`.

    Args:
        queries, documents, ranks, k: see `search`.
        pairs: what is to be compared.
        comparison, device: see `search`.
    """
    by_document = np.argsort(pairs.documents, kind="stable")
    wanted = pairs.documents[by_document]
    keys = np.full(len(wanted), NOTHING)
    asked = comparison.asked(_tensor(queries, device))
    for start, block in _whole(documents, len(ranks.of)):
        begin, end = np.searchsorted(wanted, [start, start + len(block)])
        step = max(1, PAIR_VALUES // max(1, block.shape[1]))
        for first in range(begin, end, step):
            here = by_document[first : min(first + step, end)]
            positions = pairs.documents[here]
            held = comparison.prepared(_tensor(block[positions - start], device))
            rows = _tensor(pairs.queries[here], device)
            scores = finite(comparison.pairs(_rows(asked, rows), held))
            keys[here] = keys_of(scores, _tensor(ranks.of[positions].astype(np.int64), device)).cpu().numpy()
    order = np.lexsort((~keys, pairs.queries))  # ~ turns the order of integers over
    counts = np.bincount(pairs.queries, minlength=len(queries))
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return _found(keys[order][place < k], ranks, np.cumsum(np.minimum(counts, k)))


def _whole(documents: Blocks, n: int) -> Iterator[tuple[int, Vectors]]:
    """Yield the blocks; raises ValueError where they are not `n` documents, each once and in order."""
    expected = 0
    for start, block in documents:
        if start != expected or start + len(block) > n:
            raise ValueError(f"a block of {len(block)} documents at {start}, expected {expected} of {n}")
        expected += len(block)
        yield start, block
    if expected != n:
        raise ValueError(f"vectors of {expected} documents, there are {n}")


def _filled(tile: Vectors, width: int) -> Vectors:
    """Return a tile with rows of zeros behind it: products of one shape sum in one order, so equal vectors tie."""
    missing = width - len(tile)
    return np.pad(tile, ((0, missing), (0, 0))) if missing else tile


def _rows(prepared: Prepared, rows: Any) -> Prepared:
    lengths = None if prepared.lengths is None else prepared.lengths[rows]
    return Prepared(values=prepared.values[rows], lengths=lengths)


def _tensor(array: NDArray[Any], device: str) -> Any:
    import torch

    if not array.flags.writeable:  # torch warns of memory-mapped rows
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def _found(keys: NDArray[np.int64], ranks: Ranks, ends: NDArray[np.int64]) -> Found:
    import torch

    held = torch.from_numpy(keys)
    documents = ranks.positions[places_of(held).numpy()].astype(np.int64)
    return Found(documents=documents, scores=scores_of(held).numpy(), ends=ends)
