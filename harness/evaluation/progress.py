"""What a run shows while it runs: a live table on a terminal, plain lines elsewhere; both on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple, TextIO

from harness.evaluation.clock import TEXTS, Clock, unit_of
from harness.evaluation.events import (
    Event,
    Finished,
    Phase,
    Progress,
    Remark,
    Reporter,
    RunBegins,
    RunEnds,
    ShardMade,
    Started,
)
from harness.plan.cells import Cell
from harness.results.records import Failure, Result, Score
from harness.wording import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


REFRESH_PER_SECOND = 2
LINE_EVERY_SECONDS = 30.0
"""How often a long cell is mentioned where there is no terminal."""


class PlainReporter:
    """One line a cell, and a sign of life in long ones."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error by default."""
        self._stream = stream or sys.stderr
        self._clock = Clock()
        self._last = time.monotonic()
        self._of_cell = 0

    def report(self, event: Event) -> None:
        """Write a line where there is something to say."""
        self._clock.note(event)
        line = self._line_of(event)
        if line is not None:
            print(line, file=self._stream, flush=True)

    def _line_of(self, event: Event) -> str | None:
        clock = self._clock
        match event:
            case RunBegins():
                return f"{len(event.cells)} cell(s) to run, {event.done} already done"
            case Started():
                self._of_cell, self._last = 0, time.monotonic()
            case Phase(name="loading"):  # which takes long by itself
                return f"{event.cell.model}: loading"
            case Progress():
                self._of_cell += event.texts
                return self._sign_of_life(event.cell)
            case ShardMade():
                return self._shards(event)
            case Finished():
                place, took = f"[{clock.finished}/{clock.total}]", duration(event.seconds)
                came = ", found done" if event.was_there else f" in {took}"
                return f"{place} {event.cell}: {describe(event.result)}{came}, ETA {clock.eta()}"
            case Remark(text=text):
                return text
            case RunEnds():
                return f"{clock.finished} cell(s) in {clock.elapsed()}, {clock.failed} failed, {clock.rate()}"
        return None

    def _shards(self, event: ShardMade) -> str | None:
        """Return how many shards a cell has, at the first and last of them and every half minute."""
        if event.made not in (1, event.of) and time.monotonic() - self._last <= LINE_EVERY_SECONDS:
            return None
        self._last = time.monotonic()
        return f"{event.cell}: {event.made} of {event.of} shards, {self._clock.rate()}, ETA {self._clock.eta()}"

    def _sign_of_life(self, cell: Cell) -> str | None:
        """Return how far a cell is, every half minute."""
        if time.monotonic() - self._last <= LINE_EVERY_SECONDS:
            return None
        self._last = time.monotonic()
        counts = cell.task.counts()
        of = f" of about {counts.encoded}" if counts and counts.encoded else ""
        return f"{cell}: {self._of_cell}{of} {unit_of(cell)}, {self._clock.rate()}, ETA {self._clock.eta()}"


class _Current(NamedTuple):
    """A cell that is being worked on."""

    phase: str = ""
    texts: int = 0
    unit: str = TEXTS
    began: float = 0.0
    """By the monotonic clock, in seconds."""


def _begun(cell: Cell) -> _Current:
    return _Current(unit=unit_of(cell), began=time.monotonic())


class LiveReporter:
    """A live table: the last cells, the current one, pace and time left."""

    SHOWN = 12

    def __init__(self) -> None:
        """Draw on standard error."""
        self._clock = Clock()
        self._rows: list[tuple[str, str, str]] = []
        self._current: dict[str, _Current] = {}
        self._live: Live | None = None

    def report(self, event: Event) -> None:
        """Change what the table shows; it is drawn twice a second."""
        self._clock.note(event)
        match event:
            case RunBegins():
                self._begin_to_draw()
            case Started():
                self._current.setdefault(str(event.cell), _begun(event.cell))
            case Phase():
                self._current[str(event.cell)] = self._of(event.cell)._replace(phase=event.name)
            case Progress():
                before = self._of(event.cell)
                self._current[str(event.cell)] = before._replace(texts=before.texts + event.texts)
            case ShardMade():
                shards = f"{event.made} of {event.of} shards"
                self._current[str(event.cell)] = self._of(event.cell)._replace(phase=shards)
            case Finished():
                self._current.pop(str(event.cell), None)
                took = "found done" if event.was_there else duration(event.seconds)
                self._rows.append((str(event.cell), describe(event.result), took))
            case Remark(text=text):
                if self._live:
                    self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
                else:  # while candidates are trained
                    sys.stderr.write(f"{text}\n")
            case RunEnds():
                if self._live:
                    self._live.refresh()
                    self._live.stop()

    def _of(self, cell: Cell) -> _Current:
        return self._current.get(str(cell), _begun(cell)._replace(phase="evaluating"))

    def _begin_to_draw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(stderr=True), refresh_per_second=REFRESH_PER_SECOND, get_renderable=self._table
        )
        self._live.start()

    def _table(self) -> Table:
        from rich.table import Table

        clock = self._clock
        title = f"{clock.finished}/{clock.total} cells, {clock.failed} failed, {clock.rate()}, ETA {clock.eta()}"
        table = Table("cell", "result", "time", title=title, expand=False)
        for row in self._rows[-self.SHOWN :]:
            table.add_row(*row)
        for name, (phase, texts, unit, began) in self._current.items():
            table.add_row(name, f"{phase}, {texts} {unit}" if texts else phase, duration(time.monotonic() - began))
        return table


def reporter_for(stream: TextIO) -> Reporter:
    """Return the live table on a terminal, plain lines elsewhere."""
    return LiveReporter() if stream.isatty() else PlainReporter(stream)


def describe(result: Result | None) -> str:
    """Return a result in a few words."""
    if isinstance(result, Score):
        return f"{result.score:.2f} ({result.metric}, n={result.n})"
    if isinstance(result, Failure):
        first = result.message.splitlines()[0] if result.message else ""
        return f"error: {result.error}: {first}"[:120]
    return "a result that cannot be read"
