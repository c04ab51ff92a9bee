"""What a plan will cost, from the catalogue's counts and a measured or stated pace: pure; imports no engine.

A text costs a fixed share and a share a token: seconds = texts x a + tokens x b. Both are measured by `calibrate.py`;
a stated `--tokens-per-second` sets b alone. Tokens are estimated from characters, so the sum is an estimate: within a
factor of 1.5 on the machine it was measured on (`benchmarks/plan_against_run.py`), not a promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.backends.limits import limited_counts
from harness.catalogue import Counts
from harness.plan import Cell, PlannedTask, infos_of

CHARACTERS_PER_TOKEN = 4.2
"""English with the tokenizers of MiniLM (4.1 on the demo data) and SmolLM2 (4.4)."""
FLOAT_BYTES = 4
CELL_SECONDS = 1.5
"""Loading a small dataset, scoring and storing; what a cell costs beside encoding."""
RUN_SECONDS = 10.0
"""Importing torch and the engine, once a run."""
EXPENSIVE_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a model encodes on this machine."""

    seconds_per_text: float
    seconds_per_token: float
    load_seconds: float
    dimension: int | None
    """Of its vectors; None while unknown."""
    max_text_tokens: int | None
    """Longer texts are cut; None: no limit known."""
    source: str
    """measured (and when, on what), or stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCost:
    """What one cell will take; None where the catalogue or the pace says nothing."""

    items: int | None
    texts: int | None
    """Texts to encode, repeats included, training texts and limit taken into account."""
    unique_texts: int | None
    tokens_in: int | None
    """Tokens of the unique texts, prompts included: what goes through the model."""
    tokens_to_generate: int | None
    """At most; 0 for encoders that generate nothing."""
    seconds: float | None
    vector_bytes: int | None
    """float32 vectors of the unique texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over cells, and over how many of them nothing is known."""

    tokens_in: int
    tokens_to_generate: int
    vector_bytes: int
    seconds: float | None
    """None where no cell to run has a pace."""
    unknown: int
    """Cells to run whose cost is not known and not in the sums."""


def cost_of(cell: Cell, pace: Pace | None) -> CellCost:
    """Return the estimate for one cell to run."""
    if cell.task.axis == "ability":
        return _nothing(cell.task.items())
    counts = counts_of(cell.task)
    if counts is None:
        return _nothing(cell.task.items())
    texts = counts.texts + counts.training_texts
    unique = counts.unique_texts + counts.training_texts
    prompt = sum(len(text) for text in cell.prompts.values() if text) / max(len(cell.prompts), 1)
    per_text = (counts.characters / max(counts.texts, 1) + prompt) / CHARACTERS_PER_TOKEN + 2
    if pace and pace.max_text_tokens:
        per_text = min(per_text, pace.max_text_tokens)
    tokens = round(unique * per_text)
    seconds = None
    if pace is not None:
        seconds = unique * pace.seconds_per_text + tokens * pace.seconds_per_token + CELL_SECONDS
    return CellCost(
        items=counts.items,
        texts=texts,
        unique_texts=unique,
        tokens_in=tokens,
        tokens_to_generate=0,
        seconds=seconds,
        vector_bytes=unique * pace.dimension * FLOAT_BYTES if pace and pace.dimension else None,
    )


def totals(costs: Sequence[tuple[Cell, CellCost]], paces: Mapping[str, Pace | None]) -> Totals:
    """Return the sums over the cells to run; loading each model and the engine are added once."""
    known = [(cell, cost) for cell, cost in costs if cost.tokens_in is not None]
    timed = [cost.seconds for _, cost in known if cost.seconds is not None]
    seconds = None
    if timed:
        models = {cell.model for cell, _ in known}
        loads = sum(pace.load_seconds for name, pace in paces.items() if pace and name in models)
        seconds = sum(timed) + loads + RUN_SECONDS
    return Totals(
        tokens_in=sum(cost.tokens_in or 0 for _, cost in known),
        tokens_to_generate=sum(cost.tokens_to_generate or 0 for _, cost in known),
        vector_bytes=sum(cost.vector_bytes or 0 for _, cost in known),
        seconds=seconds,
        unknown=len(costs) - len(known),
    )


def counts_of(task: PlannedTask) -> Counts | None:
    """Return the task's counts over its splits, subsets and parts after the limit; None where any is unknown."""
    found: list[Counts] = []
    for info in infos_of(task):
        for split in task.splits:
            for subset in task.subsets:
                counts = info.counts.get(split, {}).get(subset)
                if counts is None:
                    return None
                found.append(limited_counts(task.type, counts, task.limit) if task.limit else counts)
    return Counts(
        items=sum(one.items for one in found),
        texts=sum(one.texts for one in found),
        unique_texts=sum(one.unique_texts for one in found),
        characters=sum(one.characters for one in found),
        training_texts=sum(one.training_texts for one in found),
    )


def most_expensive(tasks: Sequence[PlannedTask]) -> list[tuple[PlannedTask, int]]:
    """Return the tasks with the most characters to encode, most first, with their estimated tokens."""
    sized = [(task, counts) for task in tasks if (counts := counts_of(task)) is not None]
    sized.sort(key=lambda pair: -_unique_characters(pair[1]))
    return [(task, round(_unique_characters(counts) / CHARACTERS_PER_TOKEN)) for task, counts in sized][
        :EXPENSIVE_SHOWN
    ]


def estimated_tokens(tasks: Sequence[PlannedTask]) -> int:
    """Return the estimated tokens of all tasks with known counts, for one model without prompts."""
    counts = [found for task in tasks if (found := counts_of(task)) is not None]
    return round(sum(_unique_characters(one) for one in counts) / CHARACTERS_PER_TOKEN)


def _unique_characters(counts: Counts) -> float:
    return counts.characters * counts.unique_texts / max(counts.texts, 1)


def _nothing(items: int | None) -> CellCost:
    return CellCost(
        items=items,
        texts=None,
        unique_texts=None,
        tokens_in=None,
        tokens_to_generate=None,
        seconds=None,
        vector_bytes=None,
    )
