"""Per-item results of one split and subset of an mteb task, and what they are made from.

The score is recomputed from the items; the figure of mteb stands beside them only where `missing` says why not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.backends.interface import Example
from harness.backends.mteb.loaded import Loaded
from harness.statistics.items import ItemStatistic

SIMILARITY_ROUNDING = 5e-7
"""How far cosines of one pair of float32 vectors may lie apart: four units in the last place of 1."""


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
    left_out: Mapping[str, Any] = field(default_factory=dict)
    """Items that the engine left out (`harness.results.facts.LeftOut`); empty where the score is over all."""

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


def why_no_correlation(columns: Mapping[str, Any]) -> str | None:
    """Return why gold scores and similarities cannot be correlated, or None where they can.

    Similarities that differ by rounding alone are equal too: their order is that of the last digits of a product, and
    a correlation with it would be a number about nothing.

    Args:
        columns: of per-item results; those of other tasks than pairs with a gold score always can.
    """
    for name, said, rounding in (("cosine", "similarities", SIMILARITY_ROUNDING), ("gold", "gold scores", 0.0)):
        values = columns.get(name) if "gold" in columns else None
        if values is not None and len(values) > 1 and float(max(values) - min(values)) <= rounding:
            equal = "equal" if max(values) == min(values) else "equal but for rounding"
            return f"all {len(values)} {said} are {equal}, so that no rank correlation exists"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rankings:
    """What is kept of the rankings of all queries, which would fill the memory."""

    values: Mapping[str, float] | None = field(default_factory=dict)
    """Query -> main metric; None where the metric is no mean over queries."""
    top: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    """Query -> its best documents with their similarities, best first."""


ExampleMaker = Callable[[int, str, float], Example]
"""Row of the items, why it is shown, its error -> the example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured(Loaded):
    """One split and subset after its evaluation, with what mteb computed on the way."""

    scores: Mapping[str, Any]
    """mteb's figures."""
    predictions: Any
    """What mteb hands over to be saved; None for ranking tasks."""
    rankings: Rankings
    """Empty for all but ranking tasks."""
    random_state: Any
    """Of the task's own generator before the evaluation; clustering draws texts with it."""
    seeds: Sequence[Mapping[str, float]]
    """Of each clustered set: column -> score under another k-means seed; empty for everything else."""
    vectors: Any
    """(n, d) of the pool that newer clustering draws from; None for everything else."""
    ratings: Any = None
    """Of every document's summaries, as mteb's evaluator was given them; None for everything but summarization."""

    @property
    def main_score(self) -> str:
        """Name of the task's main metric."""
        return str(self.task.metadata.main_score)

    def found(self, *, unit: str, n: int, score: float, columns: dict[str, Any]) -> SubsetItems:
        """Return the items that recompute the score.

        Args:
            unit: what an item is.
            n: how many there are.
            score: what they make, 0 to 1.
            columns: name -> values, a row an item (or a part of one).
        """
        return SubsetItems(split=self.split, subset=self.subset, unit=unit, n=n, score=score, columns=columns)

    def without_items(self, *, unit: str, n: int, why: str) -> SubsetItems:
        """Return mteb's figure alone, and `why` no items recompute it."""
        score = float(self.scores["main_score"])
        return SubsetItems(split=self.split, subset=self.subset, unit=unit, n=n, score=score, missing=why)
