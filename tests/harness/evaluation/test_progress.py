"""What a run shows of the events it is told: lines, or a live table."""

from __future__ import annotations

import io
import pickle
import re
from typing import Any, NamedTuple

import pytest

from harness.evaluation.events import Event, Finished, Phase, Progress, RunBegins, RunEnds, Started, told
from harness.evaluation.progress import LiveReporter, PlainReporter
from harness.results.records import Failure
from harness.tasks.catalogue import Counts


class Task(NamedTuple):
    """As much of a planned task as a reporter asks for."""

    name: str
    type: str = "STS"
    axis: str = "embedding"

    def counts(self) -> Counts:
        """Return a number of texts and characters."""
        return Counts(items=50, texts=100, unique_texts=100, characters=1000, training_texts=0)


class Cell(NamedTuple):
    """A model on a task."""

    model: str
    task: Task

    def __str__(self) -> str:
        return f"{self.model}/{self.task.name}"


def events() -> list[Event]:
    """Return a run of three cells: one that fails, one that another process made, one that never ends."""
    cells: list[Any] = [Cell("base", Task(name)) for name in ("sts", "pairs", "sums")]
    broken = Failure(
        key="0", model="base", axis="embedding", type="STS", task="sts", error="OSError", message="torn", traceback=""
    )
    return [
        RunBegins(cells=tuple(cells), done=4),
        Started(cell=cells[0]),
        Phase(cell=cells[0], name="loading"),
        Phase(cell=cells[0], name="evaluating"),
        Progress(cell=cells[0], texts=40),
        Finished(cell=cells[0], result=broken, seconds=200.0),
        Finished(cell=cells[1], result=None, seconds=0.0, was_there=True),
        Started(cell=cells[2]),
        Phase(cell=cells[2], name="evaluating"),
        Progress(cell=cells[2], texts=7),
        RunEnds(),
    ]


def test_plain_lines_say_what_happened() -> None:
    """A line for the whole, each loading, each finished cell and the end; no line for what goes by quickly."""
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    for event in events():
        reporter.report(event)
    lines = [
        re.sub(r"[\d.]+ texts/s|ETA [\d.]+ s|ETA \?|in 0\.\d s", "_", line) for line in stream.getvalue().splitlines()
    ]
    assert lines == [
        "3 cell(s) to run, 4 already done",
        "base: loading",
        "[1/3] base/sts: error: OSError: torn in 3 min 20 s, _",
        "[2/3] base/pairs: a result that cannot be read, found done, _",
        "2 cell(s) _, 1 failed, _",
    ]


def test_the_table_shows_what_is_finished_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell that is being worked on stands below, with its phase and texts."""
    from rich.console import Console

    monkeypatch.setattr(LiveReporter, "_begin_to_draw", lambda _: None)
    reporter = LiveReporter()
    for event in events():
        reporter.report(event)
    console = Console(file=io.StringIO(), width=120)
    console.print(reporter._table())
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"base/sts .*error: OSError: torn .*3 min 20 s", said)
    assert re.search(r"base/sums .*evaluating, 7 texts", said)


@pytest.mark.parametrize("event", events(), ids=lambda one: type(one).__name__)
def test_events_travel_between_processes(event: Event) -> None:
    """As they are."""
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes


def test_the_end_is_told_after_an_interrupt_too() -> None:
    """So that a terminal is given back."""
    seen: list[Event] = []

    class Noting:
        """Keeps what it is told."""

        def report(self, event: Event) -> None:
            """Keep it."""
            seen.append(event)

    with pytest.raises(KeyboardInterrupt), told(Noting(), (), done=0):
        raise KeyboardInterrupt
    assert seen == [RunBegins(cells=(), done=0), RunEnds()]
