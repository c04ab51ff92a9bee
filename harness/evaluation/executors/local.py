"""Cells on this machine: one process, or `workers` of them that share the work through the store's locks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty
from typing import Any

from harness.candidates.candidate import Candidate
from harness.evaluation.events import Event, Reporter
from harness.evaluation.options import RunOptions
from harness.evaluation.worker import Worker
from harness.plan.cells import Cell, Plan
from harness.results.store import Store

POLL_SECONDS = 0.2


def run_cells(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter) -> None:
    """Run `cells`, candidates one after the other so that each is loaded once.

    Args:
        plan: that the cells are of.
        cells: with a key each.
        options: `results`, `workers` and `use_cache`.
        reporter: told in this process, whichever process ran a cell.
    """
    if options.workers <= 1:
        _run_all(plan, cells, options, reporter, first=0)
        return
    context = multiprocessing.get_context("spawn")  # torch and tokenizers do not survive a fork
    events: Any = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // options.workers)
    processes = [
        context.Process(target=_work, args=(plan, list(cells), options, events, number, threads))
        for number in range(options.workers)
    ]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes):
            _relay(events, reporter)
        while _relay(events, reporter):
            pass
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _run_all(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter, *, first: int) -> None:
    """Run every candidate's cells, beginning with candidate number `first`."""
    worker = Worker(plan=plan, store=Store(options.results), reporter=reporter, use_cache=options.use_cache)
    candidates = [one for one in plan.candidates if isinstance(one, Candidate)]
    start = first % max(len(candidates), 1)
    for candidate in [*candidates[start:], *candidates[:start]]:
        own = [cell for cell in cells if cell.model == candidate.name]
        if own:
            worker.run(candidate, own)


def _work(plan: Plan, cells: list[Cell], options: RunOptions, events: Any, number: int, threads: int) -> None:
    """Be worker process `number`."""
    import torch

    torch.set_num_threads(threads)
    with suppress(KeyboardInterrupt):  # the parent says so
        _run_all(plan, cells, options, _Sender(events), first=number)


def _relay(events: Any, reporter: Reporter) -> bool:
    """Pass one event of a worker process on; returns whether there was one."""
    try:
        event: Event = events.get(timeout=POLL_SECONDS)
    except Empty:
        return False
    reporter.report(event)
    return True


@dataclass(frozen=True, slots=True)
class _Sender:
    """A reporter that sends what it is told to the parent process."""

    events: Any
    """A multiprocessing queue."""

    def report(self, event: Event) -> None:
        """Send it."""
        self.events.put(event)
