"""The best k documents of every query while blocks of scores go by: a reservoir a query, all of them at once.

What does not reach the k-th best so far is passed over in one comparison; what does is put behind the best ones, and a
query's reservoir is cut down to k when it is full. Of n documents in no special order some k * ln(n / k) get that far,
so that a block costs little more than its matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.keys import NOTHING, keys_of, scores_of

ROWS_AT_ONCE = 512
"""Reservoirs that are cut down in one go, so that their copy stays small."""


class ScoreNotFiniteError(ValueError):
    """A similarity is NaN or infinite: nothing can be ranked by it."""


class Best:
    """The best `k` of everything that was added, for each of `queries`."""

    def __init__(self, queries: int, k: int, room: int, device: str) -> None:
        """Hold nothing yet.

        Args:
            queries: how many.
            k: documents wanted of each.
            room: at most so many documents are added at a time.
            device: of the scores that will be added.
        """
        import torch

        self._k = k
        self._keys = torch.full((queries, k + room), NOTHING, dtype=torch.int64, device=device)
        self._used = torch.zeros(queries, dtype=torch.int64, device=device)
        self._least_score = torch.full((queries,), -torch.inf, device=device)
        self._least_key = torch.full((queries,), NOTHING, dtype=torch.int64, device=device)

    def add(self, first: int, scores: Any, places: Any) -> None:
        """Take what is good enough of a block.

        Args:
            first: the query of the block's first row.
            scores: (q, n) float32 tensor, n at most `room`.
            places: (n,) int64 tensor: of the documents, in the order of ids.

        Raises:
            ScoreNotFiniteError: one that would be taken is NaN or infinite; NaN would always be.
        """
        import torch

        # Documents that tie with the k-th best come along: the keys decide between them.
        rows, columns = _not_below(scores, self._least_score[first : first + len(scores)])
        keys = keys_of(finite(scores[rows, columns]), places[columns])
        rows = rows + first
        better = keys > self._least_key[rows]
        rows, keys = rows[better], keys[better]
        counts = torch.bincount(rows, minlength=len(self._used))
        self._cut(torch.nonzero(self._used + counts > self._keys.shape[1])[:, 0])
        within = torch.arange(len(rows), device=rows.device) - (torch.cumsum(counts, 0) - counts)[rows]
        self._keys[rows, self._used[rows] + within] = keys  # rows come in order, so `within` counts up in each
        self._used += counts

    def taken(self) -> NDArray[np.int64]:
        """Return (queries, k) keys, the best first; `NOTHING` where a query has fewer documents."""
        import torch

        found = torch.empty((len(self._keys), self._k), dtype=torch.int64)
        for start in range(0, len(found), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            found[rows] = torch.topk(self._keys[rows], self._k, dim=1).values.cpu()
        keys: NDArray[np.int64] = found.numpy()
        return keys

    def _cut(self, full: Any) -> None:
        """Keep the best k of the reservoirs `full`, which hold more."""
        import torch

        for start in range(0, len(full), ROWS_AT_ONCE):
            rows = full[start : start + ROWS_AT_ONCE]
            best = torch.topk(self._keys[rows], self._k, dim=1, sorted=False).values
            self._keys[rows, self._k :] = NOTHING
            self._keys[rows, : self._k] = best
            self._used[rows] = self._k
            self._least_key[rows] = best.amin(dim=1)
            self._least_score[rows] = scores_of(self._least_key[rows])


def finite(scores: Any) -> Any:
    """Return `scores`; raises ScoreNotFiniteError where one is NaN or infinite."""
    import torch

    if bad := int((~torch.isfinite(scores)).sum()):
        raise ScoreNotFiniteError(f"{bad} of {scores.numel()} similarities that rank documents are NaN or infinite")
    return scores


def _not_below(scores: Any, least: Any) -> tuple[Any, Any]:
    """Return rows and columns, both (n,), where `scores` are not below the `least` of their row; NaN never is below."""
    # On a processor numpy takes a tenth of torch's time.
    flat = by_numpy(scores, least) if scores.device.type == "cpu" else by_torch(scores, least)
    rows = flat // scores.shape[1]
    return rows, flat - rows * scores.shape[1]


def by_numpy(scores: Any, least: Any) -> Any:
    """Return (n,) int64 tensor: places in (q, n) `scores`, row after row, that are not below their row's `least`."""
    import torch

    return torch.from_numpy(np.flatnonzero(~(scores.numpy() < least.numpy()[:, None])))


def by_torch(scores: Any, least: Any) -> Any:
    """Return what `by_numpy` does, on any device."""
    import torch

    return torch.nonzero(~(scores < least[:, None]).reshape(-1))[:, 0]
