"""The rationale view: what a model wrote about single items, what each token adds, and which items flipped.

Reads the side files of cells (`harness.results.rationale_file`) and per-item results; what a page can hold is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.report.sections.rationale_sides import Side, side_of
from harness.report.sections.section import Report
from harness.results import rationale_file
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.results.store import Store
from harness.statistics.item_errors import ITEM_ERRORS, ItemError
from harness.statistics.item_values import is_value
from harness.summary.views import CellView, Summary
from harness.tasks.types import EMBEDDING_TYPES

TOKENS_IN_PAGE = 24_000
"""Of all examples together: some 40 bytes each."""
FLIP = 0.25
"""An item has flipped where its error moved by so much."""
SHOWN_FLIPS = 5
"""Of each direction."""
Place = tuple[str, str, str, str]
"""(part, split, subset, item)."""


class ItemResult(NamedTuple):
    """One model on one item."""

    value: float
    """Similarity of a pair, metric of a query."""
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A document that was found for a query."""

    rank: int
    id: str
    score: float
    relevance: int | None
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """One item."""

    item: str
    why: str
    gold: float | None
    predicted: float
    error: float
    base_error: float | None
    others: tuple[tuple[str, ItemResult], ...]
    """The other models on the same item."""
    sides: tuple[Side, ...]
    documents: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An item whose error moved."""

    item: str
    texts: tuple[str, ...]
    """Empty where they were not kept."""
    base_error: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CellExamples:
    """The examples of one cell."""

    model: str
    task: str
    type: str
    is_pairs: bool
    error_said: str
    examples: tuple[ExampleView, ...]
    stored: int
    """Examples in the file; the page may hold fewer."""
    baseline: str | None
    n: int
    """Items both this model and the baseline have."""
    fixed: int
    broken: int
    flips_fixed: tuple[Flip, ...] = ()
    flips_broken: tuple[Flip, ...] = field(default=())


def examples_of(report: Report) -> list[CellExamples]:
    """Return the examples of every cell that kept some, largest error first; none without a results folder.

    Raises:
        InputError: a file is not the one its cell names.
    """
    summary, store = report.summary, report.store
    if store is None or not report.with_texts:
        return []
    kept = [
        (view, rationale_file.read(store.side_of(view.score, about)))
        for view in summary.cells.values()
        if view.score is not None and (about := facts_of(view.score).rationale_samples)
    ]
    allowed = _share_out([[_tokens_of(one) for one in _by_error(record)] for _, record in kept])
    items: dict[tuple[str, str], dict[Place, ItemResult]] = {}
    for view, _ in kept:
        for model in summary.models:
            place = (model, view.cell.task.name)
            score = summary.cells[place].score
            if score is not None and place not in items:
                items[place] = _items(store, score)
    return [
        _cell(summary, view, record, count, items=items) for (view, record), count in zip(kept, allowed, strict=True)
    ]


def _share_out(sizes: Sequence[Sequence[int]]) -> list[int]:
    """Return how many examples of each cell fit the page, taking one of each cell in turn."""
    counts, left = [0] * len(sizes), TOKENS_IN_PAGE
    for turn in range(max((len(one) for one in sizes), default=0)):
        for cell, one in enumerate(sizes):
            if turn < len(one) and counts[cell] == turn and one[turn] <= left:
                counts[cell] += 1
                left -= one[turn]
    return counts


def _by_error(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the examples, a random and a wrong one in turn so that what is cut off is not all of one kind."""
    random = [one for one in record["examples"] if one["why"] == "random"]
    worst = sorted((one for one in record["examples"] if one["why"] != "random"), key=lambda one: -one["error"])
    turns = max(len(random), len(worst))
    return [one for turn in range(turns) for one in (*random[turn : turn + 1], *worst[turn : turn + 1])]


def _tokens_of(example: Mapping[str, Any]) -> int:
    return sum(len(side.get("tokens") or ()) for side in (*example["texts"], *example["documents"]))


