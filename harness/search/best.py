"""The best k documents of every query while blocks of scores go by: a reservoir a query, all of them at once.

What does not reach the k-th best so far is passed over in one comparison; what does is put behind the best ones, and a
query's reservoir is cut down to k when it is full. Of n documents in no special order little more than
k * ln(n / k) get that far, so that a block costs little more than its matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.keys import NOTHING, keys_of, scores_of

ROWS_AT_ONCE = 512
"""Reservoirs that are cut down in one go, so that their copy stays small."""
OFTEN = 4
"""A reservoir is full when a quarter of a block has come in behind the best k: what is passed over is then up to date,
and cuts are still few."""


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
        self._full = k + min(k, room // OFTEN)
        self._keys = torch.full((queries, self._full + room), NOTHING, dtype=torch.int64, device=device)
        self._used = torch.zeros(queries, dtype=torch.int64, device=device)
        self._least = torch.full((queries,), -torch.inf, device=device)

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

        rows = torch.arange(len(scores), device=scores.device)
        used = self._used[first : first + len(scores)]
        # Documents that tie with the k-th best come along: the keys decide between them.
        flat = _not_below(scores, self._least[first : first + len(scores)])
        ends = torch.searchsorted(flat, (rows + 1) * scores.shape[1])
        counts = torch.diff(ends, prepend=ends.new_zeros(1))
        columns = flat - torch.repeat_interleave(rows * scores.shape[1], counts)
        keys = keys_of(finite(scores.reshape(-1).index_select(0, flat)), places.index_select(0, columns))
        # A row's first one goes behind what its reservoir holds, and the others behind that.
        shift = (first + rows) * self._keys.shape[1] + used - (ends - counts)
        free = torch.arange(len(flat), device=flat.device) + torch.repeat_interleave(shift, counts)
        self._keys.view(-1).scatter_(0, free, keys)
        used += counts
        self._cut(first + torch.nonzero(used >= self._full)[:, 0])

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
        """Keep the best k of the reservoirs `full`, which hold that many or more."""
        for start in range(0, len(full), ROWS_AT_ONCE):
            rows = full[start : start + ROWS_AT_ONCE]
            held = int(self._used[rows].amax())
            best = _best(self._keys[:, :held][rows], self._k)
            self._keys[rows, self._k : held] = NOTHING
            self._keys[rows, : self._k] = best
            self._used[rows] = self._k
            self._least[rows] = scores_of(best.amin(dim=1))


def finite(scores: Any) -> Any:
    """Return `scores`; raises ScoreNotFiniteError where one is NaN or infinite."""
    import torch

    if bad := int((~torch.isfinite(scores)).sum()):
        raise ScoreNotFiniteError(f"{bad} of {scores.numel()} similarities that rank documents are NaN or infinite")
    return scores


def _best(keys: Any, k: int) -> Any:
    """Return (n, k) int64, in no order: the greatest of each row of `keys`, (n, m) with m at least k."""
    import torch

    if keys.device.type == "cpu":  # numpy takes a tenth of torch's time, here and below
        return torch.from_numpy(np.partition(keys.numpy(), -k, axis=1)[:, -k:])
    return torch.topk(keys, k, dim=1, sorted=False).values


def _not_below(scores: Any, least: Any) -> Any:
    """Return (n,) int64: places in (q, n) `scores`, row after row, not below their row's `least`; NaN never is."""
    return by_numpy(scores, least) if scores.device.type == "cpu" else by_torch(scores, least)


def by_numpy(scores: Any, least: Any) -> Any:
    """Return (n,) int64 tensor: places in (q, n) `scores`, row after row, that are not below their row's `least`."""
    import torch

    return torch.from_numpy(np.flatnonzero(~(scores.numpy() < least.numpy()[:, None])))


def by_torch(scores: Any, least: Any) -> Any:
    """Return what `by_numpy` does, on any device."""
    import torch

    return torch.nonzero(~(scores < least[:, None]).reshape(-1))[:, 0]
