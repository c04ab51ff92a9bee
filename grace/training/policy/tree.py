"""One forward pass over a tree of tokens: the prompt's prefix once, each text once, then every rationale of that text.

GRPO runs prompt and rationale of each rollout as a row of its own. Here all tokens of a batch stand in one sequence
without padding, prefix first, then texts, then rationales, and the attention lets each see what it would have seen in
its own row: a rationale its text and the prefix, nothing else. Values and gradients are those of the plain pass up to
rounding. The last token before a rationale is repeated for each (it predicts a different first token each time).

`tree_forward` gives log-probabilities and entropies of the rationales' tokens and the pooled states, with gradients.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.encoders.language_model import capped_logits
from harness.errors import EnvironmentGapError, InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def prepare_for_trees(causal: Any) -> None:
    """Let a causal language model's forward take a packed tree; done through `forward`, so that DDP and FSDP see it."""
    use_tree_attention(causal)
    original = causal.forward

    def forward(_self: Any, *args: Any, tree: Tree | None = None, temperature: float = 1.0, **kwargs: Any) -> Any:
        if tree is None:
            return original(*args, **kwargs)
        return tree_forward(causal, tree, temperature)

    causal.forward = types.MethodType(forward, causal)


IMPLEMENTATION = "grace_tree"
"""How transformers calls this attention."""
HEAD_CHUNK = 1024
"""Positions that meet the head at once; more are recomputed in the backward pass, a chunk at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A text with one rationale."""

    prompt: tuple[int, ...]
    """Text and suffix, without the prefix."""
    rationale: tuple[int, ...]
    """Without end-of-turn."""
    end: int | None = None
    """The id that ended it; scored, never pooled."""
    is_scored: bool = True
    """Whether the tokens' log-probabilities are wanted; pooled states always are."""


class Scores(NamedTuple):
    """What a pass over `n` rows gives; `c` is the length of the longest rationale with its end."""

    log_probs: Tensor
    """(n, c) float32; 0 beyond a row's end and in rows that are not scored."""
    entropies: Tensor
    """(n, c) float32, nats, without gradient."""
    pooled: Tensor
    """(n, h) float32: mean state over text, suffix and rationale."""


class Segments(NamedTuple):
    """Where the tokens of texts or rationales stand in the packed sequence."""

    places: Tensor
    """(n, t) int64, 0 beyond a segment's length."""
    lengths: Tensor
    """(n,) int64."""
    kept: Tensor
    """(sum of lengths,) int64: real tokens in the flattened (n, t)."""
    positions: Tensor
    """(n, t) int64: position ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A batch, packed."""

    tokens: Tensor
    """(1, s) int64."""
    positions: Tensor
    """(1, s) int64."""
    prefix: int
    """Length of the prefix, at least 1."""
    texts: Segments
    rationales: Segments
    """Each begins with the last token of its prompt."""
    owner: Tensor
    """(n,) int64: the text of each rationale."""
    scored: Tensor
    """(m,) int64: packed places whose next token is scored."""
    labels: Tensor
    """(m,) int64."""
    cells: Tensor
    """(m,) int64: where each lands in the flattened (n, c)."""
    columns: int
    """c."""
    masks: dict[int | None, tuple[Tensor, Tensor]]
    """Sliding window to the masks of texts and rationales, filled on demand."""


def pack(prefix: Sequence[int], rows: Sequence[Row], device: Any = "cpu", columns: int | None = None) -> Tree:
    """Lay out a batch.

    Args:
        prefix: ids before every text; at least one.
        rows: in any order; those with the same prompt share its tokens.
        device: of the tensors.
        columns: width of the result; None: of the longest rationale.

    Raises:
        InputError: prefix or prompt are too short to be split.
    """
    import torch

    if not prefix or any(len(row.prompt) < 2 for row in rows):
        raise InputError(["the staged forward needs a prompt prefix and two tokens after it; set grace.forward: plain"])
    places: dict[tuple[int, ...], int] = {}
    owner = [places.setdefault(row.prompt, len(places)) for row in rows]
    texts = [list(prompt[:-1]) for prompt in places]
    own = [[row.prompt[-1], *row.rationale] for row in rows]
    text_tokens = sum(len(text) for text in texts)
    text_segments = _segments(texts, len(prefix), [len(prefix)] * len(texts), device)
    starts = [len(prefix) + len(texts[index]) for index in owner]
    own_segments = _segments(own, len(prefix) + text_tokens, starts, device)
    width = columns or max((len(row.rationale) + (row.end is not None) for row in rows), default=1)
    scored: list[int] = []
    labels: list[int] = []
    cells: list[int] = []
    place = len(prefix) + text_tokens
    for index, row in enumerate(rows):
        targets = [*row.rationale, *([] if row.end is None else [row.end])] if row.is_scored else []
        scored += range(place, place + len(targets))
        labels += targets
        cells += range(index * width, index * width + len(targets))
        place += len(own[index])
    positions = [
        torch.arange(len(prefix), device=device),
        *(one.positions.flatten()[one.kept] for one in (text_segments, own_segments)),
    ]
    ids = [*prefix, *(token for text in texts for token in text), *(token for one in own for token in one)]
    return Tree(
        tokens=torch.tensor([ids], device=device),
        positions=torch.cat(positions)[None],
        prefix=len(prefix),
        texts=text_segments,
        rationales=own_segments,
        owner=torch.tensor(owner, device=device),
        scored=torch.tensor(scored, dtype=torch.long, device=device),
        labels=torch.tensor(labels, dtype=torch.long, device=device),
        cells=torch.tensor(cells, dtype=torch.long, device=device),
        columns=width,
        masks={},
    )


