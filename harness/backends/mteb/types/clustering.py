"""Clustering: items, limit."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.backends.mteb.draw import draw_rows, stratified
from harness.tasks.limits import TEXTS_PER_LABEL, TEXTS_PER_SET


def nested_labels(labels: Any) -> list[list[Any]]:
    return [label if isinstance(label, list) else [label] for label in labels]


def limit_clustering(task: Any, data: Any, limit: int, rng: np.random.Generator) -> Any:
    from datasets import Dataset

    inputs, labels = task.input_column_name, task.label_column_name
    if not (len(data) and isinstance(data[0][inputs], list)):  # the faster tasks: a text a row
        names = [str(label) for label in data[labels]]
        task.max_fraction_of_documents_to_embed = None
        task.max_document_to_embed = None
        return data.select(_texts_of_some_labels(names, limit, rng))
    sets = max(1, min(len(data), limit // TEXTS_PER_SET))
    kept = []
    for index in sorted(draw_rows(rng, len(data), sets)):
        row = data[index]
        places = _texts_of_some_labels([str(label) for label in row[labels]], limit // sets, rng)
        kept.append({inputs: [row[inputs][p] for p in places], labels: [row[labels][p] for p in places]})
    return Dataset.from_list(kept)


def _texts_of_some_labels(labels: list[str], limit: int, rng: np.random.Generator) -> list[int]:
    """Return places of texts of so many labels that each keeps `TEXTS_PER_LABEL`, at least two labels."""
    names = sorted(set(labels))
    most = max(2, limit // TEXTS_PER_LABEL)
    if len(names) > most:
        names = [names[place] for place in sorted(draw_rows(rng, len(names), most))]
    allowed = set(names)
    inside = [place for place, label in enumerate(labels) if label in allowed]
    return [inside[place] for place in stratified([labels[place] for place in inside], limit, rng)]
