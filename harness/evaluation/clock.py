"""How far a run is and how long the rest will take: from the texts of its cells and each model's own pace."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from harness.evaluation.events import Event, Finished, Phase, Progress, RunBegins, ShardMade, Started
from harness.plan.cells import Cell
from harness.plan.scoring import scoring_seconds
from harness.results.records import Failure
from harness.tasks.types import Axis
from harness.wording import duration

TEXTS, QUESTIONS = "texts", "questions"
Runs = tuple[str, Axis]
"""A model and an axis."""
ALMOST = 0.99
"""The most that a cell counts as done before it is: scoring comes after the last text, and their number is a guess."""


class Clock:
    """Counts cells and texts.

    A cell of the embedding axis weighs its expected characters, since a long text costs more than a short one, one of
    the ability axis its questions; the two are never added. A cell that does not know weighs its axis's mean.
    What a model has left on an axis is reckoned at its own pace there, or at that of all models before it has one;
    before there is any on one of the axes, what is known is the least that is left. A task that turned out smaller
    than the catalogue has it (a copy of fewer texts) weighs less for the models after it. What classifiers and
    k-means take stands beside that, since no model is in it: it is in no pace, and comes after a cell's last text; nor
    is the loading of a model.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start at `now()`, in seconds."""
        self._now = now
        self._began = now()
        self.total = 0
        self.finished = 0
        self.failed = 0
        self.texts = 0
        self._units: tuple[str, ...] = ()
        """What is counted in `texts`."""
        self._weights: dict[str, float] = {}
        self._cells: dict[str, Cell] = {}
        self._shares: dict[str, float] = {}
        """Of each begun cell, how much is done, 0 to 1."""
        self._started: dict[str, float] = {}
        """Begun cells -> when."""
        self._spent: dict[Runs, float] = defaultdict(float)
        """Model on an axis -> seconds in finished cells, scoring apart."""
        self._seen: dict[str, int] = defaultdict(int)
        """Cell -> texts that were encoded for it, as far as this process was told."""
        self._in_shards: set[str] = set()
        """Cells of which others may have encoded some."""
        self._busy = 0.0
        """Seconds in finished cells, scoring included."""
        self._scoring: dict[str, float] = {}
        """Cell -> expected seconds of scoring."""
        self._encoded: dict[str, float] = {}
        """Begun cells whose texts are all encoded -> since when."""

    def note(self, event: Event) -> None:
        """Take note of what a run tells of itself."""
        match event:
            case RunBegins():
                self.expect(event.cells)
            case Started():
                self.begin(event.cell)
            case Phase(name="evaluating"):
                self.is_loaded(event.cell)
            case Progress():
                self.advance(event.cell, event.texts)
            case ShardMade():
                self.reach(event.cell, event.made / max(event.of, 1))
            case Finished(result=result):
                self.finish(event.cell, failed=isinstance(result, Failure), elsewhere=result is None)

    def expect(self, cells: Sequence[Cell]) -> None:
        """Take note of the cells to run."""
        self.total = len(cells)
        self._units = tuple(sorted({unit_of(cell) for cell in cells}, reverse=True))
        self._cells = {str(cell): cell for cell in cells}
        known = {name: _weight(cell) for name, cell in self._cells.items()}
        for axis in {cell.task.axis for cell in cells}:
            own = [name for name, cell in self._cells.items() if cell.task.axis == axis]
            told = [weight for name in own if (weight := known[name])]
            mean = sum(told) / len(told) if told else 1.0
            self._weights |= {name: known[name] or mean for name in own}
        self._scoring = {str(cell): scoring_seconds(cell.task) for cell in cells}

    def begin(self, cell: Cell) -> None:
        """Work on `cell` begins, or another step of it."""
        self._started.setdefault(str(cell), self._now())
        self._shares.setdefault(str(cell), 0.0)

    def is_loaded(self, cell: Cell) -> None:
        """The model of `cell` is in memory: the pace is that of what follows."""
        if self._shares.get(str(cell)) == 0.0:
            self._started[str(cell)] = self._now()

    def advance(self, cell: Cell, texts: int) -> None:
        """So many more texts of `cell` are encoded."""
        self.texts += texts
        self._seen[str(cell)] += texts
        counts = cell.task.counts()
        if counts and counts.encoded and str(cell) in self._shares:
            self._put_share(str(cell), self._shares[str(cell)] + texts / counts.encoded)

    def reach(self, cell: Cell, share: float) -> None:
        """So much of `cell` is done, 0 to 1, whoever did it."""
        name = str(cell)
        self._in_shards.add(name)
        if name in self._shares:
            self._put_share(name, max(self._shares[name], share))

    def _put_share(self, name: str, share: float) -> None:
        self._shares[name] = min(ALMOST, share)
        if share >= ALMOST:
            self._encoded.setdefault(name, self._now())

    def finish(self, cell: Cell, *, failed: bool, elsewhere: bool = False) -> None:
        """`cell` has its result, or another process has made it."""
        self.finished += 1
        self.failed += failed
        name = str(cell)
        took = self._now() - self._started.pop(name, self._now())
        if failed or elsewhere:  # says nothing of the pace: no texts are known to have gone through
            self._weights[name] = 0.0
        else:
            self._busy += took
            self._spent[cell.model, cell.task.axis] += max(0.0, took - self._scored_for(name))
            self._learn_size(cell)
        self._encoded.pop(name, None)
        self._shares[name] = 1.0

    def eta(self) -> str:
        """Return the time left at the pace so far; `over 3 min` where an axis has no pace yet, `?` where none has one.

        `-` when nothing is left.
        """
        if self.finished == self.total:
            return "-"
        busy = self._busy + sum(self._now() - began for began in self._started.values())
        at_once = max(1.0, busy / max(self._now() - self._began, 1e-9))  # cells that ran side by side
        encoding, is_whole = self._encoding_left()
        if not encoding and not is_whole:
            return "?"
        scoring = sum(max(0.0, self._scoring[name] - self._scored_for(name)) for name in self._left())
        return f"{'' if is_whole else 'over '}{duration((encoding + scoring) / at_once)}"

    def _encoding_left(self) -> tuple[float, bool]:
        """Return the seconds of encoding that are left, one cell after the other, and whether all have a pace."""
        spent = dict(self._spent)
        for name, began in self._started.items():
            if (cell := self._cells.get(name)) is not None:
                runs = (cell.model, cell.task.axis)
                spent[runs] = spent.get(runs, 0.0) + self._now() - began - self._scored_for(name)
        done: dict[Runs, float] = defaultdict(float)
        left: dict[Runs, float] = defaultdict(float)
        for name, weight in self._weights.items():
            cell, share = self._cells[name], self._shares.get(name, 0.0)
            done[cell.model, cell.task.axis] += share * weight
            left[cell.model, cell.task.axis] += (1 - share) * weight
        total, is_whole = 0.0, True
        for own, rest in left.items():
            # Nothing is left there, or the model has a pace there, or all models together have one.
            alike = [own] if done[own] else [one for one in left if one[1] == own[1]]
            covered = sum(done[one] for one in alike)
            if rest and covered:
                total += rest * sum(spent.get(one, 0.0) for one in alike) / covered
            is_whole = is_whole and bool(covered or not rest)
        return total, is_whole

    def _learn_size(self, cell: Cell) -> None:
        """Weigh a task by the texts that a whole cell of it had, where these were fewer than expected."""
        name, counts = str(cell), cell.task.counts()
        seen = self._seen.get(name, 0)
        if not counts or not seen or seen >= counts.encoded or name in self._in_shards:
            return
        weight = self._weights[name] * seen / counts.encoded
        for other, one in self._cells.items():
            if one.task == cell.task:
                self._weights[other] = min(self._weights[other], weight)

    def _left(self) -> list[str]:
        """Return the cells that have no result yet."""
        return [name for name in self._scoring if self._shares.get(name, 0.0) < 1.0]

    def _scored_for(self, name: str) -> float:
        """Return since how long a begun cell is being scored, at most as long as that was to take."""
        since = self._encoded.get(name)
        return 0.0 if since is None else min(self._now() - since, self._scoring.get(name, 0.0))

    def rate(self) -> str:
        """Return texts, questions or both a second since the start."""
        pace = self.texts / max(self._now() - self._began, 1e-9)
        return f"{pace:.{0 if pace >= 10 else 1}f} {' and '.join(self._units) or TEXTS}/s"

    def elapsed(self) -> str:
        """Return the time since the start."""
        return duration(self._now() - self._began)


def unit_of(cell: Cell) -> str:
    """Return in what the progress of a cell is counted: questions of the ability axis, else texts."""
    return QUESTIONS if cell.task.axis == "ability" else TEXTS


def _weight(cell: Cell) -> float | None:
    """Return about how many characters a cell's texts have, or its questions; None where neither is known."""
    counts = cell.task.counts()
    if counts is None or not counts.encoded:
        return None
    if cell.task.axis == "ability" or not counts.texts:
        return float(counts.encoded)
    # of training texts no characters are counted: as long as the others
    return max(counts.characters, 1) * counts.encoded / counts.texts
