"""Between trl's padded tensors and rows: p columns of prompt, padded on the left, c of completion, on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import torch  # noqa: TID253 - this module is imported when a policy is trained, and never before

from grace.data.table import Row as Triplet
from grace.training.policy.rollouts import Roles, Writer, text_of
from grace.training.policy.tree import Row
from harness.encoders.head import body_of


def ended(prompt: tuple[int, ...], written: tuple[int, ...], ends: frozenset[int]) -> Row:
    """Return a row whose rationale is `written` without the id that ended it, if one did."""
    if written and written[-1] in ends:
        return Row(prompt=prompt, rationale=written[:-1], end=written[-1])
    return Row(prompt=prompt, rationale=written)


def rows_of(ids: torch.Tensor, mask: torch.Tensor, keep: int, writer: Writer) -> list[Row]:
    """Return trl's padded prompts and completions as rows without prefix and padding.

    Args:
        ids: (n, p + c) int64.
        mask: (n, p + c), 0 at padding.
        keep: c.
        writer: whose template's prefix begins each prompt.
    """
    found = []
    skip = len(writer.template.prefix)
    for row, real in zip(ids.tolist(), mask.tolist(), strict=True):
        prompt = [token for token, is_real in zip(row[:-keep], real[:-keep], strict=True) if is_real][skip:]
        written = [token for token, is_real in zip(row[-keep:], real[-keep:], strict=True) if is_real]
        found.append(ended(tuple(prompt), tuple(written), writer.ends))
    return found


@contextmanager
def states_of(causal: Any) -> Iterator[list[torch.Tensor]]:
    """Collect the last hidden states of every pass inside the block, (n, t, h) each."""
    seen: list[torch.Tensor] = []
    hook = body_of(causal).register_forward_hook(lambda _module, _args, out: seen.append(out.last_hidden_state))
    try:
        yield seen
    finally:
        hook.remove()


def with_rows(
    ids: torch.Tensor, mask: torch.Tensor, keep: int, rows: Sequence[Row], writer: Writer
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return trl's padded rows with further ones below, padded alike, their mask, and the new c.

    Args:
        ids, mask: (n, p + c) each, as trl has them.
        keep: c.
        rows: what is put below; none leaves everything as it is.
        writer: whose template's prefix begins each prompt.
    """
    if not rows:
        return ids, mask, keep
    prompts = [[*writer.template.prefix, *row.prompt] for row in rows]
    written = [[*row.rationale, *([] if row.end is None else [row.end])] for row in rows]
    left, right = (max(own, *map(len, new)) for own, new in ((ids.shape[1] - keep, prompts), (keep, written)))
    widen = (left - (ids.shape[1] - keep), right - keep)
    ids, mask = (torch.nn.functional.pad(one, widen) for one in (ids, mask))
    pairs = list(zip(prompts, written, strict=True))
    more = [[0] * (left - len(p)) + p + w + [0] * (right - len(w)) for p, w in pairs]
    real = [[0] * (left - len(p)) + [1] * len(p + w) + [0] * (right - len(w)) for p, w in pairs]
    return torch.cat([ids, ids.new_tensor(more)]), torch.cat([mask, mask.new_tensor(real)]), right


def plain_pooled(states: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, writer: Writer) -> torch.Tensor:
    """Return the mean state over text, suffix and rationale of each padded row, (n, h) float32.

    Args:
        states: (n, p + c, h), after the final norm.
        ids, mask: (n, p + c) each.
        writer: whose prefix and ends take no part.
    """
    order = mask.cumsum(dim=1)
    last = (order == mask.sum(dim=1, keepdim=True)) & mask.bool()
    is_end = last & torch.isin(ids, torch.tensor(sorted(writer.ends), device=ids.device))
    inside = mask.bool() & (order > len(writer.template.prefix)) & ~is_end
    kept = states.float().masked_fill(~inside[:, :, None], 0.0)
    return kept.sum(dim=1) / inside.sum(dim=1, keepdim=True)


def text_numbers(triplet: Triplet, roles: Roles, generation: int) -> list[int]:
    """Return a number for each text of a triplet, equal where the texts are, on every process."""
    everyone = [role for role in ("query", "positive", "negative") if role in (*roles.paid, *roles.anchors)]
    digests = [sha256(text_of(triplet, role, generation).encode("utf-8", "replace")).digest() for role in everyone]
    return [int.from_bytes(one[:8], "little", signed=True) for one in digests]
