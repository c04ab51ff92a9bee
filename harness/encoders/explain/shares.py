"""What each token contributes to a cosine; imports numpy only.

A vector that is the mean of token states makes the cosine of two texts a sum over pairs of tokens:

    cos(a, b) = <mean_i a_i, mean_j b_j> / (|mean a| |mean b|) = sum_ij <a_i, b_j> / (n m |mean a| |mean b|)

so a token's share is the sum over its pairs, nothing is approximated, and the shares of either side add up to the
cosine. A share may be negative, and a text's shares say what the vector holds, not why the model put it there: a state
carries what stood before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


class TokenShares(NamedTuple):
    """Shares of the tokens of two texts in their cosine; each side sums to it."""

    a: NDArray[np.float64]
    """(n,)"""
    b: NDArray[np.float64]
    """(m,)"""


def token_shares(states_a: Floats, states_b: Floats) -> TokenShares:
    """Return what each token adds to the cosine of the two means.

    Args:
        states_a: (n, h), n >= 1, any float dtype; the states whose mean is the vector of the first text.
        states_b: (m, h), m >= 1, of the second.

    Returns:
        (n,) and (m,) float64; either sums to the cosine (to rounding), which is in [-1, 1], while single shares may lie
        outside.

    Raises:
        ValueError: the shapes do not fit, a side has no token, or a mean is zero or not finite.
    """
    a, b, scale = _checked(states_a, states_b)
    return TokenShares(a @ b.mean(axis=0) / (len(a) * scale), b @ a.mean(axis=0) / (len(b) * scale))


def _checked(states_a: Floats, states_b: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return both as float64, and the product of the lengths of their means."""
    a, b = np.asarray(states_a, dtype=np.float64), np.asarray(states_b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a) or not len(b):
        raise ValueError(f"expected states (n, h) and (m, h) with n, m >= 1, not {a.shape} and {b.shape}")
    scale = float(np.linalg.norm(a.mean(axis=0)) * np.linalg.norm(b.mean(axis=0)))
    if not np.isfinite(scale) or scale == 0.0:
        raise ValueError("a mean of the states is zero or not finite: there is no cosine to share out")
    return a, b, scale
