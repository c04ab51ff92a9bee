"""THE table of engines: what each scores, its backend, and the version of that backend's scoring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from harness.errors import HarnessError
from harness.tasks.types import EMBEDDING_TYPES, Axis
from harness.wording import listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine. Its backend is a folder of `harness.backends` with `evaluate.py` and `catalogue.py`."""

    distribution: str
    """The name that pip and cells know it by."""
    axis: Axis
    """Whose tasks it scores."""
    types: tuple[str, ...] | None
    """The task types it has; None: whatever type a task says it is of."""
    backend: str
    """`module:function` that scores a cell (`harness.backends.interface.Backend`)."""
    sharding: str
    """Module that makes large cells in parts (`harness.backends.interface.Sharding`)."""
    texts: str
    """`module:function` that yields the texts of a task's test data with their items."""
    catalogue: str
    """`module:function` that describes the installed engine's tasks for `catalogue.json`."""
    scoring_version: int
    """Raised when our backend changes a score; part of every key, held by golden scores in the tests."""

    def has(self, kind: str) -> bool:
        """Whether it scores tasks of type `kind`."""
        return self.types is None or kind in self.types


ENGINES = {
    row.distribution: row
    for row in (
        Engine(
            distribution="mteb",
            axis="embedding",
            types=tuple(EMBEDDING_TYPES),
            backend="harness.backends.mteb.evaluate:evaluate",
            sharding="harness.backends.mteb.sharding",
            texts="harness.backends.mteb.item_texts:item_texts",
            catalogue="harness.backends.mteb.catalogue:mteb_tasks",
            scoring_version=2,
        ),
        Engine(
            distribution="lm-eval",
            axis="ability",
            types=None,
            backend="harness.backends.lm_eval.evaluate:evaluate",
            sharding="harness.backends.lm_eval.sharding",
            texts="harness.backends.lm_eval.item_texts:item_texts",
            catalogue="harness.backends.lm_eval.catalogue:lm_eval_tasks",
            scoring_version=4,
        ),
    )
}
"""By distribution; of several that score a type the first does."""


def engine_for(axis: Axis, kind: str) -> Engine:
    """Return the engine that scores tasks of a type.

    Raises:
        HarnessError: none does; the message says what there is.
    """
    of_axis = [engine for engine in ENGINES.values() if engine.axis == axis]
    for engine in of_axis:
        if engine.has(kind):
            return engine
    there = "; ".join(f"{engine.distribution} has {listing(engine.types or ())}" for engine in of_axis)
    raise HarnessError(f"no backend for {axis} tasks of type {kind!r}; {there}")


@cache
def installed_version(engine: str) -> str:
    """Return an engine's installed version; its metadata are parsed once, not once a cell."""
    return version(engine)
