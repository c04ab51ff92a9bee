"""From stored cells to the study's figures: means over tasks, differences over items and seeds, intervals.

An item of a task is drawn alike for all models (the harness's own bootstrap values of each cell), and a seed is a
training of its own. The variance of a difference is that over items, of the mean over seeds, plus that over seeds,
s^2 / S; degrees of freedom are Satterthwaite's, with infinitely many for the items. The part that both share (another
seed on other items) is counted twice: intervals are a little too wide, never too narrow for it. With one seed the
interval is over items alone, and says nothing of another training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kept
import numpy as np
import yaml
from kept import DRAWS, Cell, Earlier, Scores
from rows import (
    BASE,
    BASE_THINKING,
    QUESTIONS,
    ROWS,
    SCALES,
    SEEDS,
    Question,
    Reading,
    Row,
    again,
    again_run,
    entry_name,
    readings_of,
    run_name,
    trained,
)
from scipy import stats

from harness.plan.planner import make_plan
from harness.results.outcome import outcome_of
from harness.results.records import Score
from harness.results.resampled import values_of
from harness.results.store import Store
from harness.results.stored_items import OpenItems
from harness.sources.places import Sources
from harness.statistics.conventions import Floats
from harness.suite.load import load_suite

POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A difference and how sure it is."""

    value: float
    low: float
    high: float
    p_value: float
    smallest: float
    """The smallest true difference that would have been told from 0 in four of five such studies."""
    seeds: int
    each: tuple[float, ...]
    """The difference of each seed."""
    q_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One row under one reading: its cells, seed by seed."""

    row: str
    reading: Reading
    seeds: tuple[int, ...]
    cells: tuple[dict[str, Cell], ...]
    """A seed: task -> score."""

    def means(self, axis: str) -> tuple[float, ...]:
        """Return the mean over an axis's tasks, of each seed."""
        return tuple(float(np.mean([one.score for one in of.values() if one.axis == axis])) for of in self.cells)


