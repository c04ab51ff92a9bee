"""Tiny models whose rotary positions depend on the longest row, and the truth: each row alone in a fresh copy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from families import tiny


def long_rope(original: int = 16, longest: int = 64, family: str = "phi3", **changes: Any) -> Any:
    """Return a random model with other frequencies beyond `original` tokens."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [3.0, 5.0, 7.0, 9.0],
        "original_max_position_embeddings": original,
    }
    own = {"original_max_position_embeddings": original} if family == "phi3" else {}
    shape = {"max_position_embeddings": longest, "sliding_window": None} if family == "phi3" else {}
    return tiny(family, **{"max_position_embeddings": longest} | shape | own | {"rope_parameters": rope} | changes)


def dynamic_rope(most: int = 16, family: str = "llama", **changes: Any) -> Any:
    """Return a random model with frequencies of their own for each length beyond `most` tokens."""
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
    return tiny(family, max_position_embeddings=most, rope_parameters=rope, **changes)


def states_alone(fresh: Any, row: Sequence[int]) -> torch.Tensor:
    """Return the last states of a row, (t, h), by a copy of `fresh`, a model that has read nothing."""
    with torch.no_grad():
        return (
            copy.deepcopy(fresh).base_model(input_ids=torch.tensor([list(row)]), use_cache=False).last_hidden_state[0]
        )


def logits_alone(fresh: Any, row: Sequence[int]) -> torch.Tensor:
    """Return the logits of a row, (t, vocabulary), by a copy of `fresh`."""
    with torch.no_grad():
        return copy.deepcopy(fresh)(input_ids=torch.tensor([list(row)]), use_cache=False).logits[0]
