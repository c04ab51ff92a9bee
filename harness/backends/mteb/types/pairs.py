"""Pair classification, and what all pairs of texts share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from harness.backends.interface import Example
from harness.backends.mteb import counts
from harness.backends.mteb.draw import as_rows, stratified
from harness.backends.mteb.items import Captured, ExampleMaker, SubsetItems
from harness.backends.mteb.kept_texts import as_column, texts_at
from harness.backends.mteb.loaded import Bulk, Loaded, listed, streamed
from harness.tasks.custom.assemble import CustomData
from harness.tasks.types import Role

PAIR_SIMILARITIES = {
    "similarity": ("similarity_scores", 1.0),
    "cosine": ("cosine_scores", 1.0),
    "manhattan": ("manhattan_distances", -1.0),
    "euclidean": ("euclidean_distances", -1.0),
    "dot": ("dot_scores", 1.0),
}
"""Column of the items -> mteb's name for it, and its sign: larger means more alike."""
COUNTED = ("text1_statistics", "text2_statistics")
SHOWN = (16, 8)


class PairColumns(NamedTuple):
    """Where things stand."""

    texts: tuple[str, str]
    """In mteb's data."""
    gold: str
    """In the per-item results."""
    predicted: str


def items(captured: Captured) -> SubsetItems:
    """Return a row a pair: the label, and every similarity; the score is the best average precision of them."""
    from sklearn.metrics import average_precision_score

    labels = np.array(captured.rows[captured.task.label_column_name], dtype=np.int64)
    labels = labels[0] if labels.ndim == 2 else labels  # version 1 kept a whole split in one row
    if captured.main_score != "max_ap":
        why = f"{captured.main_score} is not recomputed from items"
        return captured.without_items(unit="pair", n=len(labels), why=why)
    measures = {
        name: sign * np.array(captured.predictions[key], dtype=np.float64)
        for name, (key, sign) in PAIR_SIMILARITIES.items()
    }
    return captured.found(
        unit="pair",
        n=len(labels),
        score=max(float(average_precision_score(labels, values)) for values in measures.values()),
        columns={"item": np.arange(len(labels)), "label": labels, **measures},
    )


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` pairs, labels in their proportion."""
    pairs = as_rows(loaded.rows)
    loaded.put(pairs.select(stratified(pairs[loaded.task.label_column_name], limit, rng)))
    return {"of": len(pairs), "kept": len(loaded.rows)}


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the first text of every pair, then the second of every pair."""
    return loaded.texts(*_columns(loaded.task).texts)


def bulk(loaded: Loaded, role: Role | None) -> Bulk:  # noqa: ARG001 - every type is given it
    """Return all of them."""
    return listed(lambda: texts(loaded))


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:  # noqa: ARG001 - every type is given it
    """Return the pairs and their texts."""
    return counts.as_row(statistics["num_samples"], counts.texts_in(statistics, *COUNTED))


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return both texts of the pairs."""
    return pair_texts(loaded, one, chosen, columns=_columns(loaded.task).texts)


def pair_texts(loaded: Loaded, one: SubsetItems, chosen: Sequence[int], *, columns: Sequence[str]) -> dict[str, Any]:
    """Return both texts of pairs, which stand in two `columns` of the data."""
    rows, count = as_rows(loaded.rows), len(one.columns["item"])
    return {
        f"text_{number}": as_column(texts_at(rows, column, chosen), count) for number, column in enumerate(columns, 1)
    }


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield both texts of every pair."""
    yield from texts_of_pairs(loaded, _columns(loaded.task).texts)


def texts_of_pairs(loaded: Loaded, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield the texts of pairs, which stand in two `columns` of the data, with the place of their pair."""
    for item, pair in enumerate(streamed(as_rows(loaded.rows), tuple(columns))):
        for text in pair:
            yield (item,), None, text


def task_class(data: CustomData) -> Any:  # noqa: ARG001 - as above
    """Return mteb's class as it is."""
    from mteb.abstasks import AbsTaskPairClassification

    return AbsTaskPairClassification


def examples(loaded: Loaded, one: SubsetItems, prompts: Mapping[str, str | None]) -> ExampleMaker:
    """Return what makes the example of a pair."""
    return pair_examples(loaded, one, prompts, columns=_columns(loaded.task))


def pair_examples(
    loaded: Loaded, one: SubsetItems, prompts: Mapping[str, str | None], *, columns: PairColumns
) -> ExampleMaker:
    """Return what makes the example of a pair of texts.

    Args:
        loaded: the data.
        one: its per-item results.
        prompts: role -> prefix that was used.
        columns: where texts, gold and prediction stand.
    """
    sides = [loaded.rows[name] for name in columns.texts]
    if len(loaded.rows) == 1 and isinstance(sides[0][0], list):  # version 1 kept a whole split in one row
        sides = [side[0] for side in sides]
    prefix = next(iter(prompts.values()), None)

    def make(row: int, why: str, error: float) -> Example:
        return Example(
            part=loaded.part,
            split=one.split,
            subset=one.subset,
            item=int(one.columns["item"][row]),
            why=why,
            error=error,
            gold=float(one.columns[columns.gold][row]),
            predicted=float(one.columns[columns.predicted][row]),
            texts=tuple(str(side[row]) for side in sides),
            prompts=(prefix, prefix),
        )

    return make


def _columns(task: Any) -> PairColumns:
    names = (task.input1_column_name, task.input2_column_name)
    return PairColumns(texts=names, gold="label", predicted="similarity")
