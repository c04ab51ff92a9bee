"""A score and a document in one integer, so that no two are equal: torch breaks ties as it likes, and has none left.

The upper half orders float32 scores as numbers (the bits of a negative float fall as it rises, so they are turned
over), the lower half is the place of the document's id in the order of ids: of equal scores the greater id wins, as in
trec_eval, which holds scores in float32 too.
"""

from __future__ import annotations

from typing import Any

_LOW = 0xFFFFFFFF
_ALL_BUT_SIGN = 0x7FFFFFFF
NOTHING = -(2**63)
"""Below every key of a score: the upper half would be that of a NaN."""


def keys_of(scores: Any, places: Any) -> Any:
    """Return (n,) int64 keys; the greater is the better.

    Args:
        scores: (n,) float32 tensor, finite.
        places: (n,) int64 tensor, 0 to 2^32 - 1: `Ranks.of` of each document.
    """
    import torch

    bits = (scores + 0.0).view(torch.int32)  # -0.0 + 0.0 is 0.0: the two are equal scores
    return ((bits ^ ((bits >> 31) & _ALL_BUT_SIGN)).to(torch.int64) << 32) | places


def scores_of(keys: Any) -> Any:
    """Return (n,) float32: the scores that `keys` were made of."""
    import torch

    ordered = (keys >> 32).to(torch.int32)
    return (ordered ^ ((ordered >> 31) & _ALL_BUT_SIGN)).view(torch.float32)


def places_of(keys: Any) -> Any:
    """Return (n,) int64: the places that `keys` were made of."""
    return keys & _LOW
