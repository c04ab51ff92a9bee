"""Losses as pure functions of tensors; torch alone is imported, inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def info_nce(
    queries: torch.Tensor,
    documents: torch.Tensor,
    *,
    temperature: float,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the contrastive loss: mean over i of -log softmax_j(cos(q_i, d_j) / temperature)[i], >= 0.

    Equal to sentence-transformers' MultipleNegativesRankingLoss at scale 1 / temperature.

    Args:
        queries: (b, d), any length; cosines are taken in float32.
        documents: (b + n, d): row i < b is the positive of query i; the others are negatives of every query.
        temperature: > 0.
        ignored: (b, b + n) bool: pairs that are left out of the softmax; never (i, i).

    Returns:
        A scalar.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812 - its name everywhere

    scores = cosines(queries, documents) / temperature  # (b, b + n)
    if ignored is not None:
        scores = scores.masked_fill(ignored, float("-inf"))
    targets = torch.arange(len(queries), device=scores.device)
    return F.cross_entropy(scores, targets)


def cosines(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the cosines of every row of `a` (n, d) with every row of `b` (m, d): (n, m) float32 in [-1, 1]."""
    import torch.nn.functional as F  # noqa: N812

    return F.normalize(a.float(), dim=-1) @ F.normalize(b.float(), dim=-1).T


def false_negatives(
    query_names: torch.Tensor, positive_names: torch.Tensor, document_names: torch.Tensor
) -> torch.Tensor:
    """Return which documents are no negatives of a query: those with the text of the query itself, or of its positives.

    A query's positives are those of every row of the batch that has the query's text, its own row first of all.

    Args:
        query_names, positive_names: (b,) int64, equal where the texts are.
        document_names: (b + n,) int64; document i < b is the positive of query i.

    Returns:
        (b, b + n) bool, False at (i, i).
    """
    import torch

    is_one_query = query_names[:, None] == query_names[None]  # (b, b)
    is_that_positive = positive_names[:, None] == document_names[None]  # (b, b + n)
    same = (is_one_query.float() @ is_that_positive.float()) > 0  # some row of this query has this document
    same |= document_names[None] == query_names[:, None]
    own = torch.arange(len(query_names), device=same.device)
    same[own, own] = False
    return same


def kl_to_base(trained_logits: torch.Tensor, base_logits: torch.Tensor) -> torch.Tensor:
    """Return the sum over tokens of KL(base || trained) in nats, >= 0.

    The forward direction: trained must put mass wherever the base does, which is what "not forgetting" means.

    Args:
        trained_logits, base_logits: (t, vocabulary), any float dtype; no gradient flows into the base's.
    """
    import torch.nn.functional as F  # noqa: N812

    trained = F.log_softmax(trained_logits.float(), dim=-1)
    base = F.log_softmax(base_logits.float(), dim=-1).detach()
    return F.kl_div(trained, base, reduction="sum", log_target=True)
