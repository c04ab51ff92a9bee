"""Attention weights in plain sight, for what PyTorch's own attention cannot do: soft caps and sinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.encoders.rationale.prefix_attention import WITHOUT_EFFECT
from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    from torch import Tensor


def attention_weights(
    query: Tensor, key: Tensor, visible: Tensor, *, softcap: float | None, sinks: Tensor | None
) -> Tensor:
    """Return the share of each key in each query's mixture, (b, heads, q, k) float32; a sink's share goes nowhere.

    Args:
        query: (b, heads, q, size), already scaled.
        key: (b, key-value heads, k, size).
        visible: broadcast to (b, heads, q, k); True is seen.
        softcap: scores are bent to stay within it; None: they are not.
        sinks: (heads,): the score of one more key, which has no value; gradients flow into it. None: there is none.
    """
    import torch

    keys = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ keys.transpose(2, 3)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    # Not -inf: a query of padding may see nothing, and its NaN would reach the gradients of all.
    scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
    if sinks is None:
        return scores.softmax(dim=-1, dtype=torch.float32)
    column = sinks.to(scores.dtype)[None, :, None, None].expand(*scores.shape[:3], 1)
    return torch.cat([scores, column], dim=-1).softmax(dim=-1, dtype=torch.float32)[..., :-1]


def refuse_unknown(asked: Mapping[str, Any]) -> None:
    """Raise EnvironmentGapError over what a layer asks of its attention that is not known to change nothing."""
    unknown = sorted(name for name, value in asked.items() if value is not None and name not in WITHOUT_EFFECT)
    if unknown:
        raise EnvironmentGapError([f"its layers ask of the attention {', '.join(unknown)}: not known here"])
