"""What a batch looks like when it is packed."""

from __future__ import annotations

import pytest
import torch

from grace.training.policy.tree import Row, pack
from harness.errors import InputError

PREFIX = [5, 9, 11]


def test_a_batch_by_hand() -> None:
    """Prefix, each text once, then each rationale behind the last token of its prompt, at the positions of its row."""
    rows = [
        Row(prompt=(31, 32, 8), rationale=(40, 41), end=2),
        Row(prompt=(51, 8), rationale=(42,)),
        Row(prompt=(31, 32, 8), rationale=(43,), is_scored=False),
    ]
    tree = pack(PREFIX, rows)
    assert tree.tokens.tolist() == [[5, 9, 11, 31, 32, 51, 8, 40, 41, 8, 42, 8, 43]]
    assert tree.positions.tolist() == [[0, 1, 2, 3, 4, 3, 5, 6, 7, 4, 5, 5, 6]]
    assert tree.owner.tolist() == [0, 1, 0]
    assert (tree.scored.tolist(), tree.labels.tolist()) == ([6, 7, 8, 9], [40, 41, 2, 42])
    assert (tree.cells.tolist(), tree.columns) == ([0, 1, 2, 3], 3)
    assert pack(PREFIX, rows, columns=5).cells.tolist() == [0, 1, 2, 5]
    assert torch.equal(tree.rationales.lengths, torch.tensor([3, 2, 2]))


def test_a_prompt_that_cannot_be_split_is_refused() -> None:
    """Without prefix or suffix the message names the way out."""
    for prefix, prompt in (([], (31, 8)), (PREFIX, (8,))):
        with pytest.raises(InputError, match="forward: plain"):
            pack(prefix, [Row(prompt=prompt, rationale=(40,))])
