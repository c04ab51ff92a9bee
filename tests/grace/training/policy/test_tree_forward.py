"""The staged forward gives what a plain pass over each row gives: log-probabilities, pooled states, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cells_support import nested_model, tiny_model

from grace.training.policy import tree_forward as staged
from grace.training.policy.tree import Row, pack
from grace.training.policy.tree_attention import use_tree_attention

PREFIX = [5, 9, 11, 23, 7]
ROWS = [
    Row(prompt=(31, 32, 33, 8), rationale=(40, 41, 42), end=2),
    Row(prompt=(51, 8), rationale=(43, 44, 45, 46, 47)),
    Row(prompt=(31, 32, 33, 8), rationale=(), end=2),
    Row(prompt=(51, 8), rationale=(48,), end=2),
    Row(prompt=(61, 62, 63, 64, 65, 66, 8), rationale=(49, 50), is_scored=False),
]


def plain(model: Any, rows: list[Row], temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities, (n, 5), and pooled states, (n, h), one row at a time with the model's own attention."""
    width, log_probs, pooled = 5, [], []
    for row in rows:
        ids = [*PREFIX, *row.prompt, *row.rationale]
        states = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        pooled.append(states[len(PREFIX) :].mean(dim=0))
        targets = [*row.rationale, *([] if row.end is None else [row.end])] if row.is_scored else []
        first = len(PREFIX) + len(row.prompt) - 1
        logits = model.get_output_embeddings()(states[first : first + len(targets)]) / temperature
        own = logits.log_softmax(dim=1)[range(len(targets)), targets]
        log_probs.append(torch.cat([own, own.new_zeros(width - len(targets))]))
    return torch.stack(log_probs), torch.stack(pooled)


def gradients(model: Any, log_probs: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a loss over both results, all parameters in one vector."""
    weights = torch.linspace(-1, 1, log_probs.numel()).view_as(log_probs)
    mixed = (pooled @ pooled.T).tanh().sum()
    model.zero_grad()
    ((weights * log_probs).sum() + mixed).backward()
    return torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma"])
def test_staged_and_plain_give_the_same_values_and_gradients(family: str) -> None:
    """Different lengths, an empty rationale, rows that are cut or only pooled; relative difference below 1e-5."""
    model = tiny_model(family, 80)
    expected, expected_pooled = plain(model, ROWS, 0.7)
    expected_gradient = gradients(model, expected, expected_pooled)
    use_tree_attention(model)
    got = staged.tree_forward(model, pack(PREFIX, ROWS), 0.7)
    gradient = gradients(model, got.log_probs, got.pooled)
    for one, other in ((got.log_probs, expected), (got.pooled, expected_pooled), (gradient, expected_gradient)):
        assert ((one - other).norm() / other.norm()).item() < 1e-5


def test_many_positions_meet_the_head_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks change neither log-probabilities nor entropies nor the gradient."""
    model = tiny_model("llama", 80)
    states = torch.randn(10, model.config.hidden_size, requires_grad=True)
    labels = torch.arange(10)
    results = []
    for chunk in (1024, 3):
        monkeypatch.setattr(staged, "HEAD_CHUNK", chunk)
        log_probs, entropies = staged.head_scores(model, states, labels, 1.0)
        (gradient,) = torch.autograd.grad(log_probs.sum(), states)
        results.append((log_probs, entropies, gradient))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    distribution = model.get_output_embeddings()(states).softmax(dim=1)
    assert torch.allclose(results[0][1], -(distribution * distribution.log()).sum(dim=1), atol=1e-5)


def test_the_policy_is_scored_by_the_capped_logits_that_it_writes_with() -> None:
    """Also where the soft cap stands in a text configuration inside the model's own."""
    model = nested_model(80, cap=0.25)
    states, labels = torch.randn(5, model.config.get_text_config().hidden_size), torch.arange(5)
    found, _ = staged.head_scores(model, states, labels, 1.0)
    capped = (model.get_output_embeddings()(states) / 0.25).tanh() * 0.25
    assert torch.allclose(found, capped.log_softmax(dim=1)[range(5), labels], atol=1e-6)