class Found:
    """Everything that a report says."""

    def __init__(self, out: Path, hub: Path, chosen: dict[str, str], earlier: Earlier | None = None) -> None:
        """Read the cells of the test suite in `out`, and take those of an earlier report that are not there."""
        self.out, self.chosen = out, chosen
        self._earlier = earlier or Earlier()
        self._own = scores_of(out, "test", hub)
        kept.refuse_others(self._earlier.scores, plain(self._own), BASE)
        self._new = kept.whole(self._earlier.scores, plain(self._own))
        self.scores = {**self._earlier.scores, **self._new}
        self.tasks = tuple(self.scores[BASE]) if BASE in self.scores else ()
        self._opened = OpenItems(Store(out / "results"))
        self._values: dict[str, Floats | None] = dict(self._earlier.values)
        self._records = {one.key: one for of in self._own.values() for one in of.values()}
        self.sides = {(side.row, side.reading): side for side in self._sides()}

    @property
    def embedding(self) -> list[str]:
        """Tasks of the embedding axis."""
        return [task for task in self.tasks if self.scores[BASE][task].axis == "embedding"]

    @property
    def ability(self) -> list[str]:
        """Tasks of the ability axis."""
        return [task for task in self.tasks if self.scores[BASE][task].axis != "embedding"]

    def setting(self, row: str) -> Row:
        """Return the row that is shown under a name: the setting that was chosen."""
        return next(one for one in ROWS if one.name == self.chosen.get(row, row))

    def _sides(self) -> list[Side]:
        made = []
        of_base: dict[Reading, str] = {"text": BASE, "own": BASE_THINKING}
        for reading, name in of_base.items():
            if name in self.scores:
                made.append(Side(row=BASE, reading=reading, seeds=(0,), cells=(self.scores[name],)))
        for row in ROWS:
            setting = self.setting(row.name)
            for reading in row.readings * (row.variant_of is None):
                seeds = [seed for seed in row.seeds if reading in readings_of(row, seed)]
                found = [(s, self.scores.get(entry_name(setting.name, s, reading), {})) for s in seeds]
                whole = [(s, of) for s, of in found if set(of) == set(self.tasks) and of]
                if whole:
                    cells = tuple(of for _, of in whole)
                    made.append(Side(row=row.name, reading=reading, seeds=tuple(s for s, _ in whole), cells=cells))
        return made

    @property
    def from_earlier(self) -> int:
        """How many entries are of an earlier report."""
        return len(self._earlier.scores.keys() - self._new.keys())

    def values(self, cell: Cell) -> Floats | None:
        """Return the (B,) bootstrap values of a cell in its unit; None where it has too few items."""
        if cell.key not in self._values:
            record = self._records.get(cell.key)
            found = None if record is None else values_of([record], self._opened)[0]
            scale = 100.0 if cell.unit == "points" else 1.0
            self._values[cell.key] = None if found is None else found.mean(axis=0)[:DRAWS] * scale
        return self._values[cell.key]

    def files(self) -> dict[str, bytes]:
        """Return what another run of the study can go on from, by name."""
        cells = [one for of in self.scores.values() for one in of.values()]
        drawn = {one.key: values for one in cells if (values := self.values(one)) is not None}
        return kept.files(self.scores, drawn, self.trainings())

    def trainings(self) -> dict[str, dict[str, float]]:
        """Return steps, processor seconds and generated tokens of each run that ended, by name.

        A run of an earlier report that was trained anew, for what stands beside the table, is `...-again`.
        """
        own = {run_name(row.name, seed): entry_name(row.name, seed, row.readings[0]) for row in ROWS for seed in SEEDS}
        here = {name: facts for name in own if (facts := training_of(self.out, name))}
        judged = {name: facts for name, facts in here.items() if own[name] in self._new}
        before = {name: of for name, of in self._earlier.trainings.items() if name not in judged}
        anew = {again_run(name): here[name] for name in here.keys() & before.keys() if here[name] != before[name]}
        return {**here, **self._earlier.trainings, **anew, **judged}

    def of_one_training(self, row: str, reading: Reading) -> str:
        """Return the entry of seed 0 that what stands beside the table is of one training with."""
        name = again(row, reading)
        whole = self.scores.get(name, {}).keys() == {*self.tasks}
        return name if whole else entry_name(self.setting(row).name, 0, reading)

    def at_scales(self, row: str, reading: Reading) -> dict[float, tuple[float, float]]:
        """Return adapter scale -> (points, nats a token above the base), means over tasks and seeds.

        Of the rows that read `row`'s runs at other scales, over their seeds; without such, of the entries of seed 0.
        """
        scaled = {one.scale: (one.name, reading) for one in ROWS if trained(one.name) == row}
        cells = {scale: self.sides[key].cells for scale, key in scaled.items() if key in self.sides}
        if len(cells) < 2:
            name = entry_name(self.setting(row).name, 0, reading)
            entries = {1.0: self.of_one_training(row, reading)} | {scale: f"{name}-x{scale}" for scale in SCALES}
            found = {scale: self.scores.get(one, {}) for scale, one in entries.items()}
            cells = {scale: (of,) for scale, of in found.items() if of and set(of) == set(self.tasks)}
        return {scale: self._place(of) for scale, of in sorted(cells.items())}

    def _place(self, seeds: Sequence[dict[str, Cell]]) -> tuple[float, float]:
        base = self.scores[BASE]
        points = float(np.mean([[of[task].score for task in self.embedding] for of in seeds]))
        return points, float(np.mean([[of[task].score - base[task].score for task in self.ability] for of in seeds]))

    def difference(self, one: Side, other: Side, tasks: Sequence[str]) -> Estimate:
        """Return `one` minus `other`, the mean over `tasks`."""
        pairs = _paired(one, other)
        each = [float(np.mean([mine[task].score - its[task].score for task in tasks])) for mine, its in pairs]
        drawn = [self._drawn(mine, its, tasks) for mine, its in pairs]
        return estimated(each, np.mean(drawn, axis=0))

    def _drawn(self, mine: dict[str, Cell], its: dict[str, Cell], tasks: Sequence[str]) -> Floats:
        """Return the (B,) values of the mean difference; a task without items counts as it is."""
        total: Any = 0.0
        for task in tasks:
            own, other = self.values(mine[task]), self.values(its[task])
            plain = mine[task].score - its[task].score
            total = total + (plain if own is None or other is None else own - other)
        return np.atleast_1d(total / len(tasks))

    def share_kept(self, student: Side, teacher: Side, floor: Side) -> tuple[float, float, float] | None:
        """Return which share of the teacher's gain over `floor` a student has, with a 95 % interval over items."""
        seeds = sorted(
            {*student.seeds} & {*teacher.seeds} & ({*floor.seeds} if floor.row != BASE else {*student.seeds})
        )
        if not seeds:
            return None
        sides = [_only(side, seeds) for side in (student, teacher, floor)]
        gain, whole = (np.mean(self.difference(side, sides[2], self.embedding).each) for side in sides[:2])
        drawn = []
        for side in sides[:2]:
            pairs = _paired(side, sides[2])
            drawn.append(np.mean([self._drawn(mine, its, self.embedding) for mine, its in pairs], axis=0))
        low, high = np.nanquantile(drawn[0] / drawn[1], [0.025, 0.975])
        return float(gain / whole), float(low), float(high)

    def questions(self) -> list[tuple[Question, Estimate | None, Estimate | None]]:
        """Return each question with the differences of both axes, q over all; None where a side is missing."""
        made: list[tuple[Question, Estimate | None, Estimate | None]] = []
        for question in QUESTIONS:
            one, other = self.sides.get(question.one), self.sides.get(question.other)
            if one is None or other is None or not _paired(one, other):
                made.append((question, None, None))
                continue
            nats = self.difference(one, other, self.ability) if question.rule == "merged" else None
            made.append((question, self.difference(one, other, self.embedding), nats))
        return _with_q(made)


