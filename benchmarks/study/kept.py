"""What a report keeps of the cells behind it, small enough to lie beside it: another run goes on from there.

`table.csv` has a row a cell, `draws.npz` the first bootstrap values of each (its items are in the results folder
alone), `trainings.csv` what each run took. Differences to rows that are judged later are as if all had been judged at
once, since the items of a task are drawn alike for all models.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rows import ROWS, SEEDS, again_run, entry_name

from harness.errors import InputError
from harness.report.tables import csv_text
from harness.statistics.conventions import Floats

DRAWS = 1000
"""Bootstrap values of a cell that are used and kept: a standard error of theirs is known to some two percent."""
TABLE, VALUES, TRAININGS = "table.csv", "draws.npz", "trainings.csv"
HEADER = ("row", "reading", "seed", "task", "axis", "metric", "unit", "score", "n", "key")
TRAINED = ("run", "steps", "cpu_seconds", "generated_tokens")
SAME = 0.01
"""Points or nats by which the base may be off where it was judged again: other processors round otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A score on a task, as far as the study asks."""

    score: float
    axis: str
    metric: str
    unit: str
    n: int
    key: str


Scores = dict[str, dict[str, Cell]]
"""Entry -> task -> cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier report says."""

    scores: Scores = field(default_factory=dict)
    values: dict[str, Floats] = field(default_factory=dict)
    """Key -> (DRAWS,) bootstrap values in the cell's unit."""
    trainings: dict[str, dict[str, float]] = field(default_factory=dict)
    """Run -> steps, processor seconds, generated tokens."""


def files(
    scores: Scores, values: Mapping[str, Floats], trainings: Mapping[str, Mapping[str, float]]
) -> dict[str, bytes]:
    """Return the files by name."""
    rows = [
        [*_parts(name), task, one.axis, one.metric, one.unit, repr(one.score), one.n, one.key]
        for name, cells in scores.items()
        for task, one in cells.items()
    ]
    runs = [[run, *(of[name] for name in TRAINED[1:])] for run, of in sorted(trainings.items())]
    return {
        TABLE: csv_text(HEADER, rows).encode(),
        VALUES: _packed(values),
        TRAININGS: csv_text(TRAINED, runs).encode(),
    }


def read(folder: Path) -> Earlier:
    """Return what the report in `folder` keeps; raises InputError where a file is not there."""
    lacking = [name for name in (TABLE, VALUES, TRAININGS) if not (folder / name).is_file()]
    if lacking:
        raise InputError([f"--earlier {folder}: has no {', '.join(lacking)}; name the folder of a report of the study"])
    scores: Scores = {}
    for row in _rows(folder / TABLE):
        name = entry_name(row["row"], int(row["seed"]), row["reading"]) if row["seed"] else row["row"]  # type: ignore[arg-type]
        score, n = float(row["score"]), int(row["n"])
        cell = Cell(score=score, n=n, **{key: row[key] for key in ("axis", "metric", "unit", "key")})
        scores.setdefault(name, {})[row["task"]] = cell
    with np.load(folder / VALUES) as drawn:
        values = dict(zip(drawn["keys"].tolist(), drawn["values"].astype(np.float64), strict=True))
    trainings = {row["run"]: {name: float(row[name]) for name in TRAINED[1:]} for row in _rows(folder / TRAININGS)}
    return Earlier(scores=scores, values=values, trainings=trainings)


def refuse_others(earlier: Scores, now: Scores, base: str) -> None:
    """Raise InputError where the base shows that the earlier cells are over other items, or of another model."""
    for task, cell in now.get(base, {}).items():
        before = earlier.get(base, {}).get(task)
        if before is not None and (before.n != cell.n or abs(before.score - cell.score) > SAME):
            was_and_is = f"{before.score:.4f} over {before.n} items, now {cell.score:.4f} over {cell.n}"
            raise InputError([f"--earlier: {base} on {task} was {was_and_is}: nothing there can be paired with this"])


def whole(earlier: Scores, now: Scores) -> Scores:
    """Return the entries of `now` that stand beside earlier ones or in their place: those that have all of their tasks.

    One that lacks some would take scores away, and tasks of two trainings are no entry. One that stands as `...-again`
    too, with the same cells, leaves the earlier one in its place.
    """
    stays = {name for name in earlier if again_run(name) in now}
    found = {name: cells for name, cells in now.items() if earlier.get(name, {}).keys() <= cells.keys()}
    return {name: cells for name, cells in found.items() if name not in stays}


def _packed(values: Mapping[str, Floats]) -> bytes:
    """Return an .npz of `keys` (cells,) and `values` (cells, DRAWS) float32; LZMA, a fifth smaller than NumPy's own."""
    packed = io.BytesIO()
    arrays = {"keys": np.array(list(values), str), "values": np.array(list(values.values()), np.float32)}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of a fixed date: the same draws are the same file
            member.compress_type = zipfile.ZIP_LZMA
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
    return packed.getvalue()


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _parts(name: str) -> tuple[str, str, str]:
    for row in ROWS:
        for seed in SEEDS:
            for reading in row.readings:
                if entry_name(row.name, seed, reading) == name:
                    return row.name, reading, str(seed)
    return name, "", ""
