"""What is handed to one worker at once: a cell, or a step of a cell that is made in parts; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.plan.cells import Cell
from harness.results.records import Failure
from harness.shards.cut import Shard

Step = Literal["whole", "open", "shard", "close"]
"""A cell at once; or its data loaded and cut, one shard made, and the cell scored with what the shards hold."""
State = Literal["done", "held", "failed", "hopeless", "waits"]
"""held: another run has it. failed: to be tried again. hopeless: an error of the data or the model, the same each time.
waits: it cannot be scored yet, since other parts of the run have not made all its shards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One piece of work, which any worker can do, and do again."""

    step: Step
    cell: Cell
    number: int = 0
    """Of the shard among those of its cell, from 0."""
    shards: tuple[Shard, ...] = ()
    """Of step `shard` the one; of `close` all of the cell."""

    def __str__(self) -> str:
        return f"{self.cell} ({self.shards[0].name})" if self.step == "shard" else f"{self.cell}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a unit."""

    unit: Unit
    state: State
    shards: tuple[Shard, ...] = ()
    """What step `open` cut the cell into; empty: it is run as one piece."""
    failure: Failure | None = None
    """Of a unit that failed: what would be kept of its cell."""
    was_there: bool = False
    """The shard had been made before."""
