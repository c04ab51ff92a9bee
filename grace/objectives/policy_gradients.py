"""Policy gradients by name, as options of trl's GRPOTrainer; docs/algorithms.md has the table and its sources.

Where trl has no option for how rewards become advantages, `advantages` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from grace.config.schema import Algorithm, Grace

if TYPE_CHECKING:
    from torch import Tensor


Baseline = Literal["group", "others", "greedy"]
SMALLEST_SPREAD = 1e-4
"""Added to a standard deviation before anything is divided by it, as trl does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradient:
    """How rewards become a loss."""

    loss_type: str
    """Over what the tokens' losses are averaged: grpo each rollout, then rollouts; dapo, bnpo all tokens; dr_grpo a
    constant length."""
    scale_rewards: str
    """By which standard deviation of the centred rewards these are divided: of their group, of the batch, none."""
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
    delta: float | None = None
    """Largest ratio that a rollout with a negative advantage counts with (dual clip); None: there is none."""
    baseline: Baseline = "group"
    """What is taken off a rollout's reward: the mean of its group, of the others in it, or what a greedy rationale of
    the same text would get in its place."""

    @property
    def span(self) -> int:
        """Optimiser steps from one batch of rollouts to the next."""
        return self.steps_per_generation * self.num_iterations

    @property
    def has_own_advantages(self) -> bool:
        """Whether `advantages` takes the place of what trl makes of rewards."""
        return self.baseline != "group" or self.scale_rewards == "batch"

    def options(self) -> dict[str, Any]:
        """Return keyword arguments of trl's `GRPOConfig`, batch sizes aside."""
        return {
            "loss_type": self.loss_type,
            # What trl logs of groups without spread is right only where it does not look at the whole batch.
            "scale_rewards": "none" if self.has_own_advantages else self.scale_rewards,
            "importance_sampling_level": self.importance_sampling_level,
            "epsilon": self.epsilon,
            "epsilon_high": self.epsilon_high,
            "num_iterations": self.num_iterations,
            "delta": self.delta,
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
    "rloo": PolicyGradient(loss_type="dr_grpo", scale_rewards="none", baseline="others"),
    "remax": PolicyGradient(loss_type="dr_grpo", scale_rewards="none", baseline="greedy"),
}
"""docs/algorithms.md has the paper of each."""
CHANGEABLE = (
    "loss_type",
    "scale_rewards",
    "importance_sampling_level",
    "epsilon",
    "epsilon_high",
    "delta",
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


def advantages(
    rewards: Tensor, *, baseline: Baseline, scale_rewards: str, greedy_rewards: Tensor | None = None
) -> Tensor:
    """Return what each rollout's tokens are pushed by, (g, k): rewards less a baseline, perhaps divided by a spread.

    Args:
        rewards: (g, k), of all groups of the batch, from all processes.
        baseline: see `PolicyGradient`.
        scale_rewards: `batch` divides by the standard deviation of all centred rewards, `group` by that of a group's,
            `none` by nothing. Deviations are those of samples, n - 1 in the denominator.
        greedy_rewards: (g, k), what a greedy rationale would get in each rollout's place; wanted by `greedy` alone.
    """
    k = rewards.shape[1]
    means = rewards.mean(dim=1, keepdim=True)
    if baseline == "greedy":
        assert greedy_rewards is not None  # noqa: S101 - written for it
        centred = rewards - greedy_rewards
    else:
        centred = (rewards - means) * (k / (k - 1) if baseline == "others" else 1.0)
    if scale_rewards == "none":
        return centred
    spread = centred.std() if scale_rewards == "batch" else centred.std(dim=1, keepdim=True)
    return centred / (spread + SMALLEST_SPREAD)
