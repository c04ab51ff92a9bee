"""What a run shows while it runs: a live table on a terminal, plain lines elsewhere; both on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from harness.evaluation.clock import Clock, duration
from harness.plan.cells import Cell
from harness.results.records import Failure, Result, Score

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


REFRESH_PER_SECOND = 2
LINE_EVERY_SECONDS = 30.0
"""How often a long cell is mentioned where there is no terminal."""


class Reporter(Protocol):
    """Is told what happens; one cell at a time a process."""

    def start(self, cells: Sequence[Cell], *, done: int) -> None:
        """`cells` will be run; `done` others of the suite have a score."""

    def started(self, cell: Cell) -> None:
        """Work on `cell` begins."""

    def phase(self, cell: Cell, name: str) -> None:
        """`cell` is now loading or evaluating."""

    def progress(self, cell: Cell, texts: int) -> None:
        """So many more texts are encoded."""

    def finished(self, cell: Cell, result: Result | None, seconds: float) -> None:
        """`cell` has its result."""

    def close(self) -> None:
        """Nothing more will come."""


class SilentReporter:
    """Shows nothing."""

    def start(self, cells: Sequence[Cell], *, done: int) -> None:
        """Show nothing."""

    def started(self, cell: Cell) -> None:
        """Show nothing."""

    def phase(self, cell: Cell, name: str) -> None:
        """Show nothing."""

    def progress(self, cell: Cell, texts: int) -> None:
        """Show nothing."""

    def finished(self, cell: Cell, result: Result | None, seconds: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class PlainReporter:
    """One line a cell, and a sign of life in long ones."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error by default."""
        self._stream = stream or sys.stderr
        self._clock = Clock()
        self._last = time.monotonic()
        self._of_cell = 0

    def start(self, cells: Sequence[Cell], *, done: int) -> None:
        """Say how much there is to do."""
        self._clock.expect(cells)
        self._write(f"{len(cells)} cell(s) to run, {done} already done")

    def started(self, cell: Cell) -> None:
        """Count from zero."""
        self._clock.begin(cell)
        self._of_cell = 0
        self._last = time.monotonic()

    def phase(self, cell: Cell, name: str) -> None:
        """Mention only what takes long by itself."""
        if name == "loading":
            self._write(f"{cell.model}: loading")

    def progress(self, cell: Cell, texts: int) -> None:
        """Give a sign of life every half minute."""
        self._clock.advance(cell, texts)
        self._of_cell += texts
        if time.monotonic() - self._last > LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            expected = cell.task.texts()
            of = f" of about {expected}" if expected else ""
            self._write(f"{cell}: {self._of_cell}{of} texts, {self._clock.rate()}, ETA {self._clock.eta()}")

    def finished(self, cell: Cell, result: Result | None, seconds: float) -> None:
        """Give the score or the error."""
        self._clock.finish(cell, failed=isinstance(result, Failure), elsewhere=result is None)
        place = f"[{self._clock.finished}/{self._clock.total}]"
        self._write(f"{place} {cell}: {describe(result)} in {duration(seconds)}, ETA {self._clock.eta()}")

    def close(self) -> None:
        """Sum up."""
        clock = self._clock
        self._write(f"{clock.finished} cell(s) in {clock.elapsed()}, {clock.failed} failed, {clock.rate()}")

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class LiveReporter:
    """A live table: the last cells, the current one, pace and time left."""

    SHOWN = 12

    def __init__(self) -> None:
        """Draw on standard error."""
        self._clock = Clock()
        self._rows: list[tuple[str, str, str]] = []
        self._current: dict[str, tuple[str, int, float]] = {}
        self._live: Live | None = None

    def start(self, cells: Sequence[Cell], *, done: int) -> None:
        """Begin to draw."""
        from rich.console import Console
        from rich.live import Live

        self._clock.expect(cells)
        self._live = Live(
            console=Console(stderr=True), refresh_per_second=REFRESH_PER_SECOND, get_renderable=self._table
        )
        self._live.start()

    def started(self, cell: Cell) -> None:
        """Show the cell."""
        self._clock.begin(cell)
        self._current[str(cell)] = ("", 0, time.monotonic())

    def phase(self, cell: Cell, name: str) -> None:
        """Show the phase."""
        _, texts, began = self._current.get(str(cell), ("", 0, time.monotonic()))
        self._current[str(cell)] = (name, texts, began)

    def progress(self, cell: Cell, texts: int) -> None:
        """Count."""
        self._clock.advance(cell, texts)
        name, before, began = self._current.get(str(cell), ("evaluating", 0, time.monotonic()))
        self._current[str(cell)] = (name, before + texts, began)

    def finished(self, cell: Cell, result: Result | None, seconds: float) -> None:
        """Move the cell among the finished."""
        self._clock.finish(cell, failed=isinstance(result, Failure), elsewhere=result is None)
        self._current.pop(str(cell), None)
        self._rows.append((str(cell), describe(result), duration(seconds)))

    def close(self) -> None:
        """Draw once more and stop."""
        if self._live:
            self._live.refresh()
            self._live.stop()

    def _table(self) -> Table:
        from rich.table import Table

        clock = self._clock
        title = f"{clock.finished}/{clock.total} cells, {clock.failed} failed, {clock.rate()}, ETA {clock.eta()}"
        table = Table("cell", "result", "time", title=title, expand=False)
        for row in self._rows[-self.SHOWN :]:
            table.add_row(*row)
        for name, (phase, texts, began) in self._current.items():
            table.add_row(name, f"{phase}, {texts} texts" if texts else phase, duration(time.monotonic() - began))
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
    return "done by another process"
