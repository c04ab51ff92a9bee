"""Results folders of machines without a shared disk, joined into one: what is whole is copied, the rest is named.

A cell counts as a whole or not at all, and so does a shard. Everything is held against its own record before it is
copied, and hashed again on the way. Each copy is idempotent, so that a merge that was interrupted goes on. Native
results of engines come with the cell that they belong to, and are trusted for nothing. What can be made again
(comparisons, resampled scores, caches, logs, locks) is left where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.digests import sha256_file
from harness.errors import InputError
from harness.results.copying import NotWholeError, copy
from harness.results.merge_cells import CellMerge, Differing
from harness.results.merge_notes import merge_notes
from harness.shards.survey import examine, records

FOLDERS = ("cells", "shards", "names", "runs")
"""Of which a results folder has one at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something that is not whole."""

    path: Path
    """The record."""
    what: str
    """In words: `cell STS12/0123...`."""
    why: str
    instead: Path | None = None
    """The folder that had it whole; None: no folder had."""


@dataclass(slots=True, kw_only=True)
class Merged:
    """What a merge came to."""

    results: Path
    cells: int = 0
    """Scores that were copied."""
    failures: int = 0
    """Failures that were copied, since no folder has a score."""
    shards: int = 0
    bytes: int = 0
    """Of everything that was copied."""
    cells_there: int = 0
    """Scores that were there, whole."""
    failures_there: int = 0
    shards_there: int = 0
    refused: list[Refused] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    """Cells that two folders have unlike scores of; the first is kept where they do not contradict each other."""

    @property
    def conflicts(self) -> list[Differing]:
        """Cells whose scores contradict each other; none of them was copied."""
        return [one for one in self.differing if one.contradiction is not None]

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for is there now."""
        return not self.refused and not self.conflicts


def merge(folders: Sequence[Path], out: Path) -> Merged:
    """Join results folders into `out`, whose own records come first; then the folders in their order.

    Args:
        folders: are only read; `out` may be one of them.
        out: a new or an existing results folder.

    Raises:
        InputError: a folder is none of results.
        ResultsNotWrittenError: `out` cannot be written; what was copied is whole, and the same command goes on.
    """
    _must_be_results(folders)
    sources = [one for one in dict.fromkeys(folders) if one.resolve() != out.resolve()]
    asked = [out, *sources] if len(sources) < len(dict.fromkeys(folders)) else sources
    merged = Merged(results=out)
    _merge_cells(asked, sources, merged)
    _merge_shards(asked, sources, merged)
    for path, why in merge_notes(sources, out):
        merged.refused.append(Refused(path=path, what=f"note {path.parent.name}/{path.name}", why=why))
    return merged


def _must_be_results(folders: Sequence[Path]) -> None:
    problems = []
    for one in folders:
        if not one.is_dir():
            problems.append(f"{one}: no such folder; give the folder that `harness run --results` wrote")
        elif not any((one / name).is_dir() for name in FOLDERS):
            below = next((one / name for name in ("results",) if (one / name / "cells").is_dir()), None)
            meant = f"; did you mean {below}?" if below else "; give the folder that `harness run --results` wrote"
            problems.append(f"{one}: not a results folder: it has none of {', '.join(f'{n}/' for n in FOLDERS)}{meant}")
    if problems:
        raise InputError(problems)


def _merge_cells(asked: Sequence[Path], sources: Sequence[Path], merged: Merged) -> None:
    names = {
        (path.parent.name, path.name.split(".")[0])
        for folder in asked
        for path in (folder / "cells").glob("*/*.json")
        if not path.name.startswith(".")
    }
    for task, key in sorted(names):
        cell = CellMerge(task=task, key=key, out=merged.results)
        taken = cell.take(sources)
        merged.bytes += taken.bytes
        merged.cells += taken.copied == "score"
        merged.failures += taken.copied == "failure"
        merged.cells_there += taken.there == "score"
        merged.failures_there += taken.there == "failure"
        merged.differing += [taken.differing] if taken.differing else []
        merged.refused += [
            Refused(path=path, what=f"cell {task}/{key}", why=why, instead=taken.kept) for path, why in taken.refused
        ]


def _merge_shards(asked: Sequence[Path], sources: Sequence[Path], merged: Merged) -> None:
    names = {path.relative_to(folder / "shards") for folder in asked for path in records(folder / "shards")}
    for name in sorted(names):
        refused: list[tuple[Path, str]] = []
        kept = None
        for folder in (merged.results, *sources):
            path = folder / "shards" / name
            if not path.exists():
                continue
            why = _take_shard(path, merged)
            if why is None:
                kept = folder
                break
            refused.append((path, why))
        what = f"shard {name.parent.name}/{name.stem}"
        merged.refused += [Refused(path=path, what=what, why=why, instead=kept) for path, why in refused]


def _take_shard(path: Path, merged: Merged) -> str | None:
    """Copy a shard unless it is the results folder's own; returns why it is refused, None where it is whole."""
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror or error})"
    found = examine(path)
    if found.why is not None:
        return found.why
    place = merged.results / "shards" / path.parent.name
    if path.parent.resolve() == place.resolve():
        merged.shards_there += 1
        return None
    try:
        for name, content in found.payload.items():
            merged.bytes += copy(path.parent / name, place / name, content)
        merged.bytes += copy(path, place / path.name, sha256)
    except NotWholeError as error:  # it was whole a moment ago
        return str(error)
    merged.shards += 1
    return None
