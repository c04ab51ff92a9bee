"""From rewards to advantages, against the papers' formulas written out."""

from __future__ import annotations

import statistics

import pytest
import torch

from grace.config.schema import Grace
from grace.objectives.policy_gradients import advantages, policy_gradient

REWARDS = [[3.0, 1.0, 0.5, 2.0], [-9.0, -9.5, -8.0, -9.1]]
"""Two groups whose levels differ by far more than their rollouts do."""


def made(algorithm: str, rewards: list[list[float]] = REWARDS, **options: object) -> torch.Tensor:
    """Return the advantages of an algorithm, by its own settings."""
    gradient = policy_gradient(Grace(algorithm=algorithm))  # type: ignore[arg-type]
    assert gradient.has_own_advantages
    told = {"baseline": gradient.baseline, "scale_rewards": gradient.scale_rewards}
    return advantages(torch.tensor(rewards), **told | options)  # type: ignore[arg-type]


def test_reinforce_plus_plus_divides_by_the_spread_of_centred_rewards() -> None:
    """Its baseline form: (r - group mean), normalised over the batch; what levels the groups have does not matter."""
    centred = [one - statistics.mean(group) for group in REWARDS for one in group]
    mean, deviation = statistics.mean(centred), statistics.stdev(centred)
    expected = [(one - mean) / (deviation + 1e-4) for one in centred]
    assert made("reinforce++").flatten().tolist() == pytest.approx(expected, abs=1e-5)
    shifted = [REWARDS[0], [one - 1000.0 for one in REWARDS[1]]]
    assert torch.allclose(made("reinforce++", shifted), made("reinforce++"), atol=1e-3)


def test_leave_one_out_is_the_reward_less_the_mean_of_the_others() -> None:
    """RLOO."""
    got = made("rloo")
    for i, group in enumerate(REWARDS):
        for k, reward in enumerate(group):
            others = [one for place, one in enumerate(group) if place != k]
            assert got[i, k].item() == pytest.approx(reward - statistics.mean(others), abs=1e-5)


def test_remax_takes_the_greedy_reward_off() -> None:
    """And nothing else: an advantage says how much better than the greedy rationale a rollout is."""
    greedy = torch.tensor([[1.5, 1.5, 1.0, 1.0], [-9.0, -9.0, -9.0, -8.5]])
    got = made("remax", greedy_rewards=greedy)
    assert torch.allclose(got, torch.tensor(REWARDS) - greedy)


@pytest.mark.parametrize("scale", ["group", "none"])
def test_the_group_mean_is_trls(scale: str) -> None:
    """What trl would have made of the same rewards, where it has the option."""
    from trl.trainer.utils import nanstd

    rewards = torch.tensor(REWARDS)
    expected = rewards - rewards.mean(dim=1, keepdim=True)
    expected = expected if scale == "none" else expected / (nanstd(rewards, dim=1, keepdim=True) + 1e-4)
    assert torch.allclose(advantages(rewards, baseline="group", scale_rewards=scale), expected, atol=1e-6)
