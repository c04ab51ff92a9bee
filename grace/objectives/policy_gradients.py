"""Policy gradients by name, as options of trl's GRPOTrainer; docs/algorithms.md has the table and its sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from grace.config.schema import Algorithm, Grace


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradient:
    """How rewards become a loss."""

    loss_type: str
    """Over what the tokens' losses are averaged: grpo each rollout, then rollouts; dapo, bnpo all tokens; dr_grpo a
    constant length."""
    scale_rewards: str
    """By which standard deviation centred rewards are divided: group, batch, none."""
    importance_sampling_level: str = "token"
    """Whose probability ratio is clipped: token, or sequence."""
    epsilon: float = 0.2
    """Clipping range of the ratio below 1."""
    epsilon_high: float = 0.2
    """The same above 1."""
    num_iterations: int = 1
    """Passes over a batch of rollouts."""
    steps_per_generation: int = 1
    """Optimiser steps that a batch of rollouts is split into."""
    is_leave_one_out: bool = False
    """The baseline of a rollout is the mean of the others: the group's mean taken off, times K / (K - 1)."""

    @property
    def span(self) -> int:
        """Optimiser steps from one batch of rollouts to the next."""
        return self.steps_per_generation * self.num_iterations

    def options(self, rollouts: int) -> dict[str, Any]:
        """Return keyword arguments of trl's `GRPOConfig`, batch sizes aside, for groups of `rollouts`."""
        return {
            "loss_type": self.loss_type,
            "scale_rewards": self.scale_rewards,
            "importance_sampling_level": self.importance_sampling_level,
            "epsilon": self.epsilon,
            "epsilon_high": self.epsilon_high,
            "num_iterations": self.num_iterations,
            "reward_weights": [rollouts / (rollouts - 1)] if self.is_leave_one_out else None,
        }


ALGORITHMS: dict[Algorithm, PolicyGradient] = {
    "grpo": PolicyGradient(loss_type="grpo", scale_rewards="group"),
    "dr_grpo": PolicyGradient(loss_type="dr_grpo", scale_rewards="none"),
    "dapo": PolicyGradient(loss_type="dapo", scale_rewards="group", epsilon_high=0.28),
    "gspo": PolicyGradient(
        loss_type="grpo",
        scale_rewards="group",
        importance_sampling_level="sequence",
        epsilon=3e-4,
        epsilon_high=4e-4,
        steps_per_generation=4,
    ),
    "reinforce++": PolicyGradient(loss_type="dapo", scale_rewards="batch"),
    "rloo": PolicyGradient(loss_type="dr_grpo", scale_rewards="none", is_leave_one_out=True),
}
"""docs/algorithms.md has the paper of each."""
CHANGEABLE = (
    "loss_type",
    "scale_rewards",
    "importance_sampling_level",
    "epsilon",
    "epsilon_high",
    "num_iterations",
    "steps_per_generation",
)
"""Options that a configuration may set over those of its algorithm."""


def policy_gradient(settings: Grace) -> PolicyGradient:
    """Return the algorithm of a configuration, with the options that it sets itself."""
    chosen = ALGORITHMS[settings.algorithm]
    changes = {name: value for name in CHANGEABLE if (value := getattr(settings, name)) is not None}
    if "epsilon" in changes and "epsilon_high" not in changes:
        changes["epsilon_high"] = changes["epsilon"]
    return replace(chosen, **changes)
