"""What runs in a Ray actor: a `Worker` that does one unit after the other, and what it tells meanwhile.

Over the wire go units, events and `Done`; what they speak of lies in the results folder.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from harness import environment
from harness.errors import HarnessError
from harness.evaluation.chatter import quiet
from harness.evaluation.events import Event
from harness.evaluation.executors.local import worker_of
from harness.evaluation.options import RunOptions
from harness.evaluation.units import Done, Unit
from harness.evaluation.worker import Worker
from harness.plan.cells import Plan

EVENTS = "events"
"""The concurrency group of `take_events`: a thread beside that of `do`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A file that the driver wrote into the results folder."""

    path: Path
    text: str
    seconds: float = 5.0
    """For it to be seen: network disks keep what they know of a folder for a while."""

    def is_seen(self) -> bool:
        """Whether it is there, as it was written."""
        until = time.monotonic() + self.seconds
        while True:
            try:
                return self.path.read_text(encoding="utf-8") == self.text
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an actor is, and what it finds there."""

    node: str
    """Its id in the cluster."""
    name: str
    """For people: host and process."""
    pid: int
    sees_results: bool
    """Whether the results folder is the driver's."""
    has_folder: bool
    """Whether the driver's working folder is there: what relative paths lead from."""
    versions: dict[str, str]
    """Of the packages that can move a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Events that nobody has fetched."""

    events: deque[Event]

    def report(self, event: Event) -> None:
        """Keep it; from the thread that does the unit."""
        self.events.append(event)

    def take(self) -> tuple[Event, ...]:
        """Return what has come so far, oldest first, and keep it no longer."""
        return tuple(self.events.popleft() for _ in range(len(self.events)))


class RayWorker:
    """The actor; made and called by `ray_actors` alone."""

    def __init__(self, plan: Plan, options: RunOptions, folder: str, threads: int) -> None:
        """Make ready for units; loads neither torch nor a model.

        Args:
            plan: of the run.
            options: with an absolute results folder.
            folder: the driver's working folder.
            threads: that torch may use.
        """
        self._plan, self._options, self._folder, self._threads = plan, options, folder, threads
        self._mailbox = Mailbox(events=deque())
        self._worker: Worker | None = None

    def hello(self, token: Token) -> Place:
        """Return where this is."""
        import ray

        return Place(
            node=ray.get_runtime_context().get_node_id(),
            name=f"{socket.gethostname()} ({ray.util.get_node_ip_address()})",
            pid=os.getpid(),
            sees_results=token.is_seen(),
            has_folder=os.path.isdir(self._folder),
            versions=environment.versions(),
        )

    def do(self, unit: Unit) -> tuple[tuple[Event, ...], Done | HarnessError]:
        """Do a unit; returns the last events of it and what came of it, or what ends the run for all."""
        worker = self._worker = self._worker or self._begin()
        try:
            done: Done | HarnessError = worker.do(unit)
        except HarnessError as error:
            done = error
        return self._mailbox.take(), done

    def take_events(self) -> tuple[Event, ...]:
        """Return what happened since this was asked last; while `do` is at work too."""
        return self._mailbox.take()

    def _begin(self) -> Worker:
        """Set up the process, once it is known to be of use."""
        if os.path.isdir(self._folder):
            os.chdir(self._folder)
        quiet(self._options.results)
        environment.settle_caches(self._options.results / "caches")
        import torch

        torch.set_num_threads(self._threads)
        return worker_of(self._plan, self._options, self._mailbox)
