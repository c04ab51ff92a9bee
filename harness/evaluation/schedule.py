"""Which unit a worker is given next: longest cells first, a worker's own model while it has work; pure.

A step that fails is tried again, `ATTEMPTS` times in all; then it is a failure of its cell. A cell that is run as one
piece and takes its process with it is not tried again in this run: it would take the next one too.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.evaluation.units import Done, Unit
from harness.plan.cells import Cell
from harness.plan.parts import Share
from harness.results.records import Failure
from harness.shards.cut import Shard

ATTEMPTS = 3


@dataclass(slots=True, kw_only=True)
class _Progress:
    """One cell on its way."""

    cell: Cell
    work: float
    """What it weighs against others."""
    waiting: deque[Unit]
    """What can be handed out now."""
    held: deque[Unit] = field(default_factory=deque)
    """What other runs are at; handed out again after `Schedule.release`."""
    running: int = 0
    shards: tuple[Shard, ...] = ()
    made: int = 0
    is_over: bool = False
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)


Verdict = Literal["goes on", "again", "over", "given up"]
"""again: the unit failed and is tried again. over: nothing is left to do for its cell. given up: for it failed."""


class Schedule:
    """The units of a run: handed out, taken back, until every cell is over."""

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        work: Callable[[Cell], float] | None = None,
        share: Share = lambda _cell, _number: True,
    ) -> None:
        """Begin with one unit a cell, of step `whole` or `open`.

        Args:
            units: in suite order.
            work: what a cell weighs: the longest is handed out first; None keeps the order.
            share: which of the cells and shards are this run's.
        """
        self._cells = {
            str(unit.cell): _Progress(cell=unit.cell, work=work(unit.cell) if work else 0.0, waiting=deque([unit]))
            for unit in units
            if unit.step == "open" or share(unit.cell, None)
        }
        self._share = share
        self._at: Counter[str] = Counter()
        """Model -> workers that are at one of its units."""

    @property
    def names(self) -> Sequence[str]:
        """Of the cells it has."""
        return list(self._cells)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to hand out or to come back."""
        return all(one.is_over and not one.running for one in self._cells.values())

    @property
    def can_use(self) -> int:
        """How many workers could be busy now: units that wait or run."""
        return sum(len(one.waiting) + one.running for one in self._cells.values())

    def take(self, model: str | None) -> Unit | None:
        """Return the next unit for a worker that has `model` loaded; None where there is none now."""
        free = [one for one in self._cells.values() if one.waiting]
        if not free:
            return None
        own = [one for one in free if one.cell.encoder == model]
        if not own:  # a model that few are at, so that each is loaded by few
            fewest = min(self._at[one.cell.encoder] for one in free)
            own = [one for one in free if self._at[one.cell.encoder] == fewest]
        chosen = max(own, key=lambda one: one.work)  # of equals the first
        chosen.running += 1
        self._at[chosen.cell.encoder] += 1
        return chosen.waiting.popleft()

    def release(self) -> None:
        """Let what other runs held be tried again."""
        for one in self._cells.values():
            one.waiting.extend(one.held)
            one.held.clear()

    def note(self, done: Done) -> Verdict:
        """Take a unit back, and say what that means for its cell."""
        one = self._back(done.unit)
        if one.is_over:
            return "over"
        if done.state == "held":
            one.held.append(done.unit)
            return "goes on"
        if done.state == "waits":
            return self._end(one)
        if done.state in ("failed", "hopeless"):
            return self._again(one, done.unit, is_hopeless=done.state == "hopeless")
        if done.unit.step == "open":
            self._opened(one, done.shards)
            if not done.shards and not self._share(one.cell, None):
                return self._end(one)
        elif done.unit.step == "shard":
            one.made += 1
        else:
            return self._end(one)
        return self._close_when_made(one)

    def died(self, unit: Unit) -> Verdict:
        """Take back a unit whose worker is gone."""
        one = self._back(unit)
        return "over" if one.is_over else self._again(one, unit, is_hopeless=unit.step == "whole")

    def shards_of(self, cell: Cell) -> tuple[int, int]:
        """Return how many of a cell's shards of this run are made, and how many there are."""
        one = self._cells[str(cell)]
        return one.made, sum(self._share(cell, number) for number in range(len(one.shards)))

    def _back(self, unit: Unit) -> _Progress:
        one = self._cells[str(unit.cell)]
        one.running -= 1
        self._at[unit.cell.encoder] -= 1
        return one

    def _opened(self, one: _Progress, shards: tuple[Shard, ...]) -> None:
        one.shards = shards
        if not shards:
            one.waiting.append(Unit(step="whole", cell=one.cell))
            return
        order = sorted(range(len(shards)), key=lambda number: -shards[number].weight)
        one.waiting.extend(
            Unit(step="shard", cell=one.cell, number=number, shards=(shards[number],))
            for number in order
            if self._share(one.cell, number)
        )

    def _close_when_made(self, one: _Progress) -> Verdict:
        if one.shards and not one.waiting and not one.held and not one.running:
            one.waiting.append(Unit(step="close", cell=one.cell, shards=one.shards))
        return "goes on"

    def _again(self, one: _Progress, unit: Unit, *, is_hopeless: bool) -> Verdict:
        tried = unit.step, unit.number
        one.attempts[tried] += 1
        if not is_hopeless and one.attempts[tried] < ATTEMPTS:
            one.waiting.append(unit)
            return "again"
        self._end(one)
        return "given up"

    def _end(self, one: _Progress) -> Verdict:
        one.is_over = True
        one.waiting.clear()
        one.held.clear()
        return "over"


def of_its_cell(failure: Failure, unit: Unit) -> Failure:
    """Return the failure of a cell that was given up, naming the shard that it failed at."""
    if unit.step != "shard":
        return failure
    return replace(failure, message=f"shard {unit.shards[0].name}: {failure.message}")
