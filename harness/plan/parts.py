"""Which cells may be large enough to be made in parts, and which share of a run is a machine's: from the plan alone.

Every machine comes to the same list. Whether a cell really is cut, and where, is known when its data are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.candidates.candidate import Candidate
from harness.candidates.weight_files import on_disk
from harness.plan.cells import Cell, Plan
from harness.plan.pieces import cuttings_of, may_be_cut
from harness.shards.cut import weight_of
from harness.suite.model_entries import RationaleSpec

Share = Callable[[Cell, int | None], bool]
"""Whether a cell (None), or its shard of that number, is for this machine to make."""
UNKNOWN_CHARACTERS = 1e6
"""Of a cell of which nothing is known: it is begun before small ones."""


def writes_of(candidate: Candidate) -> int:
    """Return the tokens that a candidate writes about a text, at most."""
    spec = candidate.spec
    return spec.writes if isinstance(spec, RationaleSpec) else 0


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


def opening(plan: Plan) -> Callable[[Cell], bool]:
    """Return whether the data of a cell must be read to know whether it is made in parts."""
    cuttings = cuttings_of(plan)
    writes = {one.name: writes_of(one) for one in plan.candidates if isinstance(one, Candidate)}
    return lambda cell: may_be_cut(cell.task, cuttings[cell.model], writes[cell.model])


def share_of(plan: Plan, number: int, parts: int) -> Share:
    """Return what part `number` of `parts` (from 1) makes: of every machine's list the same cells and shards.

    Cells that are run as one piece are dealt out longest first, each to the part with the least work so far. The
    shards of a cell are dealt out one by one, beginning at a part that hangs on its key. All sizes of a model's vectors
    go to the part that makes them.
    """
    candidates = {one.name: one for one in plan.candidates if isinstance(one, Candidate)}
    opens = opening(plan)
    whole = [
        (work_of(cell, candidates[cell.model]), cell.made_as)
        for cell in plan.cells
        if cell.key is not None and cell.model in candidates and not opens(cell)
    ]
    dealt = _dealt(sorted(set(whole), reverse=True), parts)

    def is_ours(cell: Cell, shard: int | None) -> bool:
        first = int(cell.made_as[:8], 16)
        if shard is not None:
            return (first + shard) % parts == number - 1
        return dealt.get(cell.made_as, first % parts) == number - 1

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
