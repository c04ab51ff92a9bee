"""Worker processes that end as the kernel and libraries end them; each takes the arguments of the executor's own."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cells_support import make_score

from harness.errors import EnvironmentGapError
from harness.evaluation.events import Finished, Started
from harness.evaluation.executors import local
from harness.evaluation.executors.local import READY
from harness.evaluation.options import RunOptions
from harness.evaluation.units import Done
from harness.evaluation.worker import Worker
from harness.plan.cells import Plan
from harness.results.store import Store
from harness.shards.cut import Shard


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segfault() -> None:
    ctypes.string_at(0)


def _exit_7() -> None:
    os._exit(7)


def _exit_0() -> None:
    os._exit(0)


ENDINGS: dict[str, Callable[[], None]] = {
    "SIGKILL": _killed,
    "SIGSEGV": _segfault,
    "exit code 7": _exit_7,
    "exit code 0": _exit_0,
}
"""What is said of it -> how a process ends itself."""


def work(plan: Plan, options: RunOptions, pipe: Any, number: int, threads: int) -> None:
    """Commit a score for each cell, but end at a task that is named after an ending, `die-SIGKILL`."""
    del plan, number, threads
    store = Store(options.results)
    pipe.send(READY)
    with suppress(EOFError):
        while True:
            unit = pipe.recv()
            cell = unit.cell
            pipe.send(Started(cell=cell))
            name = cell.task.name.removeprefix("die-").replace("-", " ")
            if name in ENDINGS:
                ENDINGS[name]()
            score = store.put_score(make_score(task=cell.task.name, key=cell.key, items_missing="none"), None, "")
            pipe.send(Finished(cell=cell, result=score, seconds=0.0))
            pipe.send(Done(unit=unit, state="done"))


def never_begins(*_: Any) -> None:
    """End before the first cell, as where a library cannot be imported."""
    os._exit(1)


def has_no_room(plan: Plan, options: RunOptions, pipe: Any, *_: Any) -> None:
    """Find that nothing can be committed any more."""
    pipe.send(READY)
    pipe.recv()
    pipe.send(EnvironmentGapError(["no room", "make some"]))
    signal.pause()  # until it is ended


def hangs(plan: Plan, options: RunOptions, pipe: Any, *rest: Any) -> None:
    """Come to no end with a task named `hang`, and deaf to all but SIGKILL; score the others."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ENDINGS["hang"] = lambda: time.sleep(600)
    work(plan, options, pipe, *rest)


SHARD = Shard(part="p", split="s", subset="d", role=None, start=0, stop=9, ids="", weight=1.0)


def hangs_at_shards(plan: Plan, options: RunOptions, pipe: Any, *_: Any) -> None:
    """Cut every cell into one shard, and come to no end with it."""
    pipe.send(READY)
    with suppress(EOFError):
        while True:
            unit = pipe.recv()
            pipe.send(Started(cell=unit.cell))
            if unit.step == "shard":
                time.sleep(600)
            pipe.send(Done(unit=unit, state="done", shards=(SHARD,)))


def hangs_as_it_is(plan: Plan, options: RunOptions, pipe: Any, *rest: Any) -> None:
    """Be a worker of the executor's own that comes to no end with its first unit, and tells its id."""

    def hang(*_: Any) -> None:
        (options.results / f"{os.getpid()}.pid").touch()
        time.sleep(600)

    Worker.do = hang  # type: ignore[method-assign,assignment]
    local._work(plan, options, pipe, *rest)
