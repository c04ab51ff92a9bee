"""The terms of a reward: cosines of rationales' states, one number a rollout, larger for better.

Pure functions over torch tensors, unit vectors in, (b, k) out for b triplets with k rollouts each; rewards.py weighs
and adds them. Source: GRACE (arXiv 2510.04506, section 3.2, and its public code).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def contrastive(rollouts: Tensor, partner: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to its partner text's states, (b, k), in [-1, 1].

    Args:
        rollouts: (b, k, d), unit length.
        partner: (b, m, d), unit length.
    """
    return (rollouts @ partner.transpose(1, 2)).mean(dim=2)


def consistency(rollouts: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to the others of its group, (b, k); 0 for a group of one.

    Args:
        rollouts: (b, k, d), unit length.
    """
    k = rollouts.shape[1]
    if k == 1:
        return rollouts.new_zeros(rollouts.shape[:2])
    similar = rollouts @ rollouts.transpose(1, 2)  # (b, k, k)
    return (similar.sum(dim=2) - similar.diagonal(dim1=1, dim2=2)) / (k - 1)


def consistency_in_place(newcomer: Tensor, rollouts: Tensor) -> Tensor:
    """Return the consistency that a newcomer would have in each rollout's place, (b, k): with the others of the group.

    Args:
        newcomer: (b, 1, d), unit length.
        rollouts: (b, k, d), unit length, k > 1.
    """
    similar = (rollouts @ newcomer.transpose(1, 2))[:, :, 0]  # (b, k)
    return (similar.sum(dim=1, keepdim=True) - similar) / (rollouts.shape[1] - 1)


def hard_negative(rollouts: Tensor, negative: Tensor) -> Tensor:
    """Return minus the mean cosine of each rollout to its triplet's negative, (b, k)."""
    return -contrastive(rollouts, negative)


def hard_negative_published(query: Tensor, negative: Tensor, k: int) -> Tensor:
    """Return minus the cosine of query and negative, the same for all k rollouts of the positive, (b, k)."""
    return -contrastive(query, negative).mean(dim=1, keepdim=True).expand(-1, k)


def cross_group(rollouts: Tensor, others: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Return minus the largest cosine of each rollout to another triplet's text, (b, k); 0 where there is no other.

    Args:
        rollouts: (b, k, d), unit length.
        others: (b, m, d), unit length; of m states of a text, the mean cosine counts, as within a triplet.
        ignored: (b, b) bool: other triplets whose text is no negative of the rollouts; None: all are negatives.
    """
    similar = _without_own(_across(rollouts, others), float("-inf"))
    if ignored is not None:
        similar = similar.masked_fill(ignored[:, None], float("-inf"))
    hardest = similar.amax(dim=2)
    return -hardest.masked_fill(hardest.isneginf(), 0.0)


def cross_group_mean(rollouts: Tensor, others: Tensor) -> Tensor:
    """Return minus the mean cosine of each rollout to the other triplets' texts, (b, k): published, unsupervised."""
    b, k, _ = rollouts.shape
    if b == 1:
        return rollouts.new_zeros(b, k)
    return -_without_own(_across(rollouts, others), 0.0).sum(dim=2) / (b - 1)


def cross_group_published(query: Tensor, rollouts: Tensor) -> Tensor:
    """Return minus mean over i' != i of max over l of cosine(q_i, d+_i'l), the same for all k rollouts, (b, k)."""
    b, k, _ = rollouts.shape
    if b == 1:
        return rollouts.new_zeros(b, k)
    similar = _pairwise(query[:, :1], rollouts)[:, 0].amax(dim=2)  # (b, b): query i, best rollout of i'
    others = similar.sum(dim=1) - similar.diagonal()
    return (-others / (b - 1))[:, None].expand(b, k)


def infonce_reward(
    rollouts: Tensor, partner: Tensor, negative: Tensor | None, temperature: float, ignored: Tensor | None = None
) -> Tensor:
    """Return the log-probability that a rollout picks its own partner out of the batch, (b, k), at most 0.

    Candidates are the partner, the other triplets' partners and the triplet's own negative. They are taken from the
    rollout's side, so that every one of them, not the partner alone, tells the rollouts of a group apart.

    Args:
        rollouts: (b, k, d), unit length.
        partner: (b, m, d), unit length; the mean cosine to the m states of a text counts.
        negative: (b, m, d) or None.
        temperature: cosines are divided by it.
        ignored: (b, b) bool: other triplets whose partner is no negative of the rollouts; None: all are.
    """
    logits = _across(rollouts, partner) / temperature  # (b, k, b)
    if ignored is not None:
        logits = logits.masked_fill(ignored[:, None], float("-inf"))
    own = contrastive(rollouts, partner) / temperature
    if negative is not None:
        import torch

        logits = torch.cat([logits, contrastive(rollouts, negative)[:, :, None] / temperature], dim=2)
    return own - logits.logsumexp(dim=2)


def _pairwise(left: Tensor, right: Tensor) -> Tensor:
    """Return cosines of every state with every other, (b, k, b', m)."""
    b, k, d = left.shape
    return (left.reshape(b * k, d) @ right.reshape(-1, d).T).view(b, k, right.shape[0], right.shape[1])


def _across(rollouts: Tensor, others: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to each triplet's text, (b, k, b)."""
    return _pairwise(rollouts, others).mean(dim=3)


def _without_own(similar: Tensor, fill: float) -> Tensor:
    """Return (b, k, b) values with each triplet's own column replaced."""
    import torch

    own = torch.eye(similar.shape[0], dtype=torch.bool, device=similar.device)
    return similar.masked_fill(own[:, None], fill)
