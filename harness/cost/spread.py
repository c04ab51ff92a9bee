"""How long a list of work takes on so many devices: a schedule played through, not a sum divided; pure.

It is the rule of a run with several workers: the longest cell first, with all its units; a device that is free stays
with the model it has loaded while a unit of it is ready, and else loads the one that fewest devices are at. A cell that
is cut is opened, then its shards can be done side by side, then it is closed; one that is not cut is a single unit, and
no number of devices makes it shorter.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Step = Literal["whole", "open", "shard", "close"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a cell takes, and in how many parts it can be done."""

    cell: str
    model: str
    seconds: float
    """Of a cell that is cut: its shards, all together."""
    shards: int = 0
    """How many it is cut into; 0: it is one unit."""
    open_seconds: float = 0.0
    """Of a cell that is cut: before its first shard."""
    close_seconds: float = 0.0
    """Of a cell that is cut: after its last shard."""

    @property
    def total(self) -> float:
        """Seconds of all its units."""
        return self.open_seconds + self.seconds + self.close_seconds

    def seconds_of(self, step: Step) -> float:
        """Return the seconds of one unit."""
        if step == "open":
            return self.open_seconds
        if step == "close":
            return self.close_seconds
        return self.seconds / max(self.shards, 1)

    @property
    def longest(self) -> tuple[float, Step]:
        """Return the seconds of its longest unit, and which that is."""
        steps: tuple[Step, ...] = ("shard", "close", "open") if self.shards else ("whole",)
        return max(((self.seconds_of(step), step) for step in steps), key=lambda unit: unit[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a list of work comes to on so many devices."""

    devices: int
    seconds: float
    """From the first load to the end of the last unit."""
    loads: int
    """How many times a device loaded a model."""
    longest_cell: str
    """The cell of the longest unit."""
    longest_step: Step
    """What of the cell that unit is."""
    longest_seconds: float
    """Of that unit alone: the time is no shorter on any number of devices."""

    @property
    def longest_share(self) -> float:
        """The longest unit's share of the time; near 1, more devices change nothing."""
        return self.longest_seconds / self.seconds if self.seconds else 0.0


def spread(works: Sequence[Work], loads: Mapping[str, float], devices: int) -> Spread | None:
    """Return what `works` take on `devices` devices; None where there is no work.

    Args:
        works: the cells.
        loads: model -> seconds that a device takes to load it.
        devices: how many work at once, each with one model at a time; at least 1.
    """
    if not works:
        return None
    if devices < 1:
        raise ValueError(f"work is done by one device at least, not by {devices}")
    shop = _Shop(works=works, loads=loads, models=[None] * devices, idle=list(range(devices)))
    for number, work in enumerate(works):
        shop.add("open" if work.shards else "whole", number)
    seconds = shop.play()
    longest = max(works, key=lambda work: work.longest[0])
    return Spread(
        devices=devices,
        seconds=seconds,
        loads=shop.loaded,
        longest_cell=longest.cell,
        longest_step=longest.longest[1],
        longest_seconds=longest.longest[0],
    )


class _Ready(NamedTuple):
    """Units that can be begun; they sort by their cells: the longest first, then in the order of the list."""

    rank: float
    number: int
    """Of the cell."""
    step: Step


@dataclass(slots=True, kw_only=True)
class _Shop:
    """The devices, and what is ready for them."""

    works: Sequence[Work]
    loads: Mapping[str, float]
    models: list[str | None]
    """Device -> the model it has loaded."""
    idle: list[int]
    """Devices without work, in order."""
    ready: dict[str, list[_Ready]] = field(default_factory=dict)
    """Model -> heap."""
    to_begin: dict[int, int] = field(default_factory=dict)
    """Cell -> shards that nobody has begun."""
    to_end: dict[int, int] = field(default_factory=dict)
    """Cell -> shards that nobody has ended."""
    ends: list[tuple[float, int, int, Step]] = field(default_factory=list)
    """Heap of units under way: (time, device, cell, step)."""
    at: Counter[str] = field(default_factory=Counter)
    """Model -> devices that are at a unit of it."""
    loaded: int = 0

    def add(self, step: Step, number: int) -> None:
        """Make a unit of a cell ready, or all its shards."""
        work = self.works[number]
        if step == "shard":
            self.to_begin[number] = self.to_end[number] = work.shards
        heapq.heappush(self.ready.setdefault(work.model, []), _Ready(-work.total, number, step))

    def play(self) -> float:
        """Return when the last unit ends."""
        now = 0.0
        self._deal(now)
        while self.ends:
            now = self.ends[0][0]
            while self.ends and self.ends[0][0] == now:
                self._end(*heapq.heappop(self.ends)[1:])
            self._deal(now)
        return now

    def _end(self, device: int, number: int, step: Step) -> None:
        self.idle.append(device)
        self.at[self.works[number].model] -= 1
        if step == "open":
            self.add("shard", number)
        elif step == "shard":
            self.to_end[number] -= 1
            if not self.to_end[number]:
                self.add("close", number)

    def _deal(self, now: float) -> None:
        """Give every idle device a unit while any is ready."""
        left = []
        for device in sorted(self.idle):
            model = self.models[device]
            chosen = model if model is not None and self.ready.get(model) else self._model_to_load()
            if chosen is None:
                left.append(device)
            else:
                self._begin(now, device, chosen)
        self.idle = left

    def _model_to_load(self) -> str | None:
        """Return the model that fewest devices are at, of several the one of the longest cell; None: none is ready."""
        heads = [(self.at[model], heap[0], model) for model, heap in self.ready.items() if heap]
        return min(heads)[2] if heads else None

    def _begin(self, now: float, device: int, model: str) -> None:
        heap = self.ready[model]
        _, number, step = heap[0]
        if step == "shard":
            self.to_begin[number] -= 1
        if step != "shard" or not self.to_begin[number]:
            heapq.heappop(heap)
        self.at[model] += 1
        seconds = self.works[number].seconds_of(step)
        if self.models[device] != model:
            self.models[device] = model
            self.loaded += 1
            seconds += self.loads.get(model, 0.0)
        heapq.heappush(self.ends, (now + seconds, device, number, step))
