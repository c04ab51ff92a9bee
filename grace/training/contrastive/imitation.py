"""Cross-entropy of rationales that are to be learnt, from the states that InfoNCE is taken of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.objectives.selection import cross_entropy_sum
from harness.encoders.head import logits_of

if TYPE_CHECKING:
    import torch

    from grace.training.contrastive.packed import Packing


class Learnt(NamedTuple):
    """What is to be learnt of a row."""

    written: int = 0
    """Tokens of the rationale at its end."""
    ids: tuple[int, ...] = ()
    """These, and the one that ended them, where one did; empty: nothing is learnt."""


def imitate(
    model: Any, states: torch.Tensor, packing: Packing, learnt: Sequence[Learnt], *, weight: float, chunk: int
) -> tuple[torch.Tensor, float]:
    """Return the gradient of weight x cross-entropy with respect to `states`, and the cross-entropy in nats.

    A trained head gets its gradient here; only some tokens' logits are in memory at a time.

    Args:
        model: whose head it is.
        states: (t, h) of the rows' own tokens.
        packing: of the rows.
        learnt: of each row.
        weight: of a token.
        chunk: tokens whose logits are in memory.
    """
    import torch

    leaf = states.detach().requires_grad_()
    at: list[int] = []
    targets: list[int] = []
    start = 0
    for length, one in zip(packing.lengths.tolist(), learnt, strict=True):
        first = start + length - one.written - 1  # the state that the first id follows
        at += range(first, first + len(one.ids))
        targets += one.ids
        start += length
    nats = 0.0
    for begin in range(0, len(at), chunk):
        chosen = torch.tensor(at[begin : begin + chunk], device=leaf.device)
        wanted = torch.tensor(targets[begin : begin + chunk], device=leaf.device)
        loss = cross_entropy_sum(logits_of(model, leaf[chosen]), wanted)
        (loss * weight).backward()  # type: ignore[no-untyped-call]
        nats += loss.item()
    return (torch.zeros_like(states) if leaf.grad is None else leaf.grad), nats
