"""How many tokens a model has learned positions for: one more, and its table is read past its end."""

from __future__ import annotations

from typing import Any

TABLES = {"position_embeddings", "position_embedding", "embed_positions", "positions_embed", "wpe"}
"""What transformers' models call a table of positions."""
NOT_OF_TEXT = {"vision_model", "visual", "vision_tower", "image_encoder", "audio_model", "audio_tower"}
"""Parts of a model of several modalities that read no text."""


def usable_positions(model: Any) -> int | None:
    """Return how many tokens of one text `model` has positions for; None where no table limits them.

    `max_position_embeddings` is not that number everywhere: where positions are counted from behind the padding index
    (RoBERTa, XLM-R, CamemBERT, MPNet, Longformer, ESM) the first rows of the table belong to no token, so 514 rows
    serve 512 tokens. Rotary and relative positions have no table, and no limit of this kind.

    Args:
        model: any torch module; its parts are looked through.
    """
    found = [
        _rows(part, child)
        for name, part in model.named_modules()
        for child_name, child in part.named_children()
        if child_name in TABLES and _is_table(child) and not NOT_OF_TEXT & set(name.split("."))
    ]
    return min(found, default=None)


def _is_table(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Embedding)


def _rows(part: Any, table: Any) -> int:
    """Return how many rows are there for tokens, from that of the first on."""
    if table.padding_idx is not None:  # counted from behind it
        return int(table.num_embeddings - table.padding_idx - 1)
    rows = table.num_embeddings - int(getattr(table, "offset", 0))  # BART and its kin
    numbers = dict(part.named_buffers(recurse=False)).get("position_ids")  # Nystroemformer and YOSO begin at row 2
    return int(rows if numbers is None else min(rows, numbers.shape[-1]))
