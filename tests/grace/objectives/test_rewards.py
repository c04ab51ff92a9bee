"""Rewards of rationales: by hand, by a second implementation in plain loops, and by what GRPO does with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from grace.objectives import rewards
from grace.objectives.rewards import RewardSettings, States
from harness.errors import HarnessError


def planar(*degrees: float) -> torch.Tensor:
    """Return unit vectors in the plane, (n, 2)."""
    angles = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1).float()


def by_hand(*, k_query: int) -> States:
    """Return 2 triplets x 3 rollouts in the plane; query and negative have 1 state or 3."""
    positive = torch.stack([planar(0, 60, 90), planar(90, 120, 180)])
    query = (
        torch.stack([planar(0), planar(90)]) if k_query == 1 else torch.stack([planar(0, 0, 60), planar(90, 90, 90)])
    )
    negative = (
        torch.stack([planar(90), planar(0)]) if k_query == 1 else torch.stack([planar(90, 90, 90), planar(0, 60, 0)])
    )
    return States(query=query * 3.0, positive=positive * 0.5, negative=negative)  # lengths play no part


def with_credit(credit: Any, **changes: Any) -> RewardSettings:
    """Return the settings of the hand-made cases with another credit."""
    return RewardSettings(**{"temperature": 1.0, "truncation": "off", **changes}, credit=credit)


def test_corrected_rewards_of_two_triplets_by_hand() -> None:
    """R_k = cos(q, p_k) - cos(p_k, n) + 0.2 consistency_k - 0.2 max_j cos(p_k, q_j), angles in the plane."""
    c = math.sqrt(3) / 2  # cosine of 30 degrees
    got = rewards.score(by_hand(k_query=1), with_credit("corrected"))["positive"].rewards
    first = [
        1 - 0 + 0.2 * (0.5 + 0) / 2 - 0.2 * 0,
        0.5 - c + 0.2 * (0.5 + c) / 2 - 0.2 * c,
        0 - 1 + 0.2 * (0 + c) / 2 - 0.2 * 1,
    ]
    second = [
        1 - 0 + 0.2 * (c + 0) / 2 - 0.2 * 0,
        c + 0.5 + 0.2 * (c + 0.5) / 2 + 0.2 * 0.5,
        0 + 1 + 0.2 * (0 + 0.5) / 2 + 0.2 * 1,
    ]
    assert torch.allclose(got, torch.tensor([first, second]), atol=1e-6)


def test_published_rewards_of_two_triplets_by_hand() -> None:
    """The negative and the other groups add the same to all rollouts: cos(q, n), and the best rollout elsewhere."""
    c = math.sqrt(3) / 2
    scored = rewards.score(by_hand(k_query=1), with_credit("paper"))["positive"]
    # cos(q_1, n_1) = 0 and cos(q_2, n_2) = 0; best of the other group: q_1 to 90 degrees 0, q_2 to 90 degrees 1.
    first = [1 + 0.2 * 0.25, 0.5 + 0.2 * (0.5 + c) / 2, 0 + 0.2 * c / 2]
    second = [1 + 0.2 * c / 2 - 0.2, c + 0.2 * (c + 0.5) / 2 - 0.2, 0 + 0.2 * 0.25 - 0.2]
    assert torch.allclose(scored.rewards, torch.tensor([first, second]), atol=1e-6)
    assert torch.allclose(scored.terms["cross_group"], torch.tensor([[0.0] * 3, [-0.2] * 3]), atol=1e-6)


def test_symmetric_rewards_of_two_triplets_by_hand() -> None:
    """Query, positive and negative are paid, each by the mean over the other text's rollouts; some entries by hand."""
    c = math.sqrt(3) / 2
    scored = rewards.score(by_hand(k_query=3), with_credit("symmetric"))
    assert set(scored) == {"query", "positive", "negative"}
    to_positive, to_other = (1 + 0.5 + 0) / 3, (0 - 0.5 - 1) / 3
    query = to_positive - 0 + 0.2 * (1 + 0.5) / 2 - 0.2 * to_other
    assert scored["query"].rewards[0, 0].item() == pytest.approx(query, abs=1e-6)
    positive = (0.5 + 0.5 + 1) / 3 - c + 0.2 * (0.5 + c) / 2 - 0.2 * c
    assert scored["positive"].rewards[0, 1].item() == pytest.approx(positive, abs=1e-6)
    negative = -(c + c + c) / 3 + 0.2 * (0.5 + 0.5) / 2  # of triplet 2: 60 degrees against a query at 90
    assert scored["negative"].rewards[1, 1].item() == pytest.approx(negative, abs=1e-6)


def random_states(*, b: int = 4, k: int = 5, d: int = 7, m: int = 1, has_negative: bool = True) -> States:
    """Return normal states from a fixed seed."""
    random = torch.Generator().manual_seed(5)
    make = lambda rows: torch.randn(b, rows, d, generator=random)  # noqa: E731
    return States(query=make(m), positive=make(k), negative=make(m) if has_negative else None)


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def in_loops(states: States, credit: str, tau: float) -> np.ndarray:
    """Return the positive's rewards by loops over the formulas of the method, for lambda 1 = lambda 2 = 0.2."""
    q, p = states.query.numpy(), states.positive.numpy()
    n = None if states.negative is None else states.negative.numpy()
    b, k, _ = p.shape
    found = np.zeros((b, k))
    for i in range(b):
        for r in range(k):
            own = p[i, r]
            value = np.mean([cosine(own, one) for one in q[i]])
            value += 0.2 * np.mean([cosine(own, p[i, j]) for j in range(k) if j != r])
            others = [j for j in range(b) if j != i]
            if n is not None:
                value -= cosine(q[i, 0], n[i, 0]) if credit == "paper" else np.mean([cosine(own, one) for one in n[i]])
            if credit == "paper" and n is not None:
                value -= 0.2 * np.mean([max(cosine(q[i, 0], p[j, l]) for l in range(k)) for j in others])  # noqa: E741
            elif credit == "paper":
                value -= 0.2 * np.mean([cosine(own, q[j, 0]) for j in others])
            else:
                value -= 0.2 * max(np.mean([cosine(own, one) for one in q[j]]) for j in others)
            found[i, r] = value / tau
    return found


