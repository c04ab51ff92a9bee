"""One forward pass over a packed tree: log-probabilities and entropies of the rationales' tokens, and pooled states.

Values and gradients are those of the plain pass, a row for each rollout, up to rounding.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, NamedTuple

from grace.training.policy.tree import Segments, Tree
from grace.training.policy.tree_attention import use_tree_attention
from harness.encoders.head import body_of, logits_of

if TYPE_CHECKING:
    from torch import Tensor


HEAD_CHUNK = 1024
"""Positions that meet the head at once; more are recomputed in the backward pass, a chunk at a time."""


class Scores(NamedTuple):
    """What a pass over `n` rows gives; `c` is the length of the longest rationale with its end."""

    log_probs: Tensor
    """(n, c) float32; 0 beyond a row's end and in rows that are not scored."""
    entropies: Tensor
    """(n, c) float32, nats, without gradient."""
    pooled: Tensor
    """(n, h) float32: mean state over text, suffix and rationale."""


def prepare_for_trees(causal: Any) -> None:
    """Let a causal language model's forward take a packed tree; done through `forward`, so that DDP and FSDP see it."""
    use_tree_attention(causal)
    original = causal.forward

    def forward(_self: Any, *args: Any, tree: Tree | None = None, temperature: float = 1.0, **kwargs: Any) -> Any:
        if tree is None:
            return original(*args, **kwargs)
        return tree_forward(causal, tree, temperature)

    causal.forward = types.MethodType(forward, causal)


def tree_forward(causal: Any, tree: Tree, temperature: float) -> Scores:
    """Run a packed batch through a causal language model whose attention is `tree_attention`.

    Args:
        causal: the model with its head; adapters are part of its layers.
        tree: from `pack`.
        temperature: logits are divided by it.
    """
    states = body_of(causal)(
        input_ids=tree.tokens,
        position_ids=tree.positions,
        # Four dimensions: transformers takes it as finished and builds no (s, s) mask; the tree's own masks are used.
        attention_mask=tree.tokens.new_ones((1, 1, 1, 1)).bool(),
        use_cache=False,
        tree=tree,
    ).last_hidden_state[0]  # (s, h)
    n, h = len(tree.owner), states.shape[1]
    sums = _segment_sums(states, tree.texts)[tree.owner] + _segment_sums(states, tree.rationales)
    counts = tree.texts.lengths[tree.owner] + tree.rationales.lengths
    log_probs, entropies = head_scores(causal, states[tree.scored], tree.labels, temperature)
    empty = log_probs.new_zeros(n * tree.columns)
    return Scores(
        log_probs=empty.index_copy(0, tree.cells, log_probs).view(n, tree.columns),
        entropies=empty.index_copy(0, tree.cells, entropies).view(n, tree.columns),
        pooled=(sums / counts[:, None]).view(n, h),
    )


def _segment_sums(states: Tensor, segments: Segments) -> Tensor:
    """Return the sum of the states of each segment, (n, h) float32."""
    import torch

    rows = torch.arange(len(segments.lengths), device=states.device).repeat_interleave(segments.lengths)
    own = states[segments.places.flatten()[segments.kept]].float()
    return own.new_zeros(len(segments.lengths), states.shape[1]).index_add(0, rows, own)


def head_scores(causal: Any, states: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return log-probability of each label and entropy of its distribution, (m,) float32 each.

    Args:
        causal: whose head and soft cap are used.
        states: (m, h), after the final norm.
        labels: (m,) int64.
        temperature: logits are divided by it.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    def scores(part: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits_of(causal, part).float() / temperature
        total = logits.logsumexp(dim=1)
        with torch.no_grad():
            entropy = total - (logits.softmax(dim=1) * logits).sum(dim=1)
        return logits.gather(1, targets[:, None])[:, 0] - total, entropy

    if len(states) <= HEAD_CHUNK:
        return scores(states, labels)
    parts = [
        checkpoint(scores, part, targets, use_reentrant=False)
        for part, targets in zip(torch.split(states, HEAD_CHUNK), torch.split(labels, HEAD_CHUNK), strict=True)
    ]
    return torch.cat([one[0] for one in parts]), torch.cat([one[1] for one in parts])