def estimated(each: Sequence[float], drawn: Floats) -> Estimate:
    """Return the mean of `each` seed's difference with its interval; `drawn`: (B,) of the mean over seeds."""
    value, count = float(np.mean(each)), len(each)
    of_items = float(np.nanvar(drawn, ddof=1)) if drawn.size > 1 else 0.0
    of_seeds = float(np.var(each, ddof=1)) / count if count > 1 else 0.0
    total = of_items + of_seeds
    freedom = total**2 * (count - 1) / of_seeds**2 if of_seeds else math.inf
    error = math.sqrt(total)
    reach, more = stats.t.ppf(0.975, freedom), stats.t.ppf(POWER, freedom)
    p_value = 2 * float(stats.t.sf(abs(value) / error, freedom)) if error else float(value == 0)
    return Estimate(
        value=value,
        low=value - reach * error,
        high=value + reach * error,
        p_value=p_value,
        smallest=(reach + more) * error,
        seeds=count,
        each=tuple(each),
    )


def scores_of(out: Path, suite: str, hub: Path) -> dict[str, dict[str, Score]]:
    """Return model -> task -> score of what is stored of a suite in `out`."""
    with chdir(out):
        plan = make_plan(load_suite(f"{suite}.yaml").suite, Sources(hub=hub, offline=True))
        outcome = outcome_of(plan, Store(out / "results"))
    found: dict[str, dict[str, Score]] = {}
    for cell in outcome.plan.cells:
        result = outcome.results.get(str(cell))
        if isinstance(result, Score):
            found.setdefault(cell.model, {})[cell.task.name] = result
    return found


def plain(scores: dict[str, dict[str, Score]]) -> Scores:
    """Return of records what the study asks."""
    names = ("score", "axis", "metric", "unit", "n", "key")
    return {
        name: {task: Cell(**{key: getattr(one, key) for key in names}) for task, one in of.items()}
        for name, of in scores.items()
    }


def training_of(out: Path, name: str) -> dict[str, float] | None:
    """Return steps, processor seconds and generated tokens of a run; None where it did not end."""
    folder = out / "runs" / name
    if not (folder / "candidate.yaml").exists():
        return None
    facts = yaml.safe_load((folder / "candidate.yaml").read_text(encoding="utf-8"))["training"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    written = sum(one.get("generated_tokens", 0) for one in rows)
    return {"steps": facts["steps"], "cpu_seconds": facts["cpu_seconds"], "generated_tokens": written}


def _paired(one: Side, other: Side) -> list[tuple[dict[str, Cell], dict[str, Cell]]]:
    """Return the cells of the seeds that both have; what was not trained stands beside every seed."""
    if other.row == BASE:
        return [(mine, other.cells[0]) for mine in one.cells]
    mine, its = (dict(zip(side.seeds, side.cells, strict=True)) for side in (one, other))
    return [(mine[seed], its[seed]) for seed in one.seeds if seed in its]


def _only(side: Side, seeds: Sequence[int]) -> Side:
    if side.row == BASE:
        return side
    kept = dict(zip(side.seeds, side.cells, strict=True))
    return replace(side, seeds=tuple(seeds), cells=tuple(kept[seed] for seed in seeds))


def _with_q(made: list[Any]) -> list[Any]:
    """Return the questions with Benjamini and Hochberg's q over all that have an answer."""
    tested = [place for place, (_, found, _) in enumerate(made) if found is not None]
    if not tested:
        return made
    q_values = stats.false_discovery_control([made[place][1].p_value for place in tested])
    for place, q_value in zip(tested, q_values, strict=True):
        question, found, nats = made[place]
        made[place] = (question, replace(found, q_value=float(q_value)), nats)
    return made
