"""What a gate compares with: scores stored in a file (`harness gate --update`), or cells of another results folder.

The file is small enough for a repository: it has each cell's score, standard error, count and key, and no items. Where
the cell of that key is still in a results folder, its items are found there, and differences are paired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.digests import write_atomically
from harness.errors import InputError
from harness.results.facts import name_of
from harness.results.records import Score
from harness.results.store import Store
from harness.statistics import decisions
from harness.statistics.decisions import Decisions
from harness.wording import display_path

BASELINE_VERSION = 1
DIGITS = 4
"""Decimals of stored scores: below what a gate can ask for, above what a last digit moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What one cell is compared with."""

    metric: str
    score: float
    stderr: float | None
    """None where the cell has no items to resample."""
    n: int
    limit: int | None
    key: str
    record: Score | None = None
    """The whole cell, where it is at hand: then items can be paired."""
    decisions: Decisions | None = None
    """As digests, from a file; None where the cell makes none, or `record` has them."""

    @classmethod
    def of(cls, score: Score, made: Decisions | None = None) -> Reference:
        """Return the reference that a cell at hand makes, with the decisions it `made`."""
        return cls(
            metric=score.metric,
            score=score.score,
            stderr=score.stderr,
            n=score.n,
            limit=score.limit,
            key=score.key,
            record=score,
            decisions=decisions.as_stored(made) if made else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Stored references."""

    source: str
    """As the user would type it."""
    cells: Mapping[str, Reference]
    """`model/task` -> reference."""
    store: Store | None = None
    """The results folder it came from."""


def read(path: Path, results: Store, limits: Mapping[str, int | None]) -> Baseline:
    """Read a baseline: a file of `--update`, or a results folder.

    Args:
        path: file or folder.
        results: where cells whose keys the file names are looked for.
        limits: the cells that matter, `model/task` -> limit; of a folder's cells those of that limit are preferred.

    Raises:
        InputError: it is not there, or is no baseline.
    """
    if path.is_dir():
        return _from_folder(path, limits)
    shown = display_path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError([f"--baseline {shown}: no such file; `harness gate SUITE --update` writes it"]) from None
    except (OSError, ValueError) as error:
        raise InputError([f"--baseline {shown}: not a baseline file: {error}"]) from error
    if not isinstance(document, dict) or document.get("version") != BASELINE_VERSION:
        raise InputError([f"--baseline {shown}: not a baseline file of version {BASELINE_VERSION}; write it anew"])
    try:
        cells = {name: _reference(name, cell, results) for name, cell in document["cells"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError([f"--baseline {shown}: not a baseline file: {error!r} in its cells; write it anew"]) from error
    return Baseline(source=shown, cells=cells, store=results)


def document_of(suite: str, cells: Mapping[str, Reference]) -> str:
    """Return the baseline file's text for `model/task` -> reference."""
    plain = {name: _plain(reference) for name, reference in cells.items()}
    return json.dumps({"version": BASELINE_VERSION, "suite": suite, "cells": plain}, indent=1) + "\n"


def write(path: Path, text: str) -> None:
    """Write the file, whole or not at all."""
    write_atomically(path, text.encode("utf-8"))


def changes(old: Mapping[str, Reference], new: Mapping[str, Reference]) -> list[str]:
    """Return a line for every cell that a new baseline adds, drops or changes; a key alone is no change."""
    lines = [f"dropped  {name}: {old[name].score:.2f}" for name in old if name not in new]
    for name, now in new.items():
        before = old.get(name)
        if before is None:
            lines.append(f"new      {name}: {now.score:.2f} {now.metric}, n={now.n}{_limited(now)}")
            continue
        what = [f"{one}: {getattr(before, one)} -> {getattr(now, one)}" for one in ("metric", "n", "limit")]
        what = [text for text in what if text.split(": ")[1].split(" -> ")[0] != text.split(" -> ")[1]]
        if round(before.score, DIGITS) != round(now.score, DIGITS):
            moved = f"{before.score:.{DIGITS}f} -> {now.score:.{DIGITS}f} ({now.score - before.score:+.{DIGITS}f})"
            what.insert(0, moved)
        if what:
            lines.append(f"changed  {name}: {', '.join(what)}")
    return lines


def _limited(reference: Reference) -> str:
    return f", limit {reference.limit}" if reference.limit else ""


def _reference(name: str, cell: Mapping[str, Any], results: Store) -> Reference:
    stderr = cell["stderr"]
    found = next(results.root.glob(f"cells/*/{cell['key']}.json"), None)
    record = results.get(found.parent.name, str(cell["key"])) if found else None
    same = isinstance(record, Score) and round(record.score, DIGITS) == round(float(cell["score"]), DIGITS)
    stored = Reference(
        metric=str(cell["metric"]),
        score=float(cell["score"]),
        stderr=None if stderr is None else float(stderr),
        n=int(cell["n"]),
        limit=cell["limit"],
        key=str(cell["key"]),
        record=record if same and isinstance(record, Score) else None,
        decisions=decisions.read(cell["decisions"]) if cell.get("decisions") else None,
    )
    if not math.isfinite(stored.score):
        raise ValueError(f"the score of {name} is no number")
    return stored


def _plain(reference: Reference) -> dict[str, Any]:
    stderr = reference.stderr
    return {
        "metric": reference.metric,
        "score": round(reference.score, DIGITS),
        "stderr": None if stderr is None else round(stderr, DIGITS),
        "n": reference.n,
        "limit": reference.limit,
        "key": reference.key,
    } | ({"decisions": decisions.plain(reference.decisions)} if reference.decisions else {})


def _from_folder(path: Path, limits: Mapping[str, int | None]) -> Baseline:
    shown = display_path(path)
    found: dict[str, list[Score]] = {}
    store = Store(path)
    results = [one for one in store.all_results() if isinstance(one, Score)]
    if not results:
        raise InputError([f"--baseline {shown}: a folder without results; expected cells/TASK/KEY.json below it"])
    for score in results:
        if name_of(score) in limits:
            found.setdefault(name_of(score), []).append(score)
    problems, cells = [], {}
    for name, scores in found.items():
        alike = [score for score in scores if score.limit == limits[name]] or scores
        if len(alike) > 1:
            keys = ", ".join(score.key for score in alike)
            problems.append(
                f"--baseline {shown}: {name} was scored {len(alike)} times ({keys}) and which is meant cannot be told; "
                "give a folder of one run, or a file of --update"
            )
        cells[name] = Reference.of(alike[0])
    if problems:
        raise InputError(problems)
    return Baseline(source=shown, cells=cells, store=store)
