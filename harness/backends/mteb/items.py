"""Per-item results of an mteb task, and the score recomputed from them.

mteb hands predictions to `_save_task_predictions` and per-query metrics to `task_specific_scores`; both are replaced on
the task instance for the time of one evaluation, so nothing is dumped as JSON (a thousand documents a query) and parsed
again. tests/backends/test_mteb_seams.py holds both seams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.statistics.items import ItemStatistic


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetItems:
    """The per-item results of one split and subset."""

    split: str
    subset: str
    unit: str
    """What an item is."""
    n: int
    score: float
    """The main metric recomputed from the items (0 to 1), or the engine's where `missing` says why not."""
    statistic: ItemStatistic | None = None
    """The main metric over resampled items; None where there is no such thing."""
    columns: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None

    def table(self, part: str) -> Any:
        """Return the rows as a pyarrow Table with part, split and subset in front."""
        import pyarrow as pa

        rows = len(next(iter(self.columns.values())))
        named = {"part": [part] * rows, "split": [self.split] * rows, "subset": [self.subset] * rows}
        table = pa.table({**named, **self.columns})
        for name in named:
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table[name].dictionary_encode())
        return table


def without_items(split: str, subset: str, unit: str, n: int, scores: Mapping[str, Any], why: str) -> SubsetItems:
    score = float(scores["main_score"])
    return SubsetItems(split=split, subset=subset, unit=unit, n=n, score=score, missing=why)
