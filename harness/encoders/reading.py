"""Rows of ids through a model without its head: padded on the right, with an attention mask or without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from harness.encoders.head import body_of

if TYPE_CHECKING:
    from torch import Tensor

Reading = Literal["padded", "masked", "alone"]
"""How rows are read: padded on the right without a mask, with one, or one row at a time."""


def read(model: Any, rows: Sequence[Sequence[int]], reading: Reading = "padded") -> Tensor:
    """Return the last states of rows, (b, t, h), t that of the longest; what stands after a row may be anything.

    Args:
        model: a transformers model, with a head or without.
        rows: ids; one row alone is the model's own plain pass.
        reading: "masked" passes an attention mask where there is padding.
    """
    import torch

    device = next(model.parameters()).device
    longest = max(map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    masked = {"attention_mask": mask.to(device)} if reading == "masked" and not bool(mask.all()) else {}
    output = body_of(model)(input_ids=ids.to(device), **masked, **_without_cache(model))
    states: Tensor = output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]
    return states


def _without_cache(model: Any) -> dict[str, bool]:
    """Return the argument that leaves a cache out, for models that can have one."""
    return {"use_cache": False} if getattr(model.config, "use_cache", None) is not None else {}
