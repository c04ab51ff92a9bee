"""Which cells may be large enough to be made in parts, and which share of a run is a machine's: from the plan alone.

Every machine comes to the same list. Whether a cell really is cut, and where, is known when its data are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.candidates.candidate import Candidate
from harness.candidates.weight_files import on_disk
from harness.plan.asked import ReadWith
from harness.plan.cells import Cell, Plan
from harness.shards.cut import shard_count, weight_of
from harness.suite.model_entries import FittedModel, RationaleSpec
from harness.suite.schema import Shards

Share = Callable[[Cell, int | None], bool]
"""Whether a cell (None), or its shard of that number, is for this machine to make."""
UNKNOWN_CHARACTERS = 1e6
"""Of a cell of which nothing is known: it is begun before small ones."""


def writes_of(candidate: Candidate) -> int:
    """Return the tokens that a candidate writes about a text, at most."""
    spec = candidate.spec
    return spec.generation.max_new_tokens if isinstance(spec, RationaleSpec) and spec.ablation != "text-only" else 0


def about_shards(cell: Cell, candidate: Candidate, shards: Shards) -> int | None:
    """Return into about how many shards a cell is cut, from the catalogue's counts; None where there are no counts.

    1: it is run as one piece.
    """
    if isinstance(candidate.spec, FittedModel) or isinstance(cell.task.settings, ReadWith):
        return 1
    counts = cell.task.counts()
    if counts is None:
        return None
    if cell.task.axis == "ability":
        return shard_count(counts.items, float(counts.items), max_texts=shards.max_questions)
    characters = counts.characters // max(counts.texts, 1)
    weight = counts.texts * weight_of(characters, writes_of(candidate))
    return shard_count(counts.texts, weight, max_texts=shards.max_texts)


def may_be_cut(cell: Cell, candidate: Candidate, shards: Shards) -> bool:
    """Whether the data of a cell must be read to know whether it is made in parts."""
    about = about_shards(cell, candidate, shards)
    return about is None or about > 1


def work_of(cell: Cell, candidate: Candidate) -> float:
    """Return how long a cell takes beside others: characters, those written included, by the size of the weights."""
    counts = cell.task.counts()
    if counts is None:
        characters = UNKNOWN_CHARACTERS
    elif cell.task.axis == "ability":
        characters = float(counts.characters or counts.items)
    else:
        own = counts.characters / max(counts.texts, 1)
        characters = counts.encoded * weight_of(round(own), writes_of(candidate))
    return characters * _bytes_of(candidate)


def share_of(plan: Plan, number: int, parts: int) -> Share:
    """Return what part `number` of `parts` (from 1) makes: of every machine's list the same cells and shards.

    Cells that are run as one piece are dealt out longest first, each to the part with the least work so far. The
    shards of a cell are dealt out one by one, beginning at a part that hangs on its key.
    """
    candidates = {one.name: one for one in plan.candidates if isinstance(one, Candidate)}
    whole = [
        (work_of(cell, candidates[cell.model]), str(cell.key))
        for cell in plan.cells
        if cell.key is not None and not may_be_cut(cell, candidates[cell.model], plan.suite.shards)
    ]
    dealt = _dealt(sorted(set(whole), reverse=True), parts)

    def is_ours(cell: Cell, shard: int | None) -> bool:
        first = int(str(cell.key)[:8], 16)
        if shard is not None:
            return (first + shard) % parts == number - 1
        return dealt.get(str(cell.key), first % parts) == number - 1

    return is_ours


def _dealt(work: Sequence[tuple[float, str]], parts: int) -> dict[str, int]:
    load = [0.0] * parts
    found = {}
    for weight, key in work:
        least = load.index(min(load))
        load[least] += max(weight, 1.0)
        found[key] = least
    return found


def _bytes_of(candidate: Candidate) -> float:
    folder = on_disk(candidate.weights) if candidate.weights else None
    sizes = [path.stat().st_size for path in Path(folder).glob("*.safetensors")] if folder else []
    return float(sum(sizes) or 1)
