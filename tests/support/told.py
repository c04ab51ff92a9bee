"""A reporter that keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable

from harness.evaluation.events import Event, Remark


class Told:
    """Keeps what it is told, and does something at it."""

    def __init__(self, act: Callable[[Event], None] = lambda _: None) -> None:
        self.events: list[Event] = []
        self.act = act

    def report(self, event: Event) -> None:
        """Take note."""
        self.events.append(event)
        self.act(event)

    def of(self, kind: type) -> list[Event]:
        """Return the events of a kind."""
        return [one for one in self.events if isinstance(one, kind)]

    def remarks(self) -> list[str]:
        """Return what was said besides results."""
        return [one.text for one in self.events if isinstance(one, Remark)]
