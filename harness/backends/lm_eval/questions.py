"""Progress in questions: lm-eval asks a model several requests for one, a choice each or an answer each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Questions:
    """Tells of questions that are done, told of requests."""

    def __init__(self, on_done: Callable[[int], None]) -> None:
        """Call `on_done` with the number of questions finished."""
        self._on_done = on_done
        self._requests = self._questions = 0
        self._done = self._told = 0

    def expect(self, requests: Sequence[Any]) -> None:
        """Take note of the requests that come next, of lm-eval's `Instance`."""
        self._requests, self._done, self._told = len(requests), 0, 0
        self._questions = len({(one.task_name, one.doc_id) for one in requests})

    def done(self, requests: int) -> None:
        """Take note of requests that are finished; those of one question may not come together, so shares count."""
        self._done += requests
        now = self._questions * self._done // max(self._requests, 1)
        if now > self._told:
            self._on_done(now - self._told)
            self._told = now
