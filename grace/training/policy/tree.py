"""A batch of rollouts as a tree of tokens: the prompt's prefix once, each text once, then every rationale of that text.

GRPO runs prompt and rationale of each rollout as a row of its own. Here all tokens of a batch stand in one sequence
without padding, prefix first, then texts, then rationales. The last token before a rationale is repeated for each (it
predicts a different first token each time). tree_attention.py lets each token see what it would have seen in its own
row, tree_forward.py makes log-probabilities and pooled states of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


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


def pack(prefix: Sequence[int], rows: Sequence[Row], device: Any = "cpu", *, columns: int | None = None) -> Tree:
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
    ids = [*prefix, *chain.from_iterable(texts), *chain.from_iterable(own)]
    first = len(prefix) + sum(map(len, texts))  # place of the first rationale
    of_texts = _segments(texts, len(prefix), [len(prefix)] * len(texts), device)
    of_rationales = _segments(own, first, [len(prefix) + len(texts[index]) for index in owner], device)
    positions = [one.positions.flatten()[one.kept] for one in (of_texts, of_rationales)]
    width = columns or max((len(row.rationale) + (row.end is not None) for row in rows), default=1)
    scored, labels, cells = (
        torch.tensor(column, dtype=torch.long, device=device) for column in _scored(rows, own, first=first, width=width)
    )
    return Tree(
        tokens=torch.tensor([ids], device=device),
        positions=torch.cat([torch.arange(len(prefix), device=device), *positions])[None],
        prefix=len(prefix),
        texts=of_texts,
        rationales=of_rationales,
        owner=torch.tensor(owner, device=device),
        scored=scored,
        labels=labels,
        cells=cells,
        columns=width,
        masks={},
    )


def _scored(
    rows: Sequence[Row], own: Sequence[Sequence[int]], *, first: int, width: int
) -> tuple[list[int], list[int], list[int]]:
    """Return places whose next token is scored, these tokens, and where each lands in the flattened (n, c).

    Args:
        rows: of the batch.
        own: packed tokens of each: the last of its prompt and its rationale.
        first: place of the first of them.
        width: c.
    """
    scored: list[int] = []
    labels: list[int] = []
    cells: list[int] = []
    place = first
    for index, (row, tokens) in enumerate(zip(rows, own, strict=True)):
        targets = [*row.rationale, *([] if row.end is None else [row.end])] if row.is_scored else []
        scored += range(place, place + len(targets))
        labels += targets
        cells += range(index * width, index * width + len(targets))
        place += len(tokens)
    return scored, labels, cells


def _segments(rows: list[list[int]], first: int, starts: list[int], device: Any) -> Segments:
    """Return where rows of tokens stand.

    Args:
        rows: tokens of each, end to end in the packed sequence.
        first: place of the first token of the first.
        starts: position id of each row's first token.
        device: of the tensors.
    """
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