@pytest.mark.parametrize("has_negative", [True, False])
@pytest.mark.parametrize(("credit", "m"), [("paper", 1), ("corrected", 1), ("symmetric", 5)])
def test_rewards_equal_the_formulas_in_loops(credit: Any, m: int, has_negative: bool) -> None:
    """Supervised and unsupervised, all three credits, on random states."""
    states = random_states(m=m, has_negative=has_negative)
    got = rewards.score(states, RewardSettings(credit=credit, truncation="off", is_supervised=has_negative))[
        "positive"
    ].rewards
    assert np.allclose(got.numpy(), in_loops(states, credit, 0.1), atol=1e-4)


@pytest.mark.parametrize("credit", ["paper", "corrected", "symmetric"])
def test_permuting_a_group_permutes_its_rewards(credit: Any) -> None:
    """No reward depends on where in its group a rollout stands."""
    states = random_states(m=5 if credit == "symmetric" else 1)
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = States(query=states.query, positive=states.positive[:, order], negative=states.negative)
    settings = with_credit(credit, infonce=0.5)
    before, after = (rewards.score(one, settings)["positive"].rewards for one in (states, moved))
    assert torch.allclose(before[:, order], after, atol=1e-6)


def test_a_constant_added_to_a_group_leaves_advantages_unchanged() -> None:
    """Published rewards with other negatives and no cross-group weight have the same advantages once centred."""
    states = random_states()
    other = States(query=states.query, positive=states.positive, negative=torch.randn_like(states.query))
    centred = []
    for one, weight in ((states, 0.2), (other, 0.0)):
        got = rewards.score(one, with_credit("paper", cross_group=weight))["positive"].rewards
        centred.append(got - got.mean(dim=1, keepdim=True))
    assert torch.allclose(*centred, atol=1e-6)


def test_published_terms_that_carry_no_gradient_are_found() -> None:
    """Paper: negative and cross-group term are inert; corrected, symmetric, unsupervised paper: none."""
    paper = rewards.score(random_states(), RewardSettings(credit="paper"))["positive"]
    assert set(rewards.inert_terms(paper)) == {"hard_negative", "cross_group"}
    for credit, m in (("corrected", 1), ("symmetric", 5)):
        for one in rewards.score(random_states(m=m), RewardSettings(credit=credit, infonce=1.0)).values():  # type: ignore[arg-type]
            assert rewards.inert_terms(one) == []
    bare = rewards.score(random_states(has_negative=False), RewardSettings(credit="paper", is_supervised=False))[
        "positive"
    ]
    assert rewards.inert_terms(bare) == []


def test_reasons_name_what_makes_a_term_inert() -> None:
    """Two rollouts make consistency inert, one triplet the cross-group term, and the reasons say so."""
    two = rewards.score(random_states(k=2), RewardSettings())["positive"]
    assert rewards.inert_terms(two) == ["consistency"]
    settings = RewardSettings(credit="paper")
    sizes = {"triplets": 4, "rollouts": 2}
    assert "2 rollout(s)" in rewards.why_inert("consistency", settings, **sizes)  # type: ignore[arg-type]
    assert "credit: paper" in rewards.why_inert("hard_negative", settings, **sizes)  # type: ignore[arg-type]
    lone = rewards.score(random_states(b=1), RewardSettings())["positive"]
    assert rewards.inert_terms(lone) == ["cross_group"]
    assert "one triplet" in rewards.why_inert("cross_group", RewardSettings(), triplets=1, rollouts=5)


def test_truncated_rollouts() -> None:
    """`minimum` is the group's lowest reward, `published` -1, `off` nothing; a group that never ended stays."""
    values = torch.tensor([[3.0, 1.0, 2.0], [5.0, 4.0, 6.0]])
    cut = torch.tensor([[True, False, False], [True, True, True]])
    assert rewards.truncate(values, cut, "minimum").tolist() == [[1.0, 1.0, 2.0], [5.0, 4.0, 6.0]]
    assert rewards.truncate(values, cut, "published").tolist() == [[-1.0, 1.0, 2.0], [-1.0, -1.0, -1.0]]
    assert rewards.truncate(values, cut, "off").tolist() == values.tolist()
    states = random_states(b=2, k=3)
    settings = RewardSettings(credit="corrected", truncation="minimum")
    whole = rewards.score(states, settings)["positive"].rewards
    punished = rewards.score(states, settings, {"positive": cut})["positive"].rewards
    assert punished[0, 0] == whole[0].min()
    assert torch.equal(punished[1], whole[1])


def test_spread_inside_a_group() -> None:
    """The logged deviation is the population's, inside a group, averaged over groups."""
    assert rewards.within_group_std(torch.tensor([[1.0, 3.0], [5.0, 5.0]])) == pytest.approx(0.5)


def test_states_that_are_not_finite_are_refused() -> None:
    """A NaN state stops the step, and the message says whose it is."""
    states = random_states()
    states.positive[1, 2, 0] = float("nan")
    with pytest.raises(HarnessError, match="pooled states of positive"):
        rewards.score(states, RewardSettings())
