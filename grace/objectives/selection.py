"""Which of a text's rationales is kept: pure functions of tensors; torch alone is imported, inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def margins(rollouts: torch.Tensor, others: torch.Tensor, ignored: torch.Tensor | None = None) -> torch.Tensor:
    """Return the contrastive margin of each rollout, (b, k), in [-2, 2].

    m(i, k) = mean_l cos(r_ik, o_il) - max over j != i of mean_l cos(r_ik, o_jl): how much nearer a text's rationale k
    brings it to its partner than to the hardest of the texts that are not; where there is no such text the second term
    is 0. The terms are those of GRACE's reward (arXiv 2510.04506, section 3.2) with the hardest negative of InfoNCE's.

    Args:
        rollouts: (b, k, d), any length.
        others: (b + n, d), of `mean_direction`; row i < b is the partner of text i.
        ignored: (b, b + n) bool: texts that are no negatives; never (i, i).
    """
    import torch
    import torch.nn.functional as F  # noqa: N812 - its name everywhere

    b, k, d = rollouts.shape
    near = (F.normalize(rollouts.float(), dim=-1).reshape(b * k, d) @ others.T).view(b, k, -1)  # (b, k, b + n)
    places = torch.arange(b, device=near.device)
    partner = near[places, :, places]  # (b, k)
    left_out = torch.zeros(b, near.shape[2], dtype=torch.bool, device=near.device)
    if ignored is not None:
        left_out |= ignored
    left_out[places, places] = True
    hardest = near.masked_fill(left_out[:, None], float("-inf")).amax(dim=2)
    return partner - hardest.masked_fill(hardest.isneginf(), 0.0)


def mean_direction(rollouts: torch.Tensor) -> torch.Tensor:
    """Return the mean of each text's unit vectors, (b, d): its product with a unit vector is the mean cosine.

    Args:
        rollouts: (b, m, d), any length.
    """
    import torch.nn.functional as F  # noqa: N812

    return F.normalize(rollouts.float(), dim=-1).mean(dim=1)


def cross_entropy_sum(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the sum over tokens of -log softmax(logits)[target] in nats, >= 0.

    Args:
        logits: (t, vocabulary), any float dtype.
        targets: (t,) int64.
    """
    import torch.nn.functional as F  # noqa: N812

    return F.cross_entropy(logits.float(), targets, reduction="sum")
