"""A forward pass of the model's own, a row a text: slower than packed.py, and right for every causal model.

Rows are padded on the right, where no token of a causal model sees the padding: not through attention, and not through
a convolution or a state space either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from grace.training.contrastive.packed import Packing


def padded_forward(body: Any, packing: Packing) -> torch.Tensor:
    """Return the last hidden states of the rows' own tokens, (t, h), as packed.py's `forward` does.

    Args:
        body: of a causal language model, with its own attention.
        packing: the rows and the prefix before each.
    """
    import torch

    p = packing.prefix
    own = packing.padded(packing.ids[0, p:])  # (b, l)
    ids = torch.cat([packing.ids[:, :p].expand(packing.count, -1), own], dim=1)
    places = torch.arange(ids.shape[1], device=ids.device)
    mask = (places < p + packing.lengths[:, None]).long()  # (b, p + l)
    states = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    rows: torch.Tensor = packing.packed(states[:, p:])
    return rows
