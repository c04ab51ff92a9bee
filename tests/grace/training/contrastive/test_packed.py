"""The packed forward pass: states and gradients of each row by itself, whatever stands beside it."""

from __future__ import annotations

import pytest
import torch
from cells_support import tiny_model

from grace.training.contrastive.packed import Packing, forward, packed_attention_on
from harness.encoders.pooling import mean_pool

ROWS = [[7, 8, 9, 10, 11], [12], [13, 14, 15], [16, 17]]
TOLERANCE = 2e-5


@pytest.fixture(scope="module", params=["llama", "qwen2", "gemma"])
def model(request):
    """Tiny models of three families."""
    return tiny_model(request.param, 40)


def alone(model, ids: list[int]) -> torch.Tensor:
    """Return the states of one row in a plain pass, (t, h)."""
    return model.base_model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]


@pytest.mark.parametrize("prefix", [[], [1], [1, 20, 21, 22]])
def test_each_row_has_the_states_and_gradients_of_a_pass_by_itself(model, prefix):
    """Neighbours, padding and sharing the prefix change nothing; the prefix too gets its gradient."""
    packing = Packing(prefix, ROWS, "cpu")
    with packed_attention_on(model):
        states = forward(model.base_model, packing)
    expected = torch.cat([alone(model, [*prefix, *row])[len(prefix) :] for row in ROWS])
    torch.testing.assert_close(states, expected, atol=TOLERANCE, rtol=0)
    weights = [layer.self_attn.k_proj.weight for layer in model.model.layers] + [model.model.embed_tokens.weight]
    direction = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    ours = torch.autograd.grad((states * direction).sum(), weights)
    theirs = torch.autograd.grad((expected * direction).sum(), weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_laying_out_and_packing_are_inverse_and_pool_row_by_row():
    """`padded` then `packed` gives the tokens back, and the mean of each row is that of its own tokens."""
    packing = Packing([1, 2], ROWS, "cpu")
    tokens = torch.arange(11.0)[:, None]
    torch.testing.assert_close(packing.packed(packing.padded(tokens)), tokens)
    means = mean_pool(packing.padded(tokens), torch.zeros_like(packing.lengths), packing.lengths)
    assert means[:, 0].tolist() == [2.0, 5.0, 7.0, 9.5]
    assert packing.positions.tolist() == [[0, 1, 2, 3, 4, 5, 6, 2, 2, 3, 4, 2, 3]]


@pytest.mark.parametrize("prefix", [0, 3])
def test_windows_and_soft_caps_are_those_of_the_model(prefix):
    """Against a plain implementation, one row at a time: what models with sliding windows or caps ask for."""
    from grace.training.contrastive.packed import packed_attention

    packing = Packing(list(range(prefix)), ROWS, "cpu")
    total = prefix + sum(map(len, ROWS))
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, heads, total, 4, generator=generator) for heads in (4, 2, 2))
    for window, cap in ((3, None), (None, 5.0), (3, 5.0), (None, None)):
        mixed, _ = packed_attention(
            None, query, key, value, None, packing=packing, scaling=0.7, sliding_window=window, softcap=cap
        )
        start = prefix
        for row in ROWS:
            at = [*range(prefix), *range(start, start + len(row))]
            q, k, v = query[0][:, at], key[0][:, at].repeat_interleave(2, 0), value[0][:, at].repeat_interleave(2, 0)
            scores = q @ k.transpose(1, 2) * 0.7
            scores = scores if cap is None else torch.tanh(scores / cap) * cap
            place = torch.arange(len(at))
            hidden = place[None] > place[:, None]
            hidden |= place[None] <= place[:, None] - window if window else False
            expected = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v  # (heads, p + l, size)
            torch.testing.assert_close(
                mixed[0, start : start + len(row)], expected[:, prefix:].transpose(0, 1), atol=1e-5, rtol=1e-5
            )
            start += len(row)
