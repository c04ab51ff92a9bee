"""The items that moved between two models, task by task: what `harness compare --flips` says, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from harness.comparison.compare import Asked, both_sides, comparable
from harness.comparison.moved import Moves, moves

MOST = 5
"""Items of a task, unless another number is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """The items that moved most in every task that both models have."""

    a: str
    b: str
    tasks: tuple[Moves, ...]
    left_out: tuple[tuple[str, str], ...]
    """Task -> why it is not compared."""
    failed: bool
    """Whether a cell that is left out ended in an error."""


def flips(a: str, b: str, *, asked: Asked, most: int = MOST, with_texts: bool = True) -> Flips:
    """Return the items that moved between two models.

    Args:
        a, b: as `harness.comparison.compare.compare` takes them; a change is that of `a` against `b`.
        asked: where results are, and which tasks.
        most: items of a task.
        with_texts: with what is text of the data.

    Raises:
        InputError: a model or task is not there, a name has several scores, or no task can be compared.
    """
    both = both_sides(a, b, asked=asked)
    found = comparable(both.a, both.b, both.own, both.other)
    tasks = [
        moves(both.store, task, own, base, most=most, with_texts=with_texts)
        for task, (own, base) in found.pairs.items()
    ]
    return Flips(a=both.a, b=both.b, tasks=tuple(tasks), left_out=found.left_out, failed=found.failed)
