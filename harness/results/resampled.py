"""The bootstrap values of a cell's statistic, made once and kept in `resampled/` beside the cells.

A difference of two cells by the bootstrap is the difference of their values, sample by sample, since items are drawn
alike for all models. So each cell's are made once, whatever it is compared with. They are derived from the per-item
results, whose sha256 is in the file's name with the number of samples: a file that is missing or damaged is made again,
all of them may be deleted, and where the folder cannot be written nothing is kept.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.digests import sha256_text
from harness.results.records import Score, SeededScore
from harness.results.stored_items import OpenItems, Statistics
from harness.statistics.conventions import Floats
from harness.statistics.resampling import BOOTSTRAP_SAMPLES, values_of_parts

VALUES_VERSION = 1
"""Raised when a statistic, or the way items are drawn, changes."""
FOLDER = "resampled"


class Resampled(NamedTuple):
    """The values of one record's statistic."""

    values: Floats
    """(parts, samples), parts by name; NaN where a sample has no value."""
    items: str
    """sha256 over the parts' names and what their items are called: only equal ones are paired."""


def values_of(scores: Sequence[Score], opened: OpenItems) -> list[Floats | None]:
    """Return the (parts, samples) bootstrap values of each cell, of a mean over seeds the mean of its seeds' values.

    Args:
        scores: cells of one task, so that their items are drawn together.
        opened: reads the items of those whose values are not kept.

    Returns:
        Values a cell; None where it has no statistic over items, a part of under two, or seeds of different items.
    """
    records = {_sha256(one): one for score in scores for one in _records(score) if one.items is not None}
    kept = {sha256: _read(opened, one) for sha256, one in records.items()}
    made = _made({sha256: one for sha256, one in records.items() if kept[sha256] is None}, opened)
    return [_mean([(made.get(_sha256(one)) or kept.get(_sha256(one))) for one in _records(score)]) for score in scores]


def _records(score: Score) -> tuple[Score, ...]:
    return score.parts if isinstance(score, SeededScore) else (score,)


def _sha256(score: Score) -> str:
    return score.items.sha256 if score.items else ""


def _mean(each: Sequence[Resampled | None]) -> Floats | None:
    known = [one for one in each if one is not None and one.values.size]
    if len(known) < len(each) or len({one.items for one in known}) > 1:
        return None
    if len(known) == 1:
        return known[0].values
    mean: Floats = np.mean([one.values for one in known], axis=0)
    return mean


def _made(records: Mapping[str, Score], opened: OpenItems) -> dict[str, Resampled]:
    """Return the values of the records, written too; those with as many items in each part are drawn together."""
    statistics = {sha256: opened.statistics(one) or {} for sha256, one in records.items()}
    groups: dict[tuple[int, ...], list[str]] = {}
    for sha256, parts in statistics.items():
        groups.setdefault(_sizes(parts), []).append(sha256)
    made: dict[str, Resampled] = {}
    for sizes, group in groups.items():
        cells = [[part.statistic for part in statistics[sha256].values()] for sha256 in group]
        found = values_of_parts(sizes, cells, samples=BOOTSTRAP_SAMPLES) if sizes else [np.empty((0, 0)) for _ in group]
        for sha256, values in zip(group, found, strict=True):
            made[sha256] = Resampled(values, _digest(statistics[sha256]))
            _write(opened, records[sha256], made[sha256])
    return made


def _sizes(statistics: Statistics) -> tuple[int, ...]:
    """Return the number of items of each part; none where nothing can be resampled."""
    sizes = tuple(one.n for one in statistics.values())
    return sizes if all(n > 1 for n in sizes) else ()


def _digest(statistics: Statistics) -> str:
    return sha256_text(repr([(name, one.items) for name, one in statistics.items()]))


def _name(score: Score) -> str:
    return f"v{VALUES_VERSION}-{BOOTSTRAP_SAMPLES}-{_sha256(score)[:20]}.npz"


def _read(opened: OpenItems, score: Score) -> Resampled | None:
    content = opened.store.kept(FOLDER, _name(score))
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:  # each member with its checksum
            found = Resampled(file["values"], str(file["items"]))
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError):
        return None
    shapes = (0, 0), (len(found.values), BOOTSTRAP_SAMPLES)
    return found if found.values.dtype == np.float64 and found.values.shape in shapes else None


def _write(opened: OpenItems, score: Score, found: Resampled) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, values=found.values, items=np.array(found.items))
    opened.store.keep(FOLDER, _name(score), buffer.getvalue())
