"""The differentiable InfoNCE term on the pooled states of sampled rationales: where its gradient comes from.

All states of a batch of rollouts are known from its generation, on all processes. A micro-batch of the loss replaces
those of its own rows by the states of its own forward pass, which carry gradients, and takes InfoNCE over the whole
batch. Each row is live exactly once, so the gradients of all micro-batches on all processes add up to that of the whole
batch: exactly so while the weights are those of the generation (GradCache, arXiv 2101.06983, with the generation as its
first pass). Where several updates are made of one batch, each pass refreshes the states that it computes; those that
it has not come to yet are as old as the last pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from grace.objectives.losses import info_nce
from grace.objectives.rewards import Role, States

if TYPE_CHECKING:
    from torch import Tensor


class Place(NamedTuple):
    """Which state of a batch a row has."""

    role: Role
    triplet: int
    """Among those of all processes."""
    number: int
    """Of the rollout; 0 for a text's only rationale."""


def with_live(states: States, live: Tensor, places: Sequence[Place]) -> States:
    """Return `states` with rows replaced by live ones.

    Args:
        states: of the whole batch, without gradients.
        live: (n, d), with gradients.
        places: of each live row.
    """
    import torch

    made: dict[str, Tensor] = {}
    roles: tuple[Role, ...] = ("query", "positive") if states.negative is None else ("query", "positive", "negative")
    for role in roles:
        base = states.of(role).float()
        own = [index for index, place in enumerate(places) if place.role == role]
        if own:
            at = torch.tensor([[places[index].triplet, places[index].number] for index in own], device=base.device)
            base = base.index_put((at[:, 0], at[:, 1]), live[own].float())
        made[role] = base
    return States(query=made["query"], positive=made["positive"], negative=made.get("negative"))


def rollouts_info_nce(states: States, *, temperature: float, ignored: Tensor | None) -> Tensor:
    """Return InfoNCE of queries and positives, negatives among the documents, averaged over rollouts; a scalar >= 0.

    Rollout l of a text is compared with rollout l of the others (or with their only one), never with its own text's.

    Args:
        states: (b, m, d) each.
        temperature: of the softmax.
        ignored: (b, b) or (b, 2b) bool, pairs that are no negatives.
    """
    import torch

    k = max(states.query.shape[1], states.positive.shape[1])
    losses = []
    for number in range(k):
        documents = [_pick(states.positive, number)]
        if states.negative is not None:
            documents.append(_pick(states.negative, number))
        losses.append(
            info_nce(_pick(states.query, number), torch.cat(documents), temperature=temperature, ignored=ignored)
        )
    return torch.stack(losses).mean()


def _pick(states: Tensor, number: int) -> Tensor:
    return states[:, number if states.shape[1] > 1 else 0]


def with_gradient(loss: Tensor, *, parts: int, share: float) -> Tensor:
    """Return a scalar whose value is loss / parts and whose gradient is `share` times the loss's."""
    return loss.detach() / parts + share * (loss - loss.detach())
