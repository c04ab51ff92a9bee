"""Jobs with dependencies, on a few processes of the project: each is finished already, or is a command that resumes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training or evaluation."""

    name: str
    needs: tuple[str, ...] = ()
    is_done: Callable[[], bool]
    command: Callable[[], list[str]]
    """Arguments after `python -m`; asked when the job begins."""


def done_file(folder: Path, name: str) -> Path:
    """Return the file that says that a job ended well: a report is written where cells failed, too."""
    return folder / "logs" / f"{name}.done"


class Jobs:
    """Runs jobs in their order, as many at a time as there are workers, each when what it needs is done."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Commands run in `folder`; what they print goes to `folder`/logs."""
        self._folder, self._workers = folder, workers
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(path)}
        self._lock = threading.Condition()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped = False
        self.failed: dict[str, int] = {}

    def run(self, jobs: Sequence[Job]) -> None:
        """Run what is not done; a job whose needs failed is left out, and so is what needs it.

        Raises:
            KeyboardInterrupt: after the commands that were running have written their checkpoints.
        """
        waiting = [job for job in jobs if not job.is_done()]
        print(f"{len(jobs)} jobs, {len(jobs) - len(waiting)} done already", flush=True)
        open_names = {job.name for job in waiting}
        threads = [threading.Thread(target=self._work, args=(waiting, open_names)) for _ in range(self._workers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)
        except (KeyboardInterrupt, SystemExit):
            self._stop()
            for thread in threads:
                thread.join()
            raise KeyboardInterrupt from None

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running.values():
                process.terminate()
            self._lock.notify_all()

    def _work(self, waiting: list[Job], open_names: set[str]) -> None:
        while (job := self._next(waiting, open_names)) is not None:
            code = self._call(job)
            with self._lock:
                if code and not self._stopped:
                    self.failed[job.name] = code
                if code == 0:
                    open_names.discard(job.name)
                self._lock.notify_all()

    def _next(self, waiting: list[Job], open_names: set[str]) -> Job | None:
        """Take the first job that may begin; waits for one, and returns None where there will be none."""
        with self._lock:
            while not self._stopped:
                ready = next((job for job in waiting if not open_names.intersection(job.needs)), None)
                if ready is not None:
                    waiting.remove(ready)
                    return ready
                if not waiting or not self._running:
                    return None
                self._lock.wait()
        return None

    def _call(self, job: Job) -> int:
        began = time.monotonic()
        with (self._folder / "logs" / f"{job.name}.log").open("ab") as log:
            with self._lock:
                if self._stopped:
                    return ExitCode.INTERRUPTED
                process = subprocess.Popen(
                    [sys.executable, "-m", *job.command()],
                    cwd=self._folder,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                )
                self._running[job.name] = process
            code = process.wait()
        with self._lock:
            del self._running[job.name]
        if code == 0:
            done_file(self._folder, job.name).touch()
        said = "done" if code == 0 else f"ended with exit code {code}: logs/{job.name}.log says why"
        print(f"{time.strftime('%H:%M:%S')} {job.name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
        return code
