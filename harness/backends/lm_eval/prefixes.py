"""Which token rows share a prefix, so that its keys and values are computed once; pure, imports nothing heavy.

MMLU's five examples stand in front of every question of a subject, BBH's three in front of every item of a subtask:
most of a prompt is the same text, and a causal model's keys and values for it are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LEAST_SHARED_TOKENS = 32
"""A shorter common beginning is not worth a forward pass of its own."""


class Family(NamedTuple):
    """Rows that begin alike."""

    prefix_tokens: int
    """Length of the common beginning; 0 for rows that share nothing."""
    rows: list[int]
    """Indices of the rows; each is longer than the prefix."""


def families(rows: Sequence[Sequence[int]]) -> list[Family]:
    """Divide rows into families, greedily over their sorted order; those that share nothing make one family.

    A row joins the family before it where this saves more tokens than it costs the others by a shorter prefix:
    (n + 1 - 1) x new length > (n - 1) x old length.

    Args:
        rows: token ids, none empty.

    Returns:
        Families that hold each row once; the order within one is that of the sorted rows.
    """
    order = sorted(range(len(rows)), key=lambda index: (tuple(rows[index]), index))
    grown: list[Family] = []
    for index in order:
        if grown:
            last = grown[-1]
            first = rows[last.rows[0]]
            # a row that ends within the prefix would have been sorted before `first`
            most = last.prefix_tokens if len(last.rows) > 1 else len(first) - 1
            shared = common_length(first, rows[index], min(most, len(rows[index])))
            if shared >= LEAST_SHARED_TOKENS and len(last.rows) * shared > (len(last.rows) - 1) * last.prefix_tokens:
                grown[-1] = Family(shared, [*last.rows, index])
                continue
        grown.append(Family(0, [index]))
    alone = [family.rows[0] for family in grown if len(family.rows) == 1]
    together = [family for family in grown if len(family.rows) > 1]
    return together + ([Family(0, alone)] if alone else [])


def common_length(first: Sequence[int], second: Sequence[int], most: int) -> int:
    """Return how many leading ids are the same, `most` at most."""
    for place in range(max(most, 0)):
        if first[place] != second[place]:
            return place
    return max(most, 0)


def starts_twice(ids: Sequence[int], begin: int | None) -> bool:
    """Whether `ids` begin with two beginning-of-text tokens: a chat template and the tokenizer both added one."""
    return begin is not None and len(ids) > 1 and ids[0] == begin and ids[1] == begin
