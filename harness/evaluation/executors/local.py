"""Cells on this machine: one process, or `workers` of them that share the work through the store's locks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty
from typing import Any

from harness.candidates.candidate import Candidate
from harness.evaluation.options import RunOptions
from harness.evaluation.progress import Reporter
from harness.evaluation.worker import run_candidate
from harness.plan.cells import Cell, Plan
from harness.results.records import Result
from harness.results.store import Store

POLL_SECONDS = 0.2


def run_cells(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter) -> None:
    """Run `cells`, candidates one after the other so that each is loaded once."""
    if options.workers <= 1:
        _run_all(plan, cells, options, reporter, first=0)
        return
    context = multiprocessing.get_context("spawn")  # torch and tokenizers do not survive a fork
    events: Any = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // options.workers)
    workers = [
        context.Process(target=_work, args=(plan, list(cells), options, events, number, threads))
        for number in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers):
            _relay(events, reporter)
        while _relay(events, reporter):
            pass
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _run_all(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter, *, first: int) -> None:
    store = Store(options.results)
    candidates = [one for one in plan.candidates if isinstance(one, Candidate)]
    start = first % max(len(candidates), 1)
    for candidate in [*candidates[start:], *candidates[:start]]:
        own = [cell for cell in cells if cell.model == candidate.name]
        if own:
            run_candidate(candidate, own, plan, store, reporter, use_cache=options.use_cache)


def _work(plan: Plan, cells: list[Cell], options: RunOptions, events: Any, number: int, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    with suppress(KeyboardInterrupt):  # the parent says so
        _run_all(plan, cells, options, _Sender(events), first=number)


def _relay(events: Any, reporter: Reporter) -> bool:
    """Pass one event of a worker on; returns whether there was one."""
    try:
        name, arguments = events.get(timeout=POLL_SECONDS)
    except Empty:
        return False
    getattr(reporter, name)(*arguments)
    return True


class _Sender:
    """A reporter that sends what it is told to the parent process."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def start(self, cells: Sequence[Cell], *, done: int) -> None:
        """Say nothing: the parent started."""

    def started(self, cell: Cell) -> None:
        self._events.put(("started", (cell,)))

    def phase(self, cell: Cell, name: str) -> None:
        self._events.put(("phase", (cell, name)))

    def progress(self, cell: Cell, texts: int) -> None:
        self._events.put(("progress", (cell, texts)))

    def finished(self, cell: Cell, result: Result | None, seconds: float) -> None:
        self._events.put(("finished", (cell, result, seconds)))

    def close(self) -> None:
        """Say nothing: the parent closes."""
