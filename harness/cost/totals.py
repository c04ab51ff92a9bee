"""What the cells to run come to together, and as what they can be spread over devices: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.cost.estimate import CELL_SECONDS, CellCost
from harness.cost.pace import Pace
from harness.cost.spread import Spread, Work, spread
from harness.plan.cells import Cell

RUN_SECONDS = 10.0
"""Importing torch and the engine, once a process."""
TEXT_SECONDS = 5e-6
"""Of a cell that is cut, to open it and again to close it: a text is read from its file, hashed and looked up. To read
and hash it took 1.7e-6 on one core (366 characters); the lookup and the engine's own pass are taken for twice that."""
EXPENSIVE_SHOWN = 6
DEVICES = (1, 8, 64)
"""What a plan says the time of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over cells, and over how many of them nothing is known."""

    items: int
    requests: int
    tokens_in: int
    tokens_to_generate: int
    tokens_to_generate_at_most: int
    vector_bytes: int
    units: int
    """Of work: cells that are one, and of each that is cut its opening, its shards and its closing."""
    shards: int
    """About; of the cells that are cut."""
    cells_cut: int
    shard_bytes: int | None
    """Vectors of the cells that are cut, which are on disk until they are removed; None where a model's dimension is
    unknown."""
    seconds: float | None
    """None where no cell to run has a pace."""
    scoring_seconds: float
    """Of classifiers and k-means, which no device makes shorter; in `seconds`."""
    uncut_unknown: int
    """Cells to run of which it is not known whether they are cut: not in the four above."""
    unknown: int
    """Cells to run whose cost is not known and not in the sums."""
    untimed: int
    """Cells to run whose tokens are known and whose pace is not: not in `seconds`."""


def totals(costs: Sequence[tuple[Cell, CellCost]], paces: Mapping[str, Pace | None]) -> Totals:
    """Return the sums over the cells to run; loading each model and the engine are added once."""
    known = [(cell, cost) for cell, cost in costs if cost.tokens_in is not None]
    timed = [cost.seconds for _, cost in known if cost.seconds is not None]
    seconds = None
    if timed:
        models = {cell.encoder for cell, _ in known}
        loads = sum(pace.load_seconds for name, pace in paces.items() if pace and name in models)
        seconds = sum(timed) + loads + RUN_SECONDS

    cut = [cost for _, cost in known if cost.shards]
    at_once = sum(cost.shards == 0 for _, cost in known)
    stored = [cost.vector_bytes for cost in cut]

    def summed(what: str) -> int:
        return sum(getattr(cost, what) or 0 for _, cost in known)

    return Totals(
        items=summed("items"),
        requests=summed("requests"),
        tokens_in=summed("tokens_in"),
        tokens_to_generate=summed("tokens_to_generate"),
        tokens_to_generate_at_most=summed("tokens_to_generate_at_most"),
        vector_bytes=summed("vector_bytes"),
        units=at_once + sum((cost.shards or 0) + 2 for cost in cut),
        shards=sum(cost.shards or 0 for cost in cut),
        cells_cut=len(cut),
        shard_bytes=None if None in stored else sum(one or 0 for one in stored),
        seconds=seconds,
        scoring_seconds=sum(cost.scoring_seconds for _, cost in known),
        uncut_unknown=len(costs) - at_once - len(cut),
        unknown=len(costs) - len(known),
        untimed=len(known) - len(timed),
    )


def works_of(costs: Sequence[tuple[Cell, CellCost]]) -> list[Work]:
    """Return the cells to run whose time is known, as what can be spread over devices."""
    timed = [(cell, cost, cost.seconds) for cell, cost in costs if cost.seconds is not None]
    return [
        _cut_work(cell, seconds, cost) if cost.shards else Work(cell=str(cell), model=cell.encoder, seconds=seconds)
        for cell, cost, seconds in timed
    ]


def _cut_work(cell: Cell, seconds: float, cost: CellCost) -> Work:
    """Return a cell that is cut: its data are read to open and to close it; training texts are drawn at its end."""
    counts = cell.task.counts()
    drawn = counts.training_texts / (counts.unique_texts + counts.training_texts) if counts else 0.0
    encoding = seconds - CELL_SECONDS - cost.scoring_seconds
    reading = CELL_SECONDS + TEXT_SECONDS * (cost.texts or 0)
    return Work(
        cell=str(cell),
        model=cell.encoder,
        seconds=encoding * (1 - drawn),
        shards=cost.shards or 0,
        open_seconds=reading,
        close_seconds=reading + encoding * drawn + cost.scoring_seconds,
    )


def spreads(
    costs: Sequence[tuple[Cell, CellCost]], paces: Mapping[str, Pace | None], *, workers: int | None = None
) -> list[Spread]:
    """Return what the cells to run whose time is known take on 1, 8 and 64 devices; empty where there are none.

    Args:
        costs: of the cells to run.
        paces: by model; each device takes the time to load those that it works with.
        workers: devices that are wanted besides.
    """
    works = works_of(costs)
    loads = {name: pace.load_seconds for name, pace in paces.items() if pace}
    each = [spread(works, loads, devices) for devices in sorted({*DEVICES, workers or 1})]
    return [replace(one, seconds=one.seconds + RUN_SECONDS) for one in each if one is not None]


def most_expensive(costs: Sequence[tuple[Cell, CellCost]]) -> tuple[list[tuple[str, float]], str]:
    """Return the tasks that cost most over all models, most first, with their cost, and its unit.

    The unit is `seconds` where every known cell has a pace, otherwise `tokens`, in and to generate.
    """
    known = [(cell, cost) for cell, cost in costs if cost.tokens_in is not None]
    unit = "seconds" if known and all(cost.seconds is not None for _, cost in known) else "tokens"
    summed: dict[str, float] = {}
    for cell, cost in known:
        own = cost.seconds if unit == "seconds" else (cost.tokens_in or 0) + (cost.tokens_to_generate or 0)
        summed[cell.task.label] = summed.get(cell.task.label, 0.0) + (own or 0.0)
    return sorted(summed.items(), key=lambda pair: -pair[1])[:EXPENSIVE_SHOWN], unit
