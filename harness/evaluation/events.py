"""What a run tells of itself: records that any process can send, and who is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.plan.cells import Cell
from harness.results.records import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegins:
    """Cells will be run."""

    cells: tuple[Cell, ...]
    done: int
    """So many others of the suite have a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Work on a cell begins; a process works on one cell at a time."""

    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What is done for a cell now; its model is loaded for the first cell alone."""

    cell: Cell
    name: Literal["loading", "cutting", "evaluating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many more texts of a cell are encoded."""

    cell: Cell
    texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMade:
    """A part of a cell is made, or was found made."""

    cell: Cell
    made: int
    of: int
    """So many of its shards are this run's."""
    was_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A cell has its result."""

    cell: Cell
    result: Result | None
    """None where another process made it and it cannot be read."""
    seconds: float
    """Since it was begun."""
    was_there: bool = False
    """Another run had scored it by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something the user must know that is no result."""

    text: str
    """One line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnds:
    """Nothing more will come, whether or not all cells were run."""


Event = RunBegins | Started | Phase | Progress | ShardMade | Finished | Remark | RunEnds


class Reporter(Protocol):
    """Is told what happens."""

    def report(self, event: Event) -> None:
        """Take note of `event`."""


class SilentReporter:
    """Shows nothing."""

    def report(self, event: Event) -> None:
        """Show nothing."""


@contextmanager
def told(reporter: Reporter, cells: Sequence[Cell], *, done: int) -> Iterator[None]:
    """Tell `reporter` that a run of `cells` begins, and that it ends, whatever it ends with."""
    reporter.report(RunBegins(cells=tuple(cells), done=done))
    try:
        yield
    finally:
        reporter.report(RunEnds())
