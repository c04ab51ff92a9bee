"""From a generation's pooled states to rewards and advantages, with the states of all processes in view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch  # noqa: TID253 - this module is imported when a policy is trained, and never before

from grace.data.table import Row as Triplet
from grace.objectives import rewards
from grace.objectives.losses import false_negatives
from grace.objectives.policy_gradients import advantages
from grace.objectives.rewards import Role, Scored, States
from grace.training.policy.rollouts import Draw
from grace.training.policy.rows import text_numbers
from grace.training.policy.task import PolicyTask
from grace.training.policy.tree import Row

Gather = Callable[[torch.Tensor], torch.Tensor]
"""From a tensor of this process to that of all processes, along its first dimension."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """One generation on this process, and the states of all processes."""

    triplets: list[Triplet]
    generation: int
    """Its index."""
    first: int
    """Index of this process's first triplet among those of all processes."""
    paid: list[Draw]
    """Rollouts that are rewarded and trained, triplet by triplet and role by role."""
    anchors: list[Draw]
    """Single rationales of the other texts."""
    greedy: list[Draw]
    """Greedy rationales of the paid texts, where the baseline is made of them."""
    anchor_rows: list[Row]
    """What was written for the anchors."""
    cut: list[bool]
    """Of each paid rollout and then of each greedy one, whether the length limit ended it."""
    states: States | None = None
    """Of all processes; None until the reward looked at them."""
    ignored: torch.Tensor | None = None
    """(b, b) or (b, 2b), of all processes: which documents are no negatives of a query; None as `states`."""
    advantages: torch.Tensor | None = None
    """(rollouts,), of this process; None where trl makes them of the rewards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What the rollouts of a generation are worth."""

    scored: dict[Role, Scored]
    """Of all processes."""
    cut: torch.Tensor
    """(b of all processes, paid roles, k) bool."""
    rewards: torch.Tensor
    """(rollouts,), of this process."""
    greedy_reward: float | None
    """Mean reward of greedy rationales; None where there are none."""


def pay(batch: Batch, pooled: torch.Tensor, task: PolicyTask, gather: Gather) -> Paid:
    """Return what the rollouts are worth; sets the batch's states, false negatives and advantages.

    Args:
        batch: of this process.
        pooled: (n, d), states of its rollouts, anchors and greedy rationales, in this order.
        task: whose rationales are paid how.
        gather: over processes.
    """
    roles, b = task.roles, len(batch.triplets)
    n, end = len(batch.paid), len(batch.paid) + len(batch.anchors)
    paid = pooled[:n].view(b, len(roles.paid), roles.k, -1)
    anchors = pooled[n:end].view(b, len(roles.anchors), 1, paid.shape[-1])
    by_role = {role: paid[:, index] for index, role in enumerate(roles.paid)}
    by_role |= {role: anchors[:, index] for index, role in enumerate(roles.anchors)}
    every = {role: gather(one.contiguous()) for role, one in by_role.items()}
    batch.states = States(query=every["query"], positive=every["positive"], negative=every.get("negative"))
    batch.ignored = _ignored(batch, task, gather, pooled.device)
    every_cut = gather(torch.tensor(batch.cut[:n], device=paid.device).view(b, len(roles.paid), roles.k))
    cut = {role: every_cut[:, index] for index, role in enumerate(roles.paid)}
    ignored = batch.ignored[:, : len(every_cut)]
    scored = rewards.score(batch.states, task.settings, cut, ignored=ignored)
    greedy: dict[Role, torch.Tensor] = {}
    if roles.has_greedy:
        made = _greedy(batch, pooled[end:], task, gather)
        greedy = rewards.greedy_rewards(made, batch.states, task.settings, scored=scored, cut=cut, ignored=ignored)
    own = slice(batch.first, batch.first + b)
    batch.advantages = _advantages(scored, greedy, task, own)
    stacked = _by_role({role: one.rewards for role, one in scored.items()}, task)
    return Paid(
        scored=scored,
        cut=every_cut,
        rewards=stacked[own].flatten(),
        greedy_reward=float(_by_role(greedy, task).mean()) if greedy else None,
    )


def _advantages(
    scored: Mapping[Role, Scored], greedy: Mapping[Role, torch.Tensor], task: PolicyTask, own: slice
) -> torch.Tensor | None:
    """Return this process's advantages, (rollouts,); None where trl makes them."""
    gradient = task.gradient
    if not gradient.has_own_advantages:
        return None
    worth = _by_role({role: one.rewards for role, one in scored.items()}, task)  # (b of all, roles, k)
    made = advantages(
        worth.flatten(0, 1),
        baseline=gradient.baseline,
        scale_rewards=gradient.scale_rewards,
        greedy_rewards=_by_role(greedy, task).flatten(0, 1) if greedy else None,
    )
    return made.view_as(worth)[own].flatten()


def _by_role(values: Mapping[Role, torch.Tensor], task: PolicyTask) -> torch.Tensor:
    """Stack (b, k) of each paid role to (b, roles, k), the order of the rollouts."""
    return torch.stack([values[role] for role in task.roles.paid], dim=1)


def _greedy(batch: Batch, pooled: torch.Tensor, task: PolicyTask, gather: Gather) -> dict[Role, rewards.Greedy]:
    """Return the greedy rationales of all processes' texts, a role each."""
    b, roles = len(batch.triplets), task.roles.paid
    cut = gather(torch.tensor(batch.cut[len(batch.paid) :], device=pooled.device).view(b, len(roles)))
    states = gather(pooled.reshape(b, len(roles), -1).contiguous())
    return {
        role: rewards.Greedy(states=states[:, index, None], cut=cut[:, index, None]) for index, role in enumerate(roles)
    }


def _ignored(batch: Batch, task: PolicyTask, gather: Gather, device: torch.device) -> torch.Tensor:
    """Return which documents are no negatives of a query: positives of any row with its text, or its text itself."""
    names = torch.tensor([text_numbers(one, task.roles, batch.generation) for one in batch.triplets])
    every = gather(names.to(device))  # (b, 2 or 3)
    return false_negatives(every[:, 0], every[:, 1], every[:, 1:].T.flatten())
