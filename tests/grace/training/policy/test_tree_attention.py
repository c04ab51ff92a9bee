"""Attention within a tree: its windows, and nothing changed outside of one."""

from __future__ import annotations

import torch
from cells_support import tiny_model

from grace.training.policy.tree import Row, pack
from grace.training.policy.tree_attention import tree_attention, use_tree_attention

PREFIX = [5, 9, 11, 23, 7]
ROWS = [
    Row(prompt=(31, 32, 33, 8), rationale=(40, 41, 42), end=2),
    Row(prompt=(51, 8), rationale=(43, 44, 45, 46, 47)),
]


def test_a_sliding_window_is_kept() -> None:
    """A layer that sees the last four tokens only sees the same four in a tree."""
    model = tiny_model("llama", 80)
    for layer in model.model.layers:
        layer.self_attn.sliding_window = 4
    tree = pack(PREFIX, ROWS)
    # Llama passes no window, so it is handed to the attention here, and to a mask over each plain row below.
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, tree.tokens.shape[1], 8) for heads in (4, 2, 2))
    got, _ = tree_attention(None, q, k, v, None, tree=tree, scaling=0.3, sliding_window=4)
    for index in range(len(ROWS)):
        text = int(tree.owner[index])
        places = torch.cat(
            [
                torch.arange(tree.prefix),
                tree.texts.places[text, : tree.texts.lengths[text]],
                tree.rationales.places[index, : tree.rationales.lengths[index]],
            ]
        )
        steps = torch.arange(len(places))
        mask = (steps[:, None] >= steps) & (steps[:, None] - steps < 4)
        row = [one[:, :, places] for one in (q, k, v)]
        expected = torch.nn.functional.scaled_dot_product_attention(*row, attn_mask=mask, scale=0.3, enable_gqa=True)
        assert torch.allclose(got[0, places], expected[0].transpose(0, 1), atol=1e-6)


def test_a_model_outside_a_tree_is_itself() -> None:
    """With the tree attention installed, a padded batch gives what it gave before."""
    model = tiny_model("llama", 80)
    ids = torch.tensor([[0, 0, 31, 32, 33], [41, 42, 43, 44, 45]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    before = model(input_ids=ids, attention_mask=mask).logits
    use_tree_attention(model)
    after = model(input_ids=ids, attention_mask=mask).logits
    assert torch.allclose(before[mask.bool()], after[mask.bool()], atol=1e-6)