def _items(store: Store, score: Score) -> dict[Place, ItemResult]:
    """Return every item's value and error of a cell."""
    judged = _judged(score.type)
    table = store.items_of(score, is_value)
    if table is None or judged is None:
        return {}
    frame = table.to_pandas(use_threads=False)
    found: dict[Place, ItemResult] = {}
    name = "query" if "query" in frame.columns else "item"
    for (part, split, subset), rows in frame.groupby(["part", "split", "subset"], observed=True, sort=True):
        columns = {column: rows[column].to_numpy() for column in rows.columns}
        for item, value, error in zip(columns[name], columns[judged.value], judged.of(columns), strict=True):
            found[part, split, subset, str(item)] = ItemResult(float(value), float(error))
    return found


def _judged(kind: str) -> ItemError | None:
    """Return how items of a task type are judged; None where they are not shown one by one."""
    row = EMBEDDING_TYPES.get(kind)
    return ITEM_ERRORS[row.item_error] if row and row.item_error else None


def _cell(
    summary: Summary,
    view: CellView,
    record: Mapping[str, Any],
    count: int,
    *,
    items: Mapping[tuple[str, str], Mapping[Place, ItemResult]],
) -> CellExamples:
    """Return `count` examples of a cell; `items` has what each model made of its task."""
    model, task, kind = view.cell.model, view.cell.task.name, view.cell.task.type
    baseline = summary.baseline if summary.baseline != model else None
    own, base = items.get((model, task), {}), items.get((baseline or "", task), {})
    others = [(name, items[name, task]) for name in summary.models if name != model and (name, task) in items]
    judged = _judged(kind)
    flips = _flips(own, base, {_place(one): tuple(one["texts"]) for one in record["texts"]})
    fixed = [one for one in flips if one.error < one.base_error]
    broken = [one for one in flips if one.error > one.base_error]
    shown = sorted(_by_error(record)[:count], key=lambda one: (-one["error"], str(one["item"])))
    return CellExamples(
        model=model,
        task=view.cell.task.label,
        type=kind,
        is_pairs=not any(one["documents"] for one in record["examples"]),
        error_said=judged.said if judged else "",
        examples=tuple(_example(one, base, others) for one in shown),
        stored=len(record["examples"]),
        baseline=baseline if base else None,
        n=sum(place in base for place in own),
        fixed=len(fixed),
        broken=len(broken),
        flips_fixed=_to_read(fixed),
        flips_broken=_to_read(broken),
    )


def _flips(
    own: Mapping[Place, ItemResult], base: Mapping[Place, ItemResult], texts: Mapping[Place, tuple[str, ...]]
) -> list[Flip]:
    """Return the items whose error moved, the largest move first."""
    moves = {place: own[place].error - base[place].error for place in own if place in base}
    moved = sorted((place for place, move in moves.items() if abs(move) >= FLIP), key=lambda place: -abs(moves[place]))
    return [
        Flip(item=place[3], texts=texts.get(place, ()), base_error=base[place].error, error=own[place].error)
        for place in moved
    ]


def _to_read(flips: Sequence[Flip]) -> tuple[Flip, ...]:
    return tuple(one for one in flips if one.texts)[:SHOWN_FLIPS]


def _place(one: Mapping[str, Any]) -> Place:
    return one["part"], one["split"], one["subset"], str(one["item"])


def _example(
    one: Mapping[str, Any],
    base: Mapping[Place, ItemResult],
    others: Sequence[tuple[str, Mapping[Place, ItemResult]]],
) -> ExampleView:
    place = _place(one)
    return ExampleView(
        item=str(one["item"]),
        why=one["why"],
        gold=one["gold"],
        predicted=one["predicted"],
        error=one["error"],
        base_error=base[place].error if place in base else None,
        others=tuple((name, found[place]) for name, found in others if place in found),
        sides=tuple(side_of(side) for side in one["texts"]),
        documents=tuple(
            Found(
                rank=rank,
                id=side["id"],
                score=side["score"],
                relevance=side["relevance"],
                side=side_of(side),
            )
            for rank, side in enumerate(one["documents"], 1)
        ),
    )
