"""Random numbers by (seed, text, rollout, position), and the token they choose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


PICK_BLOCK = 256
"""Tokens of the vocabulary that a draw takes together first; part of what a seed means."""
PICK_ROWS = 16
"""Rows that are sampled at once on a CPU: their probabilities stay in the processor's caches."""


class Draws:
    """The random numbers of some rows: independent of one another, of the batch and of the other rows' lengths."""

    def __init__(self, seed: int, texts: Sequence[str], rollouts: Sequence[int], vocabulary: int) -> None:
        """Start a stream for each row, of (seed, text, rollout).

        Args:
            seed: of the run.
            texts: what each row's tokens are drawn for.
            rollouts: the number of each row's draw among those for its text.
            vocabulary: tokens there are to choose from.
        """
        self._streams = [_stream(seed, text, number) for text, number in zip(texts, rollouts, strict=True)]
        self._blocks = -(-vocabulary // PICK_BLOCK)

    def next(self, rows: Iterable[int] | None = None) -> NDArray[np.float32]:
        """Return (rows, blocks + `PICK_BLOCK`) standard exponentials for the next position of these rows, or of all.

        A row that leaves is not asked again: the n-th call for a row is its n-th position.
        """
        chosen = self._streams if rows is None else [self._streams[row] for row in rows]
        size = self._blocks + PICK_BLOCK
        return np.stack([stream.standard_exponential(size, dtype=np.float32) for stream in chosen])


def _stream(seed: int, text: str, rollout: int) -> np.random.Generator:
    name = f"{seed}\0{rollout}\0{text}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def pick(
    logits: torch.Tensor, temperature: float | NDArray[np.float64], draws: NDArray[np.float32] | None
) -> torch.Tensor:
    """Return the chosen token of each row, (b,) int64.

    A sampled token wins a race: with E ~ Exp(1) for each, the largest p / E is token i with probability p_i (the
    Gumbel-max trick). First the blocks of `PICK_BLOCK` tokens race, then the tokens of the winning block, which takes
    some hundreds of random numbers in place of one for each token. Rounding can change the winner only where the two
    best nearly tie; a search in the cumulated probabilities would have as many places to go wrong as there are tokens.

    Args:
        logits: (b, vocabulary).
        temperature: 0 takes the largest logit; or one above 0 for each row, (b,).
        draws: (b, blocks + `PICK_BLOCK`) standard exponentials, of `Draws`; None where the temperature is 0.

    Raises:
        ValueError: a temperature above 0 without draws.
    """
    import torch

    if isinstance(temperature, np.ndarray):
        logits = logits.float() / torch.as_tensor(temperature[:, None], device=logits.device, dtype=torch.float32)
        temperature = 1.0
    if temperature == 0:
        return logits.argmax(dim=1)
    if draws is None:
        raise ValueError("a sampled token needs random numbers")
    noise = torch.as_tensor(draws, device=logits.device).clamp_min(torch.finfo(torch.float32).tiny)
    step = PICK_ROWS if logits.device.type == "cpu" else len(logits)
    chosen = [
        _race(logits[start : start + step], temperature, noise[start : start + step])
        for start in range(0, len(logits), step)
    ]
    return torch.cat(chosen)


def _race(logits: torch.Tensor, temperature: float, noise: torch.Tensor) -> torch.Tensor:
    """Return (b,) winners; a token of probability 0 never wins, for some block and some token of it have more."""
    import torch

    scaled = logits.float() if temperature == 1 else logits.float() / temperature
    weights = scaled.softmax(dim=1)
    weights = torch.nn.functional.pad(weights, (0, -weights.shape[1] % PICK_BLOCK)).view(len(logits), -1, PICK_BLOCK)
    blocks = weights.shape[1]
    block = (weights.sum(dim=2) / noise[:, :blocks]).argmax(dim=1)
    inside = weights[torch.arange(len(logits), device=logits.device), block]
    return block * PICK_BLOCK + (inside / noise[:, blocks:]).argmax(dim=1)
