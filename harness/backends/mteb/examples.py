"""Which items of a task are kept to be read: pairs and queries with their texts, a bounded, seeded sample.

Chosen while the data is loaded, and by items and seed alone (but for those with the largest error), so that every model
shows the same ones. What a model wrote about them is added by `harness.evaluation.rationale_samples`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backends.mteb.draw import generator
from harness.backends.mteb.items import SubsetItems
from harness.backends.mteb.texts import joined
from harness.statistics.item_errors import errors_of

RANDOM_PAIRS, WORST_PAIRS = 16, 8
RANDOM_QUERIES, WORST_QUERIES = 8, 4
SHOWN_DOCUMENTS = 5
"""Of each query's ranking."""
KNOWN_TEXTS = 200
"""Items whose texts are kept, so that a report can show those that differ between models."""
PAIR_TYPES = ("STS", "PairClassification")
QUERY_TYPES = ("Retrieval", "Reranking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One item, as the engine gave it to the model."""

    part: str
    split: str
    subset: str
    item: int | str
    """Row of a pair, or id of a query."""
    why: str
    """`random`, `largest error`, or `text only` where nothing but the texts is kept."""
    error: float
    """0 (best) to 1, see `harness.statistics.item_errors`."""
    gold: float | None
    """Similarity or label of a pair; None for queries."""
    predicted: float
    """Similarity of a pair; the query's own metric, 0 to 1."""
    texts: tuple[str, ...]
    """Both of a pair; a query's one."""
    documents: tuple[Document, ...] = ()
    prompts: tuple[str | None, str | None] = (None, None)
    """The prefix of the texts, and of the documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that was found for a query."""

    id: str
    score: float
    """Its similarity to the query."""
    relevance: int | None
    """As judged; None where nobody did."""
    text: str


def choose(
    task: Any, part: str, found: Sequence[SubsetItems], seed: int, prompts: Mapping[str, str | None]
) -> list[Example]:
    """Return examples of a loaded and evaluated mteb task; none for types that have neither pairs nor queries.

    Args:
        task: of mteb, with its data.
        part: its name.
        found: its per-item results.
        seed: of the suite.
        prompts: role -> prefix that was used.
    """
    kind = task.metadata.type
    if kind not in (*PAIR_TYPES, *QUERY_TYPES):
        return []
    examples: list[Example] = []
    for one in found:
        if not one.columns or one.missing:
            continue
        data = task.dataset.get(one.subset, task.dataset)[one.split]
        make = _pairs(task, kind, data, prompts) if kind in PAIR_TYPES else _queries(data, prompts)
        counts = (RANDOM_PAIRS, WORST_PAIRS) if kind in PAIR_TYPES else (RANDOM_QUERIES, WORST_QUERIES)
        rng = generator(seed, part, one.split, one.subset, "examples")
        for row, why, error in _rows(kind, one, counts, rng):
            examples.append(make(part, one, row, why, error))
    return examples


def _rows(
    kind: str, one: SubsetItems, counts: tuple[int, int], rng: np.random.Generator
) -> Iterator[tuple[int, str, float]]:
    """Yield (row, why, error): random ones, then those of the largest error, then those whose texts alone are kept."""
    errors = errors_of(kind, one.columns)
    order = [int(row) for row in rng.permutation(len(errors))]
    random, rest = order[: counts[0]], order[counts[0] :]
    worst = sorted(rest, key=lambda row: (-errors[row], row))[: counts[1]]
    taken = {*random, *worst}
    others = [row for row in rest if row not in taken][: KNOWN_TEXTS - len(taken)]
    for rows, why in ((random, "random"), (worst, "largest error"), (others, "text only")):
        for row in sorted(rows):
            yield row, why, float(errors[row])


Maker = Callable[[str, SubsetItems, int, str, float], Example]


def _pairs(task: Any, kind: str, data: Any, prompts: Mapping[str, str | None]) -> Maker:
    names = tuple(task.column_names) if kind == "STS" else (task.input1_column_name, task.input2_column_name)
    columns = [data[name] for name in names]
    if len(data) == 1 and isinstance(columns[0][0], list):  # version 1 kept a whole split in one row
        columns = [column[0] for column in columns]
    prefix = next(iter(prompts.values()), None)
    gold, predicted = ("gold", "cosine") if kind == "STS" else ("label", "similarity")

    def make(part: str, one: SubsetItems, row: int, why: str, error: float) -> Example:
        return Example(
            part=part,
            split=one.split,
            subset=one.subset,
            item=int(one.columns["item"][row]),
            why=why,
            error=error,
            gold=float(one.columns[gold][row]),
            predicted=float(one.columns[predicted][row]),
            texts=tuple(str(column[row]) for column in columns),
            prompts=(prefix, prefix),
        )

    return make


def _queries(data: Any, prompts: Mapping[str, str | None]) -> Maker:
    queries = dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    corpus = data["corpus"]
    places = {name: place for place, name in enumerate(corpus["id"])}
    judged = data["relevant_docs"]

    def document(query: str, name: str, score: float) -> Document:
        row = corpus[places[name]]
        relevance = judged.get(query, {}).get(name)
        text = joined(row.get("title"), row["text"])
        return Document(id=name, score=float(score), relevance=None if relevance is None else int(relevance), text=text)

    def make(part: str, one: SubsetItems, row: int, why: str, error: float) -> Example:
        query = str(one.columns["query"][row])
        found = zip(one.columns["top_documents"][row], one.columns["top_scores"][row], strict=True)
        shown = list(found)[: 0 if why == "text only" else SHOWN_DOCUMENTS]
        return Example(
            part=part,
            split=one.split,
            subset=one.subset,
            item=query,
            why=why,
            error=error,
            gold=None,
            predicted=float(one.columns["score"][row]),
            # Merged subqueries (MindSmallReranking) have no text of their own.
            texts=(str(queries[query]),) if query in queries else (),
            documents=tuple(document(query, name, score) for name, score in shown) if query in queries else (),
            prompts=(prompts.get("query"), prompts.get("document")),
        )

    return make
