"""A forward pass without padding: rows of all lengths end to end behind one shared prefix.

Linear layers see (prefix + all tokens) once; only the attention lays the rows out side by side. A row sees the prefix
and itself, causally, at the positions it would have alone, so its states are those of a pass by itself. Gradients flow
into the prefix too. Registered with transformers' `AttentionInterface`, as the generating attention of
`harness/encoders/rationale/prefix_attention.py` is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.training.attention import attention_weights, refuse_unknown
from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    import torch


IMPLEMENTATION = "grace_packed"
"""How transformers calls this attention."""


class Packing:
    """Where each row's tokens stand in the packed sequence and in the padded layout of the attention."""

    def __init__(self, prefix: Sequence[int], rows: Sequence[Sequence[int]], device: Any) -> None:
        """Lay out `rows` (each of one token or more) behind `prefix`, which may be empty."""
        import torch

        self.prefix = len(prefix)
        self.count, self.longest = len(rows), max(len(row) for row in rows)
        lengths = torch.tensor([len(row) for row in rows])
        self.lengths = lengths.to(device)
        own = torch.cat([torch.arange(int(length)) for length in lengths])  # (t,) position inside the row
        row_of = torch.repeat_interleave(torch.arange(len(rows)), lengths)  # (t,)
        self.slots = (row_of * self.longest + own).to(device)
        """(t,): place of each token in the flattened (rows, longest)."""
        self.ids = torch.tensor([*prefix, *(token for row in rows for token in row)], device=device)[None]
        self.positions = torch.cat([torch.arange(len(prefix)), len(prefix) + own]).to(device)[None]
        """Both (1, prefix + t)."""

    def padded(self, tokens: torch.Tensor) -> torch.Tensor:
        """Lay (t, ...) out as (rows, longest, ...), zero where a row has ended."""
        flat = tokens.new_zeros((self.count * self.longest, *tokens.shape[1:]))
        return flat.index_copy(0, self.slots, tokens).view(self.count, self.longest, *tokens.shape[1:])

    def packed(self, laid_out: torch.Tensor) -> torch.Tensor:
        """Undo `padded`: (rows, longest, ...) to (t, ...)."""
        return laid_out.reshape(-1, *laid_out.shape[2:]).index_select(0, self.slots)


def forward(body: Any, packing: Packing) -> torch.Tensor:
    """Return the last hidden states of the rows' own tokens, (t, h); inside `packed_attention_on`."""
    states = body(
        input_ids=packing.ids, position_ids=packing.positions, use_cache=False, packing=packing
    ).last_hidden_state
    rows: torch.Tensor = states[0, packing.prefix :]
    return rows


def packed_attention(
    module: Any,  # noqa: ARG001 - transformers passes the layer
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - transformers makes none for this implementation
    *,
    packing: Packing | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    s_aux: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend inside each row and to the prefix.

    Args:
        module: the attention layer.
        query: (1, heads, p + t, size).
        key, value: (1, key-value heads, p + t, size).
        packing: which token is whose; passed through the model's forward.
        dropout, scaling, softcap, sliding_window: as the model asks for.
        s_aux: (heads,), trained: a score that every query gives to nothing (an attention sink); None: there is none.
        others: what else the layer says; refused where it may change the result.

    Returns:
        (1, p + t, heads, size), and None for the weights.

    Raises:
        EnvironmentGapError: the layer was not told which token is whose, or asks for what is not known here.
    """
    import torch

    if packing is None:
        raise EnvironmentGapError(["its layers do not hand on what packed attention needs"])
    refuse_unknown(others)
    settings = _Settings(dropout, scaling, softcap, sliding_window, s_aux)
    p = packing.prefix
    q, k, v = (one[0].transpose(0, 1) for one in (query, key, value))  # (p + t, heads, size)
    q_rows, k_rows, v_rows = (packing.padded(one[p:]).transpose(1, 2) for one in (q, k, v))  # (b, heads, l, size)
    if not p:
        mixed = _attend(q_rows, k_rows, v_rows, settings)
        return packing.packed(mixed.transpose(1, 2))[None], None
    k_shared, v_shared = (one[:, :, :p].expand(packing.count, -1, -1, -1) for one in (key, value))
    own = _attend(q_rows, torch.cat([k_shared, k_rows], dim=2), torch.cat([v_shared, v_rows], dim=2), settings)
    of_prefix = _attend(query[:, :, :p], key[:, :, :p], value[:, :, :p], settings)  # (1, heads, p, size)
    return torch.cat([of_prefix[0].transpose(0, 1), packing.packed(own.transpose(1, 2))])[None], None


class _Settings(NamedTuple):
    """What a model asks of its attention."""

    dropout: float
    scaling: float | None
    """None: 1 / sqrt(size)."""
    softcap: float | None
    """Of the scores; None: there is none."""
    window: int | None
    """Keys that a query sees, itself among them; None: all before it."""
    sinks: torch.Tensor | None
    """(heads,): score of a key without a value; None: there is none."""

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch's own attention can do it."""
        return self.softcap is None and self.sinks is None


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, settings: _Settings) -> torch.Tensor:
    """Return causal attention of the last q of k positions, (b, heads, q, size)."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    q, k = query.shape[2], key.shape[2]
    grouped = query.shape[1] != key.shape[1]
    if settings.is_plain and q == k and (settings.window is None or k <= settings.window):
        return F.scaled_dot_product_attention(
            query, key, value, dropout_p=settings.dropout, is_causal=True, scale=settings.scaling, enable_gqa=grouped
        )
    at = torch.arange(k - q, k, device=query.device)[:, None]
    keys = torch.arange(k, device=query.device)[None]
    visible = keys <= at  # (q, k)
    if settings.window is not None:
        visible &= keys > at - settings.window
    if settings.is_plain:
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=visible,
            dropout_p=settings.dropout,
            scale=settings.scaling,
            enable_gqa=grouped,
        )
    scaling = query.shape[3] ** -0.5 if settings.scaling is None else settings.scaling
    weights = attention_weights(query * scaling, key, visible, softcap=settings.softcap, sinks=settings.sinks)
    values = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
    return F.dropout(weights.to(value.dtype), settings.dropout) @ values


@contextmanager
def packed_attention_on(model: Any) -> Iterator[None]:
    """Let `model` use the packed attention inside the block, and its own again after it.

    Raises:
        EnvironmentGapError: the model's code does not let its attention be chosen.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, packed_attention)
    before = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    if model.config._attn_implementation != IMPLEMENTATION:
        raise EnvironmentGapError(
            [f"{type(model).__name__} does not let its attention be replaced; packed training needs that"]
        )
    try:
        yield
    finally:
        model.set_attn_implementation(before)
