"""Semantic textual similarity: pairs of texts against a graded gold score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.backends.mteb import counts
from harness.backends.mteb.draw import limit_rows
from harness.backends.mteb.items import Captured, ExampleMaker, SubsetItems
from harness.backends.mteb.loaded import Bulk, Loaded, listed
from harness.backends.mteb.types.pairs import COUNTED, SHOWN, PairColumns, pair_examples, pair_texts, texts_of_pairs
from harness.errors import HarnessError
from harness.tasks.custom.assemble import CustomData
from harness.tasks.types import Role

FEWEST = 2
"""Pairs that can be ranked."""
__all__ = ["SHOWN", "count", "examples", "item_texts", "items", "limit", "readable", "task_class", "texts"]


def items(captured: Captured) -> SubsetItems:
    """Return a row a pair: gold score and cosine; the score is their rank correlation."""
    from scipy.stats import spearmanr

    gold = np.array(captured.rows["score"], dtype=np.float64)
    cosine = np.array(captured.predictions["cosine_scores"], dtype=np.float64)
    return captured.found(
        unit="pair",
        n=len(gold),
        score=float(spearmanr(gold, cosine)[0]),
        columns={"item": np.arange(len(gold)), "gold": gold, "cosine": cosine},
    )


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` pairs; HarnessError where that is one alone."""
    if limit < FEWEST:
        raise HarnessError(f"task {loaded.part!r}: limit {limit}: a rank correlation needs {FEWEST} pairs at least")
    return limit_rows(loaded, limit, rng)


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the first text of every pair, then the second of every pair."""
    return loaded.texts(*loaded.task.column_names)


def bulk(loaded: Loaded, role: Role | None) -> Bulk:  # noqa: ARG001 - every type is given it
    """Return all of them."""
    return listed(lambda: texts(loaded))


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:  # noqa: ARG001 - every type is given it
    """Return the pairs and their texts."""
    return counts.as_row(statistics["num_samples"], counts.texts_in(statistics, *COUNTED))


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return both texts of the pairs."""
    return pair_texts(loaded, one, chosen, columns=loaded.task.column_names)


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield both texts of every pair."""
    yield from texts_of_pairs(loaded, loaded.task.column_names)


def task_class(data: CustomData) -> Any:
    """Return mteb's class with the range of the gold scores."""
    from mteb.abstasks import AbsTaskSTS

    low, high = data.score_range
    return type("STSInRange", (AbsTaskSTS,), {"min_score": low, "max_score": high})


def examples(loaded: Loaded, one: SubsetItems, prompts: Mapping[str, str | None]) -> ExampleMaker:
    """Return what makes the example of a pair."""
    first, second = loaded.task.column_names
    columns = PairColumns(texts=(first, second), gold="gold", predicted="cosine")
    return pair_examples(loaded, one, prompts, columns=columns)
