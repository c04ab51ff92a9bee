"""Contrastive and retaining losses: numbers by hand, a second implementation, and what must not count as negative."""

from __future__ import annotations

import math

import pytest
import torch

from grace.objectives.losses import cosines, false_negatives, info_nce, kl_to_base


def random_vectors(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return normal vectors that ask for gradients."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32).requires_grad_()


def test_info_nce_by_hand():
    """Queries (1,0), (0,1); positives (1,0), (1,1)/sqrt 2; one negative (0,2): cosines 1, r, 0 and 0, r, 1."""
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    r = math.sqrt(0.5)
    first = -math.log(math.exp(1 / 0.5) / (math.exp(1 / 0.5) + math.exp(r / 0.5) + math.exp(0)))
    second = -math.log(math.exp(r / 0.5) / (math.exp(0) + math.exp(r / 0.5) + math.exp(1 / 0.5)))
    assert float(info_nce(queries, documents, temperature=0.5)) == pytest.approx((first + second) / 2, abs=1e-6)
    ignored = torch.tensor([[False, True, False], [False, False, True]])
    first = -math.log(math.exp(2) / (math.exp(2) + 1))
    second = -math.log(math.exp(2 * r) / (math.exp(2 * r) + 1))
    masked = float(info_nce(queries, documents, temperature=0.5, ignored=ignored))
    assert masked == pytest.approx((first + second) / 2, abs=1e-6)


@pytest.mark.parametrize("negatives", [0, 1, 2])
def test_info_nce_is_multiple_negatives_ranking_loss(negatives):
    """Value and gradients equal sentence-transformers' at scale 1 / temperature."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    columns = [random_vectors(5, 8, seed=number) for number in range(2 + negatives)]
    others = [one.detach().clone().requires_grad_() for one in columns]
    reference = MultipleNegativesRankingLoss(model=None, scale=1 / 0.05).compute_loss_from_embeddings(others, None)
    ours = info_nce(columns[0], torch.cat(columns[1:]), temperature=0.05)
    reference.backward()
    ours.backward()
    assert ours.item() == pytest.approx(reference.item(), abs=1e-5)
    for one, other in zip(columns, others, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_equal_texts_are_no_negatives():
    """Row 1 has row 0's positive; document 2 is row 2's query; the own positive always counts."""
    query, positive = torch.tensor([1, 2, 3]), torch.tensor([10, 10, 12])
    documents = torch.tensor([10, 10, 12, 3, 77])
    assert false_negatives(query, positive, documents).tolist() == [
        [False, True, False, False, False],
        [True, False, False, False, False],
        [False, False, False, True, False],
    ]


def test_positives_of_one_query_are_no_negatives_of_each_other():
    """Rows 0 and 1 ask the same; document 3 is row 0's positive as somebody's hard negative, document 4 is nobody's."""
    query, positive = torch.tensor([1, 1, 2]), torch.tensor([10, 11, 12])
    documents = torch.tensor([10, 11, 12, 10, 77])
    assert false_negatives(query, positive, documents).tolist() == [
        [False, True, False, True, False],
        [True, False, False, True, False],
        [False, False, False, False, False],
    ]


def test_kl_by_hand_and_its_gradient():
    """Base (1/2, 1/2), trained (3/4, 1/4): KL = ln 2 - (ln 3) / 2; the gradient is trained less base."""
    base = torch.zeros(1, 2)
    trained = torch.tensor([[math.log(3.0), 0.0]], requires_grad=True)
    loss = kl_to_base(trained, base)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) - math.log(3) / 2, abs=1e-6)
    torch.testing.assert_close(trained.grad, torch.tensor([[0.25, -0.25]]))
    assert float(kl_to_base(base, base)) == 0.0


def test_cosines_do_not_depend_on_length():
    """Only directions count."""
    a, b = random_vectors(3, 4), random_vectors(2, 4, seed=1)
    torch.testing.assert_close(cosines(a * 7, b * 0.1), cosines(a, b))
