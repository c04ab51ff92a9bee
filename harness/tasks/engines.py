"""THE table of engines: distribution, scoring version, module:function of the backend."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

BACKENDS = {"mteb": "harness.backends.mteb.evaluate:evaluate", "lm-eval": "harness.backends.lm_eval.evaluate:evaluate"}


def engines() -> tuple[str, ...]:
    """Return the engines that have a backend."""
    return tuple(BACKENDS)


BACKEND_SCORING_VERSION = {"mteb": 2, "lm-eval": 3}
"""Raised when our backend code changes a score; part of every key, held by golden scores in the tests."""


@cache
def installed_version(engine: str) -> str:
    """Return an engine's installed version; its metadata are parsed once, not once a cell."""
    return version(engine)
