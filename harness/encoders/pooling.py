"""Pooling of hidden states: pure functions over tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def mean_pool(states: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return the mean state of each row over the positions start <= i < end.

    Args:
        states: (b, t, h), any float dtype; the sum runs in float32.
        starts, ends: (b,) int64; 0 <= start < end <= t.

    Returns:
        (b, h) float32. Positions outside the range, padding included, take no part.
    """
    import torch

    positions = torch.arange(states.shape[1], device=states.device)  # (t,)
    inside = (positions >= starts[:, None]) & (positions < ends[:, None])  # (b, t)
    # A product with the mask, not a plain sum: the states of padding may be anything, but never NaN times zero.
    kept = states.float().masked_fill(~inside[:, :, None], 0.0)
    return kept.sum(dim=1) / (ends - starts)[:, None]
