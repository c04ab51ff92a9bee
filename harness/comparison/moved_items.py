"""What is shown of an item that moved: its texts, what is right, and what each of two models made of it.

From the rows of per-item results (docs/results.md) to plain data; which kind an item is, its columns say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

Row = Mapping[str, Any]
ANSWER_CHARACTERS = 300
"""Longest answer shown."""
SHOWN_PREDICTIONS = 3
"""Labels that were predicted most often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that was found for a query, or should have been."""

    id: str
    rank: int | None = None
    """From 1; None where it is named for being relevant."""
    score: float | None = None
    """Its similarity to the query."""
    relevance: int | None = None
    """As judged; None where nobody did, or nothing is kept of it."""
    text: str | None = None
    """Title and first words; None where they are not kept, or left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a model made of an item."""

    value: float
    said: str = ""
    """In words."""
    documents: tuple[Document, ...] = ()
    """Best first."""


class Text(NamedTuple):
    """A text of an item."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An item that moved."""

    item: str
    where: str
    """Part, split and subset; empty where the task has one of them."""
    change: float
    """First model's value minus the other's."""
    gold: str
    """What is right; empty where that says nothing."""
    texts: tuple[Text, ...]
    """Empty where they are not kept, or left out."""
    relevant: tuple[Document, ...]
    """Documents judged most relevant."""
    a: Made
    b: Made


class Item(NamedTuple):
    """What is known of an item that moved."""

    name: str
    where: str
    change: float
    values: tuple[float, float]
    of_texts: list[tuple[float, float]]
    """Of the texts of a set that are shown, each model's value."""
    rows: tuple[list[Row], list[Row]]
    """Of both models' results: one each, or those of the texts of a set."""


def moved_item(item: Item, metric: str, *, with_texts: bool) -> Moved:
    """Return what is shown of an item.

    Args:
        item: its values and rows.
        metric: of the task.
        with_texts: with what is text of the data: questions, documents, gold answers and those of a model.
    """
    own, base = (rows[0] if rows else {} for rows in item.rows)
    a, b = (_made(row, value, metric, with_texts) for row, value in zip((own, base), item.values, strict=True))
    return Moved(
        item=f"query {item.name}" if "query" in own else item.name if "set" in own else f"item {item.name}",
        where=item.where,
        change=item.change,
        gold=_gold(own, with_texts),
        texts=tuple(_texts(own, base, item)) if with_texts else (),
        relevant=_relevant(own, with_texts),
        a=a,
        b=b,
    )


def _made(row: Row, value: float, metric: str, with_texts: bool) -> Made:
    if "top_documents" in row:
        return Made(value=value, said=f"{metric} {value:.3f}", documents=_found(row, with_texts))
    return Made(value=value, said=_said(row, value, metric, with_texts))


def _said(row: Row, value: float, metric: str, with_texts: bool) -> str:
    off = f"{100 * (1 - value):.0f}%"
    if "cosine" in row and "gold" in row:
        return f"cosine {row['cosine']:.3f}, its rank {off} of all ranks from that of the gold score"
    if "similarity" in row:
        return f"similarity {row['similarity']:.3f}, on the wrong side of {off} of the pairs of the other label"
    if "cluster" in row:
        return f"V-measure {value:.3f}" if "set" in row else f"B-cubed F {value:.3f}"
    if guesses := [row[name] for name in row if name.startswith("prediction_") and row[name] is not None]:
        common = Counter(map(str, guesses)).most_common(SHOWN_PREDICTIONS)
        return "predicted " + ", ".join(f"{label} ({count} of {len(guesses)})" for label, count in common)
    if "human" in row:
        return f"correlation with the ratings {value:.3f}"
    if "nll" in row:
        return f"{value:.4f} nats per token over {row['tokens']} tokens"
    return f"{metric} {value:.3f}" + (f", answered: {_answer(row)}" if with_texts and "answers" in row else "")


def _answer(row: Row) -> str:
    """Return what was answered, or what a filter took out of it."""
    filtered = [str(row[name]) for name in row if name.startswith("filtered,") and row[name] is not None]
    said = " | ".join(map(str, row["answers"] or ()))
    taken = ", ".join(one for one in dict.fromkeys(filtered) if one not in said)
    return " ".join((f"{said} (taken: {taken})" if taken else said).split())[:ANSWER_CHARACTERS]


def _gold(row: Row, with_texts: bool) -> str:
    if "top_documents" in row:
        count = row.get("relevant")
        return "" if count is None else f"{count} relevant document{'s' if count != 1 else ''}"
    if "gold" in row:
        return f"gold score {row['gold']:g}"
    if "label" in row and "set" not in row:
        return f"label {row['label']}"
    if "target" in row and with_texts:
        return f"right: {' '.join(str(row['target']).split())[:ANSWER_CHARACTERS]}"
    return ""


def _texts(own: Row, base: Row, item: Item) -> list[Text]:
    """Return the texts of an item, those that are not kept left out."""
    if "set" in own:
        return [
            Text(f"label {row['label']}, B-cubed F {a:.2f} against {b:.2f}", row["text"])
            for row, (a, b) in zip(item.rows[0], item.of_texts, strict=True)
            if row.get("text")
        ]
    if own.get("summaries"):
        rated = zip_longest(own["summaries"], own["human"], own["cosine"], base.get("cosine") or ())
        said = [
            (f"rated {human:g}, cosine {a:.3f} against {b:.3f}", text) for text, human, a, b in rated if b is not None
        ]
        return [Text("A human's summary", own["human_summary"]), *(Text(*one) for one in said)]
    named = (
        ("query_text", "Query"),
        ("text_1", "Text 1"),
        ("text_2", "Text 2"),
        ("text", "Text"),
        ("question", "Question"),
        ("prompt", "Question"),
    )
    return [Text(name, str(own[column])) for column, name in named if own.get(column)]


def _found(row: Row, with_texts: bool) -> tuple[Document, ...]:
    names: Sequence[str] = row["top_documents"] or ()
    scores, texts = row.get("top_scores") or (), (row.get("top_texts") or ()) if with_texts else ()
    rows = zip_longest(names, scores, row.get("top_relevance") or (), texts)
    return tuple(
        Document(id=str(name), rank=rank, score=score, relevance=relevance, text=text)
        for rank, (name, score, relevance, text) in enumerate(rows, 1)
    )


def _relevant(row: Row, with_texts: bool) -> tuple[Document, ...]:
    names, texts = row.get("relevant_documents") or (), (row.get("relevant_texts") or ()) if with_texts else ()
    return tuple(Document(id=str(name), text=text) for name, text in zip_longest(names, texts))
