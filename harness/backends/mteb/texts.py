"""Every text that an mteb task will have encoded, training texts included; for encoders that are fitted on a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def texts_of(task: Any) -> Iterator[str]:
    """Yield the texts of a loaded task, splits and subsets in its own order, repeats included."""
    for subset in task.hf_subsets:
        data = task.dataset.get(subset, task.dataset)
        for split in task.eval_splits:
            yield from _split_texts(task, data, split)


def _split_texts(task: Any, data: Any, split: str) -> Iterator[str]:
    kind = task.metadata.type
    if kind in ("Retrieval", "Reranking"):
        yield from _documents(data[split]["corpus"])
        yield from data[split]["queries"]["text"]
    elif kind == "Classification":
        for name in dict.fromkeys((task.train_split, split)):
            yield from data[name][task.input_column_name]
    elif kind == "Summarization":
        for column in (task.human_summaries_column_name, task.machine_summaries_column_name):
            yield from (text for row in data[split][column] for text in row)
    else:
        for column in _columns(task, kind):
            for value in data[split][column]:
                yield from [value] if isinstance(value, str) else value  # version 1 kept lists in a row


def _columns(task: Any, kind: str) -> tuple[str, ...]:
    if kind == "STS":
        return tuple(task.column_names)
    if kind == "PairClassification":
        return (task.input1_column_name, task.input2_column_name)
    return (task.input_column_name,)


def _documents(corpus: Any) -> Iterator[str]:
    titles = corpus["title"] if "title" in corpus.column_names else [""] * len(corpus)
    for title, text in zip(titles, corpus["text"], strict=True):
        yield joined(title, text)


def joined(title: str | None, text: str) -> str:
    """Return a document as mteb has it encoded."""
    return f"{title or ''} {text}".strip()
