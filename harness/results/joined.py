"""Two results folders read as one, for the items of cells that are in either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import InputError
from harness.results.records import Score
from harness.results.store import Store


class JoinedStore(Store):
    """A results folder that finds the items of another one's cells too, for differences between the two."""

    def __init__(self, first: Store, second: Store) -> None:
        """Write to `first`, read from both."""
        super().__init__(first.root)
        self._both = (first, second)

    def items_of(self, score: Score, wanted: Callable[[str], bool] | None = None) -> Any | None:
        """Return the cell's per-item results from whichever folder has them; raises InputError where none does."""
        if score.items is None:
            return None
        having = [one for one in self._both if (one.root / "cells" / score.task / score.items.name).is_file()]
        for store in having[:-1]:
            try:
                return store.items_of(score, wanted)
            except InputError:
                continue  # the other folder's file of that key, from another run
        return (having or [self._both[0]])[-1].items_of(score, wanted)
