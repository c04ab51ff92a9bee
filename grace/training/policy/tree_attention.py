"""Attention within a packed tree: a rationale sees its own text and the prefix, a text the prefix, nothing else.

Registered with transformers' `AttentionInterface`; outside a tree it is transformers' `sdpa`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from grace.training.attention import attention_weights, refuse_unknown
from grace.training.policy.tree import Segments, Tree
from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    from torch import Tensor


IMPLEMENTATION = "grace_tree"
"""How transformers calls this attention."""


def tree_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    tree: Tree | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend within a packed tree; without one, as transformers' `sdpa` does.

    Args:
        module: the attention layer.
        query: (1, heads, s, size); key, value: (1, key-value heads, s, size).
        attention_mask: not looked at with a tree.
        tree: passed through the model's forward; None: outside of one.
        scaling, sliding_window, softcap: as the model asks for.
        s_aux: (heads,), trained: a score that every query gives to nothing (an attention sink); None: there is none.
        others: belong to `sdpa`; in a tree refused where they may change the result.

    Returns:
        (1, s, heads, size), and None for the weights.

    Raises:
        EnvironmentGapError: the layer asks for more than is known here, or outside of a tree than `sdpa` can.
    """
    if tree is None:
        if softcap is not None or s_aux is not None:
            raise EnvironmentGapError(["its soft caps or attention sinks are kept inside a tree alone"])
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        result: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, sliding_window=sliding_window, **others
        )
        return result
    refuse_unknown(others)
    if sliding_window not in tree.masks:
        tree.masks[sliding_window] = _masks(tree, sliding_window)
    return _within(tree, Heads(query, key, value, scaling, softcap, s_aux), sliding_window), None


class Heads(NamedTuple):
    """Queries, keys and values of one layer."""

    query: Tensor
    """(1, heads, s, size)."""
    key: Tensor
    value: Tensor
    """(1, key-value heads, s, size), as keys."""
    scaling: float | None
    softcap: float | None
    sinks: Tensor | None
    """(heads,): score of a key without a value."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Return the mixed values, (n, heads, q, size), of some queries of the layer.

        Args:
            query: (n, heads, q, size).
            key, value: (n, key-value heads, k, size).
            mask: (n, 1, q, k) or (q, k); True is seen.
        """
        import torch

        if self.softcap is not None or self.sinks is not None:
            scaling = query.shape[3] ** -0.5 if self.scaling is None else self.scaling
            weights = attention_weights(query * scaling, key, mask, softcap=self.softcap, sinks=self.sinks)
            return weights.to(value.dtype) @ value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
        is_grouped = self.query.shape[1] != self.key.shape[1]
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=self.scaling, enable_gqa=is_grouped
        )


def _within(tree: Tree, heads: Heads, window: int | None) -> Tensor:
    """Return the mixed values of a whole tree, (1, s, heads, size): of the prefix, the texts, the rationales."""
    import torch

    p, texts, own, owner = tree.prefix, tree.texts, tree.rationales, tree.owner
    text_mask, own_mask = tree.masks[window]
    k, v = (one[0].transpose(0, 1) for one in (heads.key, heads.value))  # (s, heads, size)
    of_text = [one[texts.places] for one in (k, v)]  # (b, t, heads, size)
    of_prefix = heads.attend(
        heads.query[:, :, :p], heads.key[:, :, :p], heads.value[:, :, :p], _prefix_mask(tree, window)
    )
    by_texts = [
        [one[:p].expand(len(texts.lengths), -1, -1, -1), mine] for one, mine in zip((k, v), of_text, strict=True)
    ]
    by_rationales = [
        [one[:p].expand(len(owner), -1, -1, -1), mine[owner], one[own.places]]
        for one, mine in zip((k, v), of_text, strict=True)
    ]
    mixed = [_mixed(heads, texts, by_texts, text_mask), _mixed(heads, own, by_rationales, own_mask)]
    return torch.cat([of_prefix[0].transpose(0, 1), *mixed])[None]


def _mixed(heads: Heads, segments: Segments, seen: list[list[Tensor]], mask: Tensor) -> Tensor:
    """Return the mixed values of the segments' real tokens, (tokens, heads, size).

    Args:
        heads: of the layer.
        segments: whose tokens ask.
        seen: keys, and values, that they see: (n, ..., heads, size) each, in order.
        mask: (n, 1, t, seen).
    """
    import torch

    queries = heads.query[0].transpose(0, 1)[segments.places].transpose(1, 2)  # (n, heads, t, size)
    keys, values = (torch.cat(one, dim=1).transpose(1, 2) for one in seen)
    return heads.attend(queries, keys, values, mask).transpose(1, 2).flatten(0, 1)[segments.kept]


def _masks(tree: Tree, window: int | None) -> tuple[Tensor, Tensor]:
    """Return what texts, (b, 1, t, p+t), and rationales, (n, 1, r, p+t+r), see; True is seen."""
    import torch

    texts, own, owner = tree.texts, tree.rationales, tree.owner
    prefix = torch.arange(tree.prefix, device=tree.tokens.device)

    def seen(queries: Tensor, keys: Tensor, real: Tensor) -> Tensor:
        """Causal by position, inside the window, and not padding: (n, 1, q, k)."""
        distance = queries[:, :, None] - keys[:, None]
        visible = (distance >= 0) & real[:, None]
        return (visible if window is None else visible & (distance < window))[:, None]

    def real(segments: Segments) -> Tensor:
        return torch.arange(segments.places.shape[1], device=prefix.device) < segments.lengths[:, None]

    def with_prefix(n: int, *others: Tensor, fill: bool = False) -> Tensor:
        start = prefix.expand(n, -1)
        return torch.cat([torch.ones_like(start, dtype=torch.bool) if fill else start, *others], dim=1)

    b, n = len(texts.lengths), len(owner)
    of_texts = seen(texts.positions, with_prefix(b, texts.positions), with_prefix(b, real(texts), fill=True))
    keys = with_prefix(n, texts.positions[owner], own.positions)
    return of_texts, seen(own.positions, keys, with_prefix(n, real(texts)[owner], real(own), fill=True))


def _prefix_mask(tree: Tree, window: int | None) -> Tensor:
    import torch

    places = torch.arange(tree.prefix, device=tree.tokens.device)
    distance = places[:, None] - places
    return (distance >= 0) if window is None else (distance >= 0) & (distance < window)


def register() -> None:
    """Make the attention known to transformers; outside a tree it is `sdpa`, masks and all."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(IMPLEMENTATION, tree_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)


def use_tree_attention(causal: Any) -> None:
    """Let a model run trees from now on: gradient checkpointing runs layers again in the backward pass.

    Raises:
        EnvironmentGapError: the model's code does not let its attention be chosen.
    """
    register()
    causal.set_attn_implementation(IMPLEMENTATION)
    if causal.config._attn_implementation != IMPLEMENTATION:
        name = type(causal).__name__
        raise EnvironmentGapError([f"{name} does not let its attention be replaced; set grace.forward: plain"])
