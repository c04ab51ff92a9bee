"""Attention with one shared prefix: its keys and values are computed once and never copied to the rows of a batch.

A causal language model is run with this attention registered in transformers' `AttentionInterface`; rows are padded on
the right. Keys and values of a row's own tokens lie in preallocated tensors, a new token at the row's own length, so
rows of different lengths decode together. Grouped queries meet their keys without repeating these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.encoders.head import body_of
from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    import torch


IMPLEMENTATION = "harness_prefix"
"""How transformers calls this attention."""
LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of layers, as configurations name them, whose keys and values are all that a token leaves behind."""
WITHOUT_EFFECT = {
    "dropout",
    "is_causal",
    "output_attentions",
    "position_ids",
    "cache_position",
    "use_cache",
    "deterministic",
}
"""What layers ask of the attention that changes nothing here: evaluation drops nothing, and every row is causal."""
SCORES_AT_ONCE = 1 << 26
"""Attention scores held at once; longer texts are attended to in blocks of queries (256 MB in float32)."""


class SharedPrefix:
    """Keys and values of the prefix, a pair a layer; each (key-value heads, p, head size)."""

    def __init__(self, layers: list[tuple[torch.Tensor, torch.Tensor]], length: int) -> None:
        """Keep the layers of a prefix of `length` tokens."""
        self.layers = layers
        self.length = length

    def __len__(self) -> int:
        return self.length


