"""Which cells of a run were begun and which came to an end, seen by all its processes, whichever of them dies.

A mark is read and made only by a process that holds the cell's lock in the store. A lock that is free and a cell that
was begun and not ended: the process that was at it is dead.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.plan.cells import Cell

BEGUN, ENDED = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """A mark for every cell."""

    places: dict[str, int]
    """Key -> where its mark is; empty in a run of one process, which nothing outlives."""
    marks: MutableSequence[int]
    """0, `BEGUN` or `ENDED`; shared memory."""

    @classmethod
    def none(cls) -> Attempts:
        """Return marks of no cell."""
        return cls(places={}, marks=[])

    @classmethod
    def shared(cls, cells: Sequence[Cell], context: Any) -> Attempts:
        """Return marks that the processes of a multiprocessing context share; no lock guards them."""
        keys = sorted({str(cell.key) for cell in cells})
        return cls(places={key: place for place, key in enumerate(keys)}, marks=context.RawArray("b", len(keys)))

    def died(self, cell: Cell) -> bool:
        """Whether a process of this run died at the cell, asked by one that holds its lock."""
        place = self.places.get(str(cell.key))
        return place is not None and self.marks[place] == BEGUN

    @contextmanager
    def at(self, cell: Cell) -> Iterator[None]:
        """Mark that the cell is worked on, and that it has ended unless the process dies."""
        place = self.places.get(str(cell.key))
        if place is None:
            yield
            return
        self.marks[place] = BEGUN
        yield
        self.marks[place] = ENDED

    def some_left(self) -> bool:
        """Whether a cell was not begun yet."""
        return any(not self.marks[place] for place in self.places.values())
