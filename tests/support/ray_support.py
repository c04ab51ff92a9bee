"""Ray actors whose worker loads no engine, and does what the name of a task says."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cells_support import make_score

from harness.errors import ResultsNotWrittenError
from harness.evaluation.events import Finished, Phase, Reporter, Started
from harness.evaluation.executors.ray_actor import RayWorker
from harness.evaluation.units import Done, Unit
from harness.results.store import Store


@dataclass
class Acting:
    """Stands for a `Worker`."""

    store: Store
    reporter: Reporter

    def do(self, unit: Unit) -> Done:
        """Score a cell, but first be killed, hang, or find the disk full."""
        cell = unit.cell
        self.reporter.report(Started(cell=cell))
        if cell.task.name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if cell.task.name == "hangs":
            time.sleep(600)
        if cell.task.name.startswith("waits"):
            self._wait_until_told()
        if cell.task.name == "full":
            raise ResultsNotWrittenError(["no room", "make some"])
        if cell.task.name == "broken":
            raise TypeError("a mistake of ours")
        self.reporter.report(Phase(cell=cell, name="evaluating"))
        score = self.store.put_score(make_score(task=cell.task.name, key=cell.key, items_missing="none"), None, "")
        self.reporter.report(Finished(cell=cell, result=score, seconds=0.0))
        return Done(unit=unit, state="done")

    def _wait_until_told(self) -> None:
        """Wait for a file named `go` in the results folder; 30 seconds at most."""
        until = time.monotonic() + 30
        while not (self.store.root / "go").exists() and time.monotonic() < until:
            time.sleep(0.1)


class ActingRayWorker(RayWorker):
    """Has such a worker."""

    def _begin(self) -> Any:
        return Acting(store=Store(self._options.results), reporter=self._mailbox)


def processes_with(mark: str) -> list[int]:
    """Return the processes, this one apart, whose environment holds `mark`."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if one.name != str(os.getpid()) and mark.encode() in (one / "environ").read_bytes():
                found.append(int(one.name))
        except OSError:  # it has ended, or is another's
            continue
    return found
