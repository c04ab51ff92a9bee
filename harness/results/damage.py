"""Cells whose files are not what was committed: a record that is none, per-item results or rationales that are lost.

A damaged record is read as a failure, which the next run tries again. A score whose per-item results are lost still
stands, but nothing can be resampled from it: it is read as a score without them, with the reason in `items_missing`.
Either is said.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from harness.errors import InputError
from harness.plan.cells import Cell
from harness.results.facts import facts_of
from harness.results.records import Failure, Result, Score
from harness.results.store import ITEMS, RATIONALES, Store

logger = logging.getLogger(__name__)

AGAIN = "`harness run` makes the cell again"


def read(cell: Cell, store: Store) -> Result | None:
    """Return a cell's score or failure, as far as it can be relied on; None where there is neither."""
    try:
        result = store.get(cell.task.name, cell.key)
    except InputError as error:
        _say(f"{cell}: {error}")
        return Failure(
            key=str(cell.key),
            model=cell.model,
            axis=cell.task.axis,
            type=cell.task.type,
            task=cell.task.name,
            error="DamagedRecordError",
            message=str(error),
            traceback="",
        )
    return relied_on(result, store) if isinstance(result, Score) else result


def relied_on(score: Score, store: Store) -> Score:
    """Return a score without what is lost of it."""
    found = store.lost(score)
    if not found:
        return score
    said = in_words(found)
    _say(f"{facts_of(score).cell or f'{score.model}/{score.task}'}: {said}; {AGAIN}")
    kept = {name: value for name, value in score.provenance.items() if name != "rationale_samples"} | {"lost": said}
    whole: dict[str, Any] = {} if ITEMS in found else {"items": score.items, "items_missing": score.items_missing}
    return replace(score, **{"items": None, "items_missing": said, "provenance": kept} | whole)


def in_words(lost: Mapping[str, str]) -> str:
    """Return what of a cell is lost, and what cannot be had without it."""
    needed = {ITEMS: "no paired difference can be made", RATIONALES: "none is shown"}
    return "; ".join(f"the {what} are lost ({why}): {needed[what]}" for what, why in lost.items())


def damage(cell: Cell, store: Store) -> str | None:
    """Return what is wrong with the files of a cell that has a score; None where nothing is, or it has none."""
    if not store.has_score(cell.task.name, cell.key):
        return None
    try:
        result = store.get(cell.task.name, cell.key)
    except InputError as error:
        return str(error)
    found = store.lost(result) if isinstance(result, Score) else {}
    return ", ".join(f"{what} lost ({why})" for what, why in found.items()) or None


def is_finished(cell: Cell, store: Store) -> bool:
    """Whether a cell has a score, and all its files are those it was committed with."""
    return store.has_score(cell.task.name, cell.key) and damage(cell, store) is None


@cache
def _say(line: str) -> None:
    """Say it once: several steps of a command read the same cells."""
    logger.warning("%s", line)
