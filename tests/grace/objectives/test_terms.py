"""Terms of a reward: what is a negative of a rollout and what is not, and a newcomer in a rollout's place."""

from __future__ import annotations

import pytest
import torch

from grace.objectives import terms
from grace.objectives.losses import false_negatives


def unit(*shape: int, seed: int) -> torch.Tensor:
    """Return random unit vectors of five dimensions, (*shape, 5)."""
    made = torch.randn(*shape, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(made, dim=-1)


def test_infonce_reward_is_a_log_softmax() -> None:
    """Equal to cross-entropy over the partner, the other partners and the own negative."""
    q, p, n = unit(3, seed=0), unit(3, 2, seed=1), unit(3, seed=2)
    got = terms.infonce_reward(p, q[:, None], n[:, None], 0.05)
    for i in range(3):
        for k in range(2):
            logits = torch.cat([q @ p[i, k], (n[i] @ p[i, k])[None]]) / 0.05
            expected = -torch.nn.functional.cross_entropy(logits, torch.tensor(i))
            assert got[i, k].item() == pytest.approx(expected.item(), abs=1e-4)
    assert (got <= 0).all()


def test_a_text_of_the_same_query_is_no_negative() -> None:
    """Rows 0 and 1 ask the same: neither is the other's hardest query, nor a candidate; row 2 is to both."""
    names = torch.tensor([1, 1, 2]), torch.tensor([10, 11, 12])
    ignored = false_negatives(*names, names[1])
    rollouts, queries = unit(3, 2, seed=0), unit(3, 1, seed=1)
    queries[1] = queries[0]
    cosine = lambda i, k, j: float(rollouts[i, k] @ queries[j, 0])  # noqa: E731
    hardest = terms.cross_group(rollouts, queries, ignored.T)
    chosen = terms.infonce_reward(rollouts, queries, None, 0.5, ignored.T)
    for k in range(2):
        assert hardest[0, k].item() == pytest.approx(-cosine(0, k, 2), abs=1e-6)
        assert hardest[1, k].item() == pytest.approx(-cosine(1, k, 2), abs=1e-6)
        assert hardest[2, k].item() == pytest.approx(-max(cosine(2, k, 0), cosine(2, k, 1)), abs=1e-6)
        pair = torch.tensor([cosine(0, k, 0), cosine(0, k, 2)]) / 0.5
        assert chosen[0, k].item() == pytest.approx(float(pair.log_softmax(dim=0)[0]), abs=1e-5)


def test_where_nothing_is_a_negative_there_is_nothing_to_stay_away_from() -> None:
    """One triplet, or none but those of the same query: 0, and no infinity."""
    rollouts, queries = unit(2, 2, seed=0), unit(2, 1, seed=1)
    everyone = torch.tensor([[False, True], [True, False]])
    assert terms.cross_group(rollouts, queries, everyone).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert terms.infonce_reward(rollouts, queries, None, 0.5, everyone).abs().max() < 1e-6
    assert terms.cross_group(rollouts[:1], queries[:1]).tolist() == [[0.0, 0.0]]


def test_a_newcomer_meets_the_others_of_the_group() -> None:
    """In place of rollout k it is as consistent as a rollout would be there that has its state."""
    rollouts, newcomer = unit(2, 4, seed=0), unit(2, 1, seed=1)
    got = terms.consistency_in_place(newcomer, rollouts)
    for k in range(4):
        replaced = rollouts.clone()
        replaced[:, k] = newcomer[:, 0]
        assert torch.allclose(got[:, k], terms.consistency(replaced)[:, k], atol=1e-6)
