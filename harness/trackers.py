"""Metrics to trackio, Weights & Biases or MLflow, where a run asks for it; the only file that knows these packages.

A run never waits for a tracker and never fails by one: a thread of its own makes the calls, and what goes wrong there
is said once. Where values go, and whether they leave the machine, is as each package's own settings say: WANDB_MODE,
MLFLOW_TRACKING_URI, TRACKIO_SPACE_ID and the like.
"""

from __future__ import annotations

import queue
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module
from typing import Any, Literal, Protocol

from harness.environment import is_installed
from harness.errors import EnvironmentGapError, InputError
from harness.wording import did_you_mean, listing

TrackerName = Literal["trackio", "wandb", "mlflow"]
MOST_WAITING = 1000
"""Calls that may wait for a tracker; what comes on top is left out, and that is said."""
LAST_SECONDS = 30.0
"""How long the end of a run waits for what is still to be sent."""


class Tracker(Protocol):
    """Where metrics go beside a run's own files."""

    def begin(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run: the group of runs it belongs to, its own name, and what it is told, as plain data."""

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers and words by name; steps grow."""

    def end(self) -> None:
        """End the run."""


class Trackio:
    """trackio, the package."""

    def __init__(self) -> None:
        """Import the package."""
        self._package = import_module("trackio")

    def begin(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run; where the package keeps it is its own business."""
        self._package.init(project=project, name=name, config=dict(config))

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log values as they are."""
        self._package.log(dict(values), step=step)

    def end(self) -> None:
        """End the run."""
        self._package.finish()


class Wandb:
    """Weights & Biases."""

    def __init__(self) -> None:
        """Import the package."""
        self._package = import_module("wandb")
        self._run: Any = None

    def begin(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run, online or not as WANDB_MODE says."""
        self._run = self._package.init(project=project, name=name, config=dict(config))

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log values as they are."""
        self._run.log(dict(values), step=step)

    def end(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()


class Mlflow:
    """MLflow: numbers are metrics, words are tags, what the run is told is the artifact config.json."""

    def __init__(self) -> None:
        """Import the package."""
        self._package = import_module("mlflow")

    def begin(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run where MLFLOW_TRACKING_URI says."""
        self._package.set_experiment(project)
        self._package.start_run(run_name=name)
        self._package.log_dict(dict(config), "config.json")

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers as metrics and words as tags; characters that MLflow does not take in a name become `_`."""
        named = {re.sub(r"[^\w./ -]", "_", name, flags=re.ASCII): value for name, value in values.items()}
        numbers = {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
        words = {name: value for name, value in named.items() if isinstance(value, str)}
        if numbers:
            self._package.log_metrics(numbers, step=step)
        if words:
            self._package.set_tags(words)

    def end(self) -> None:
        """End the run."""
        self._package.end_run()


TRACKERS: dict[str, Callable[[], Tracker]] = {"trackio": Trackio, "wandb": Wandb, "mlflow": Mlflow}
"""Name, which is the package's too -> how it is made."""


def check_tracker(name: str | None) -> None:
    """Refuse a tracker that cannot be used; imports nothing.

    Args:
        name: of `TRACKERS`; None: nothing is tracked.

    Raises:
        InputError: there is none of that name.
        EnvironmentGapError: its package is not installed.
    """
    if name is None:
        return
    if name not in TRACKERS:
        raise InputError([f"--track {name!r}: expected {listing(TRACKERS)}{did_you_mean(name, TRACKERS)}"])
    if not is_installed(name):
        raise EnvironmentGapError([f"--track {name} needs a package that is not installed: pip install {name}"])


@contextmanager
def speaking_aside(name: str | None) -> Iterator[None]:
    """Send what is printed inside the block to standard error where there is a tracker: packages greet on output."""
    with redirect_stdout(sys.stderr) if name is not None else nullcontext():
        yield


class Tracking:
    """One run's values on their way to a tracker, or to nowhere; never in the run's way."""

    def __init__(self, name: str | None, say: Callable[[str], None]) -> None:
        """Track to `name`, checked by `check_tracker`, or nowhere for None; `say` is given a line where that fails."""
        self._name, self._say = name, say
        self._calls: queue.Queue[Callable[[Tracker], None] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._problem: str | None = None
        self._is_told = False

    def begin(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run; arguments as of `Tracker.begin`."""
        if self._name is not None:
            self._thread.start()
            self._put(lambda tracker: tracker.begin(project, name, config))

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log values of a step; None among them is left out."""
        kept = {key: value for key, value in values.items() if value is not None}
        self._put(lambda tracker: tracker.log(kept, step))

    def end(self) -> None:
        """End the run, and wait a while for what is still to be sent."""
        if self._name is None or not self._thread.is_alive():
            self._tell()
            return
        try:
            self._calls.put(lambda tracker: tracker.end(), timeout=LAST_SECONDS)
            self._calls.put(None, timeout=LAST_SECONDS)
            self._thread.join(LAST_SECONDS)
        except queue.Full:
            pass
        if self._thread.is_alive():
            self._problem = self._problem or f"it did not take everything within {LAST_SECONDS:.0f} s"
        self._tell()

    def _put(self, call: Callable[[Tracker], None]) -> None:
        if self._name is None:
            return
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._problem = self._problem or "it is too slow"
        self._tell()

    def _tell(self) -> None:
        """Say once what went wrong, in the caller's thread."""
        if self._problem is not None and not self._is_told:
            self._is_told = True
            self._say(f"--track {self._name}: {self._problem}; the run goes on, and what is tracked is incomplete")

    def _work(self) -> None:
        """Make the calls, in this thread alone: MLflow keeps a run a thread."""
        tracker: Tracker | None = None
        while (call := self._calls.get()) is not None:
            try:
                if tracker is None:
                    if self._problem is not None:
                        continue  # it never began
                    made = TRACKERS[str(self._name)]()
                    call(made)
                    tracker = made
                else:
                    call(tracker)
            except Exception as error:  # noqa: BLE001 - whatever a tracker's code says, the run goes on
                self._problem = self._problem or f"{type(error).__name__}: {error}"[:300]