class RowCache:
    """The own keys and values of a batch of rows, as a transformers cache: `update` and `get_seq_length`."""

    def __init__(self, prefix: SharedPrefix, rows: int, slots: int) -> None:
        """Make room for `slots` own tokens in each of `rows` rows; tensors are made at the first update."""
        self.prefix = prefix
        self.slots = slots
        self.rows = rows
        self.lengths: torch.Tensor | None = None
        """(b,) int64: own tokens of each row that are filled in; set by whoever feeds tokens; None in the prefill."""
        self.filled = 0
        """Slots that are read while single tokens are fed: the longest row's with the new token; known to the host, so
        that no layer has to ask the device."""
        self.filling = slice(0, rows)
        """The rows that the prefill is at: a batch is read in parts, so that its activations stay small."""
        self.keys: list[torch.Tensor] = []
        """A layer each: (b, key-value heads, slots, head size)."""
        self.values: list[torch.Tensor] = []

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any) -> Any:
        """Store new keys and values, (b, heads, q, size): a prefill from slot 0, one token at each row's length.

        Returns:
            What the attention is to read: the filled slots, (b, heads, t, size).
        """
        import torch

        if layer_idx == len(self.keys):
            shape = (self.rows, keys.shape[1], self.slots, keys.shape[3])
            # Zeros, not whatever lies in memory: a slot beyond a row's length has weight 0, and 0 times NaN is NaN.
            self.keys.append(keys.new_zeros(shape))
            self.values.append(values.new_zeros((*shape[:3], values.shape[3])))
        own_keys, own_values = self.keys[layer_idx], self.values[layer_idx]
        if self.lengths is None:
            own_keys[self.filling, :, : keys.shape[2]] = keys
            own_values[self.filling, :, : keys.shape[2]] = values
            return keys, values
        rows = torch.arange(self.rows, device=keys.device)
        own_keys[rows, :, self.lengths] = keys[:, :, 0]
        own_values[rows, :, self.lengths] = values[:, :, 0]
        return own_keys[:, :, : self.filled], own_values[:, :, : self.filled]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the tokens seen; position ids are always passed, so nothing is derived from it."""
        return len(self.prefix)

    def keep(self, rows: torch.Tensor) -> None:
        """Drop every row but `rows`, (k,) int64."""
        self.keys = [keys.index_select(0, rows) for keys in self.keys]
        self.values = [values.index_select(0, rows) for values in self.values]
        self.lengths = None if self.lengths is None else self.lengths.index_select(0, rows)
        self.rows = len(rows)


def prefix_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - transformers makes none for this implementation
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    s_aux: torch.Tensor | None = None,
    row_cache: RowCache | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to the shared prefix and to a row's own tokens.

    Args:
        module: the attention layer; its `layer_idx` picks the prefix's keys.
        query: (b, heads, q, size).
        key, value: (b, key-value heads, t, size), the row's own tokens.
        scaling, softcap, sliding_window: as the model asks for.
        s_aux: (heads,), a score that every query gives to nothing (an attention sink); None: there is none.
        row_cache: the rows' cache, passed through the model's forward.

    Returns:
        (b, q, heads, size), and None for the weights.

    Raises:
        EnvironmentGapError: the layer does not pass `row_cache` on, or asks for what is not known here.
    """
    import torch

    if row_cache is None:
        raise EnvironmentGapError([f"{type(module).__name__} does not pass on what the shared prefix needs"])
    unknown = sorted(name for name, value in others.items() if value is not None and name not in WITHOUT_EFFECT)
    if unknown:
        raise EnvironmentGapError(
            [f"{type(module).__name__} asks of its attention {', '.join(unknown)}: not known here"]
        )
    b, heads, q = query.shape[:3]
    shared = row_cache.prefix.layers[module.layer_idx] if len(row_cache.prefix) else None
    total = key.shape[2] + len(row_cache.prefix)
    visible = _visible(query, key.shape[2], total - key.shape[2], row_cache, sliding_window)  # (b or 1, q, p+t)
    query = query * (scaling if scaling is not None else query.shape[3] ** -0.5)
    step = max(1, SCORES_AT_ONCE // (b * heads * total))
    outs = [
        _attend(query[:, :, start : start + step], key, value, shared, visible[:, start : start + step], softcap, s_aux)
        for start in range(0, q, step)
    ]
    return (outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)), None


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    shared: tuple[torch.Tensor, torch.Tensor] | None,
    visible: torch.Tensor,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """Return (b, q, heads, size) for scaled queries (b, heads, q, size); `shared`: keys and values of the prefix."""
    import torch

    b, heads, q, size = query.shape
    kv = key.shape[1]
    grouped = query.reshape(b, kv, heads // kv * q, size)
    scores = grouped @ key.transpose(2, 3)  # (b, kv, g*q, t)
    prefix = 0
    if shared is not None:
        prefix = shared[0].shape[1]
        flat = grouped.transpose(0, 1).reshape(kv, -1, size)  # (kv, b*g*q, size)
        before = (flat @ shared[0].transpose(1, 2)).view(kv, b, -1, prefix).transpose(0, 1)
        scores = torch.cat([before, scores], dim=3)  # (b, kv, g*q, p+t)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    by_query = scores.view(b, kv, heads // kv, q, -1).masked_fill_(~visible[:, None, None], float("-inf"))
    if sinks is not None:  # one more key to give weight to, without a value
        column = sinks.to(scores.dtype).view(1, kv, -1, 1, 1).expand(b, -1, -1, q, 1)
        by_query = torch.cat([by_query, column], dim=-1)
    weights = by_query.softmax(dim=-1, dtype=torch.float32)[..., : scores.shape[3]]
    weights = weights.to(value.dtype).view(b, kv, heads // kv * q, -1)
    mixed = weights[..., prefix:] @ value
    if shared is not None:
        flat_weights = weights[..., :prefix].transpose(0, 1).reshape(kv, -1, prefix)
        mixed += (flat_weights @ shared[1]).view(kv, b, -1, value.shape[3]).transpose(0, 1)
    out = mixed.view(b, kv, heads // kv, q, -1).reshape(b, heads, q, -1)
    return out.transpose(1, 2).contiguous()


def _visible(query: torch.Tensor, own: int, prefix: int, row_cache: RowCache, window: int | None) -> torch.Tensor:
    """Return which of prefix and own positions each query sees, (b or 1, q, p+t) bool."""
    import torch

    q, device = query.shape[2], query.device
    keys = torch.arange(prefix + own, device=device)
    if row_cache.lengths is not None:
        positions = (prefix + row_cache.lengths)[:, None]  # (b, 1)
    else:
        positions = (prefix + torch.arange(q, device=device))[None]  # (1, q)
    visible = keys <= positions[:, :, None]
    if window is not None:
        visible &= keys > positions[:, :, None] - window
    return visible


def register() -> None:
    """Make the attention known to transformers, which then builds no mask for it."""
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, prefix_attention)


@contextmanager
def prefix_attention_on(model: Any) -> Iterator[None]:
    """Let `model` use the shared-prefix attention inside the block, and its own again after it.

    Raises:
        EnvironmentGapError: the model's code does not let its attention be chosen.
    """
    register()
    before = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    if model.config._attn_implementation != IMPLEMENTATION:
        name = type(model).__name__
        raise EnvironmentGapError([f"{name} does not let its attention be replaced; the rationale encoder needs that"])
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def make_prefix(model: Any, ids: list[int]) -> SharedPrefix:
    """Run the prefix once; the model must be inside `prefix_attention_on`.

    Args:
        model: a causal language model, adapters active.
        ids: token ids of the prefix; may be empty.
    """
    import torch

    if not ids:
        return SharedPrefix([], 0)
    device = next(model.parameters()).device
    cache = RowCache(SharedPrefix([], 0), rows=1, slots=len(ids))
    positions = torch.arange(len(ids), device=device)[None]
    tokens = torch.tensor([ids], device=device)
    body_of(model)(input_ids=tokens, position_ids=positions, past_key_values=cache, use_cache=True, row_cache=cache)
    layers = [
        (keys[0].contiguous(), values[0].contiguous()) for keys, values in zip(cache.keys, cache.values, strict=True)
    ]
    return SharedPrefix(layers, len(ids))
