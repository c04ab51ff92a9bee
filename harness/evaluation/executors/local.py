"""Cells on this machine: one process, or `workers` of them that share the work through the store's locks.

A worker process may be killed at any time, by the kernel for want of memory or by a library that crashes. Each has a
pipe of its own, so that none can take a lock with it that others wait for. The cell that it was at is a `Failure`, is
not tried again in this run, and another process takes the place of the dead one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import wait
from typing import Any

from harness.candidates.candidate import Candidate
from harness.errors import EnvironmentGapError, HarnessError
from harness.evaluation.attempts import Attempts
from harness.evaluation.events import Event, Finished, Remark, Reporter, Started
from harness.evaluation.options import RunOptions
from harness.evaluation.record import lost
from harness.evaluation.worker import Worker
from harness.plan.cells import Cell, Plan
from harness.results.store import Store


def run_cells(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter) -> None:
    """Run `cells`, candidates one after the other so that each is loaded once.

    Args:
        plan: that the cells are of.
        cells: with a key each.
        options: `results`, `workers` and `use_cache`.
        reporter: told in this process, whichever process ran a cell.

    Raises:
        HarnessError: nothing more can be committed, or no worker process can be started.
    """
    if options.workers <= 1:
        _run_all(plan, cells, options, reporter, first=0, attempts=Attempts.none())
        return
    crew = Crew(plan=plan, cells=list(cells), options=options, reporter=reporter)
    try:
        for _ in range(options.workers):
            crew.hire()
        crew.watch()
    finally:
        crew.dismiss()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """A worker process."""

    number: int
    process: Any
    events: Any
    """Our end of its pipe; ends with the process."""


@dataclass(slots=True, kw_only=True)
class Crew:
    """The worker processes of a run, watched by the process that started them."""

    plan: Plan
    cells: list[Cell]
    options: RunOptions
    reporter: Reporter
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    context: Any = field(default_factory=lambda: multiprocessing.get_context("spawn"))  # torch survives no fork
    attempts: Attempts = field(default_factory=Attempts.none)
    hands: dict[Any, Hand] = field(default_factory=dict)
    """By their pipe."""
    at: dict[int, Cell] = field(default_factory=dict)
    """Number of a worker -> the cell it is at."""
    hired: int = 0
    work: Callable[..., None] = field(default_factory=lambda: _work)
    """What a process does."""

    def __post_init__(self) -> None:
        """Make the marks that all processes see."""
        self.attempts = Attempts.shared(self.cells, self.context)

    def hire(self) -> None:
        """Start one more worker; go on with those there are where the machine has no room for it."""
        ours, theirs = self.context.Pipe(duplex=False)
        threads = max(1, (os.cpu_count() or 1) // self.options.workers)
        arguments = (self.plan, self.cells, self.options, theirs, self.hired, threads, self.attempts)
        process = self.context.Process(target=self.work, args=arguments)
        try:
            process.start()
        except OSError as error:
            ours.close()
            if not self.hands:
                raise EnvironmentGapError(
                    [f"no worker process can be started: {error.strerror or error}; run with --workers 1"]
                ) from error
            self.reporter.report(Remark(text=f"a worker process cannot be started: {error.strerror or error}"))
            return
        finally:
            theirs.close()  # else its end is never seen
        self.hands[ours] = Hand(number=self.hired, process=process, events=ours)
        self.hired += 1

    def watch(self) -> None:
        """Pass on what the workers tell until none is left."""
        while self.hands:
            for pipe in wait(list(self.hands)):
                hand = self.hands[pipe]
                try:
                    told = hand.events.recv()
                except (EOFError, OSError):  # it broke off, if need be amid a message
                    self._leaves(hand)
                else:
                    self._hear(hand, told)

    def _hear(self, hand: Hand, told: Event | HarnessError) -> None:
        if isinstance(told, HarnessError):  # ends the run for all
            raise told
        if isinstance(told, Started):
            self.at[hand.number] = told.cell
        elif isinstance(told, Finished):
            self.at.pop(hand.number, None)
        self.reporter.report(told)

    def _leaves(self, hand: Hand) -> None:
        """Take note of a worker's end; one that was killed at a cell is replaced."""
        hand.process.join()
        hand.events.close()
        del self.hands[hand.events]
        cell = self.at.pop(hand.number, None)
        if hand.process.exitcode == 0 and cell is None:
            return
        how = ending(hand.process.exitcode)
        if cell is None:
            self.reporter.report(Remark(text=f"worker {hand.number} {how} before it came to a cell"))
            return
        why = f"worker {hand.number} {how} while it was at this cell"
        failure = lost(cell, self.plan, why, self.began)
        store = Store(self.options.results)
        if not store.has_score(cell.task.name, cell.key):
            store.put_failure(failure)
        self.reporter.report(Remark(text=f"{cell}: {why}; the next run tries it again"))
        self.reporter.report(Finished(cell=cell, result=store.get(cell.task.name, cell.key), seconds=0.0))
        if self.attempts.some_left() and self.hired < self.options.workers + len(self.cells):
            self.hire()

    def dismiss(self) -> None:
        """End the workers that are left, whatever the run ended with."""
        for hand in self.hands.values():
            hand.process.terminate()
        for hand in self.hands.values():
            hand.process.join()
            hand.events.close()
        self.hands.clear()


def ending(code: int) -> str:
    """Return how a process ended, in words, by its exit code: negative ones are signals."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    perhaps = {"SIGKILL": ", perhaps out of memory (fewer --workers or a smaller batch_tokens need less)"}
    return f"was killed by {name}{perhaps.get(name, '')}"


def _run_all(
    plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter, *, first: int, attempts: Attempts
) -> None:
    """Run every candidate's cells, beginning with candidate number `first`."""
    store = Store(options.results)
    worker = Worker(plan=plan, store=store, reporter=reporter, use_cache=options.use_cache, attempts=attempts)
    candidates = [one for one in plan.candidates if isinstance(one, Candidate)]
    start = first % max(len(candidates), 1)
    for candidate in [*candidates[start:], *candidates[:start]]:
        own = [cell for cell in cells if cell.model == candidate.name]
        if own:
            worker.run(candidate, own)


def _work(
    plan: Plan, cells: list[Cell], options: RunOptions, events: Any, number: int, threads: int, attempts: Attempts
) -> None:
    """Be worker process `number`."""
    import torch

    torch.set_num_threads(threads)
    sender = _Sender(events)
    with suppress(KeyboardInterrupt, _ParentGone):  # the parent says so, or is not there to be told
        try:
            _run_all(plan, cells, options, sender, first=number, attempts=attempts)
        except HarnessError as error:
            sender.send(error)


class _ParentGone(BaseException):
    """Nobody reads what this process tells; no cell's error."""


@dataclass(frozen=True, slots=True)
class _Sender:
    """A reporter that sends what it is told to the parent process."""

    events: Any
    """The writing end of a pipe."""

    def report(self, event: Event) -> None:
        """Send it."""
        self.send(event)

    def send(self, told: Event | HarnessError) -> None:
        """Send it; a worker whose parent is gone has nobody to work for, and leaves."""
        try:
            self.events.send(told)
        except BrokenPipeError as error:
            raise _ParentGone from error
