"""Requests that wait for the model, in the order they came; one thread takes them, others put them in."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from grace.serve.answer import Embedded
from grace.serve.asked import Asked
from grace.serve.settings import Role


@dataclass(slots=True, kw_only=True)
class Job:
    """One request on its way to its vectors."""

    asked: Asked
    """What it asks for."""
    role: Role | None
    """What its texts are: only texts of one role share a batch."""
    answer: Future[Embedded] = field(default_factory=Future)
    """What it gets, or the Refusal; cancelled where its client has left."""
    tokens: list[int] | None = None
    """(n,): of each text, once they were counted; None where the encoder does not say."""
    cut: list[bool] | None = None
    """(n,): whether the text is longer than the model's window; None as above."""


class Waiting:
    """A queue with a look at what stands in it; how long it may get is the business of whoever lets requests in."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many requests wait."""
        with self._changed:
            return len(self._jobs)

    def put(self, job: Job) -> None:
        """Put a request behind the others."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def put_back(self, job: Job) -> None:
        """Put a request that was taken in front of the others."""
        with self._changed:
            self._jobs.appendleft(job)

    def first(self) -> Job | None:
        """Wait for a request and take it; None once the queue is closed and empty."""
        with self._changed:
            while not self._jobs and not self._is_closed:
                self._changed.wait()
            return self._jobs.popleft() if self._jobs else None

    def like(self, job: Job, *, until: float) -> Job | None:
        """Take the next request whose texts have the role of `job`'s, waiting for it until `time.monotonic()` says so.

        Requests of another role keep their places; None where no such request came in time.
        """
        with self._changed:
            while True:
                found = next((one for one in self._jobs if one.role == job.role), None)
                if found is not None:
                    self._jobs.remove(found)
                    return found
                left = until - time.monotonic()
                if left <= 0 or self._is_closed:
                    return None
                self._changed.wait(left)

    def close(self) -> None:
        """Let the taker have what is left, and then nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