def _segments(rows: list[list[int]], first: int, starts: list[int], device: Any) -> Segments:
    import torch

    lengths = torch.tensor([len(row) for row in rows], device=device)
    offsets = first + torch.cat([lengths.new_zeros(1), lengths.cumsum(0)[:-1]])
    steps = torch.arange(int(lengths.max()), device=device)
    inside = steps < lengths[:, None]  # (n, t)
    return Segments(
        places=(offsets[:, None] + steps).masked_fill(~inside, 0),
        lengths=lengths,
        kept=inside.flatten().nonzero()[:, 0],
        positions=torch.tensor(starts, device=device)[:, None] + steps,
    )


def tree_forward(causal: Any, tree: Tree, temperature: float) -> Scores:
    """Run a packed batch through a causal language model whose attention is `tree_attention`.

    Args:
        causal: the model with its head; adapters are part of its layers.
        tree: from `pack`.
        temperature: logits are divided by it.
    """
    states = causal.base_model(
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
        logits = capped_logits(causal, part).float() / temperature
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


def tree_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    tree: Tree | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within a packed tree; without one, as transformers' `sdpa` does.

    Args:
        module: the attention layer.
        query: (1, heads, s, size); key, value: (1, key-value heads, s, size).
        attention_mask: not looked at with a tree.
        tree: passed through the model's forward.
        scaling, sliding_window: as the model asks for.
        others: `softcap` is refused, the rest belongs to `sdpa`.

    Returns:
        (1, s, heads, size), and None for the weights.
    """
    import torch

    if tree is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, sliding_window=sliding_window, **others
        )
        return result
    if others.get("softcap") is not None:
        raise EnvironmentGapError(["the staged forward does not know soft-capped attention; set grace.forward: plain"])
    if sliding_window not in tree.masks:
        tree.masks[sliding_window] = _masks(tree, sliding_window)
    p = tree.prefix
    q, k, v = (one[0].transpose(0, 1) for one in (query, key, value))  # (s, heads, size)
    options: dict[str, Any] = {"scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}

    def attend(segments: Segments, sources: list[list[Tensor]], mask: Tensor) -> Tensor:
        """Return the mixed values of the segments' real tokens, (tokens, heads, size)."""
        queries = q[segments.places].transpose(1, 2)  # (n, heads, t, size)
        keys, values = (torch.cat(one, dim=1).transpose(1, 2) for one in sources)
        mixed = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, **options)
        return mixed.transpose(1, 2).flatten(0, 1)[segments.kept]

    texts, own, owner = tree.texts, tree.rationales, tree.owner
    text_mask, own_mask = tree.masks[sliding_window]
    of_text = [one[texts.places] for one in (k, v)]  # (b, t, heads, size)
    head = torch.nn.functional.scaled_dot_product_attention(
        query[:, :, :p], key[:, :, :p], value[:, :, :p], attn_mask=_prefix_mask(tree, sliding_window), **options
    )
    first = [[one[:p].expand(len(texts.lengths), -1, -1, -1), mine] for one, mine in zip((k, v), of_text, strict=True)]
    then = [
        [one[:p].expand(len(owner), -1, -1, -1), mine[owner], one[own.places]]
        for one, mine in zip((k, v), of_text, strict=True)
    ]
    parts = [head[0].transpose(0, 1), attend(texts, first, text_mask), attend(own, then, own_mask)]
    return torch.cat(parts)[None], None


def _masks(tree: Tree, window: int | None) -> tuple[Tensor, Tensor]:
    """Return what texts, (b, 1, t, p+t), and rationales, (n, 1, r, p+t+r), see; True is seen."""
    import torch

    texts, own, owner = tree.texts, tree.rationales, tree.owner
    prefix = torch.arange(tree.prefix, device=tree.tokens.device)

    def seen(queries: Tensor, keys: Tensor, real: Tensor) -> Tensor:
        """Causal by position, inside the window, and not padding: (n, 1, q, k)."""
        distance = queries[:, :, None] - keys[:, None]
        visible = (distance >= 0) & real[:, None]
        return (visible if window is None else visible & (distance < window))[:, None]

    def real(segments: Segments) -> Tensor:
        return torch.arange(segments.places.shape[1], device=prefix.device) < segments.lengths[:, None]

    def with_prefix(n: int, *others: Tensor, fill: bool = False) -> Tensor:
        start = prefix.expand(n, -1)
        return torch.cat([torch.ones_like(start, dtype=torch.bool) if fill else start, *others], dim=1)

    b, n = len(texts.lengths), len(owner)
    of_texts = seen(texts.positions, with_prefix(b, texts.positions), with_prefix(b, real(texts), fill=True))
    keys = with_prefix(n, texts.positions[owner], own.positions)
    return of_texts, seen(own.positions, keys, with_prefix(n, real(texts)[owner], real(own), fill=True))


def _prefix_mask(tree: Tree, window: int | None) -> Tensor:
    import torch

    places = torch.arange(tree.prefix, device=tree.tokens.device)
    distance = places[:, None] - places
    return (distance >= 0) if window is None else (distance >= 0) & (distance < window)


def register() -> None:
    """Make the attention known to transformers; outside a tree it is `sdpa`, masks and all."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(IMPLEMENTATION, tree_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)


def use_tree_attention(causal: Any) -> None:
    """Let a model run trees from now on: gradient checkpointing runs layers again in the backward pass.

    Raises:
        EnvironmentGapError: the model's code does not let its attention be chosen.
    """
    register()
    causal.set_attn_implementation(IMPLEMENTATION)
    if causal.config._attn_implementation != IMPLEMENTATION:
        name = type(causal).__name__
        raise EnvironmentGapError([f"{name} does not let its attention be replaced; set grace.forward: plain"])
