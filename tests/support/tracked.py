"""Stand-ins for the packages of trackers: they keep what the documented calls give them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


class Kept(ModuleType):
    """A package of a tracker that keeps its calls, by the names that the package's own documentation has."""

    def __init__(self, name: str, *, fails_at: str | None = None) -> None:
        """Begin with no calls; `fails_at` names a call that raises."""
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []
        self._fails_at = fails_at
        own = {
            "trackio": ("init", "log", "finish"),
            "wandb": ("init", "log", "finish"),
            "mlflow": ("set_experiment", "start_run", "log_dict", "log_metrics", "set_tags", "end_run"),
        }
        for call in own[name]:
            setattr(self, call, self._keeping(call))

    def _keeping(self, call: str) -> Any:
        def keep(*given: Any, **named: Any) -> Kept:
            if call == self._fails_at:
                raise ConnectionError("no route to host")
            self.calls.append((call, (*given, named) if named else given))
            return self  # as wandb.init gives a run, which logs and finishes

        return keep


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **how: Any) -> Kept:
    """Put a stand-in in a package's place and return it."""
    kept = Kept(name, **how)
    monkeypatch.setitem(sys.modules, name, kept)
    monkeypatch.setattr("harness.trackers.is_installed", lambda _: object())
    return kept
