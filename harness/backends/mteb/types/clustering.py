"""Clustering: sets of texts, each clustered whole, and mteb's newer tasks over texts drawn from one pool."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.backends.mteb import counts
from harness.backends.mteb.draw import draw_rows, stratified
from harness.backends.mteb.items import Captured, SubsetItems
from harness.backends.mteb.kept_texts import TEXT_CHARACTERS, as_column, texts_at
from harness.backends.mteb.loaded import Bulk, Loaded, listed
from harness.backends.mteb.pools import embedded_rows, pool_scores, rows_of_draws
from harness.backends.mteb.seeds import SEED_COLUMNS
from harness.tasks.custom.assemble import CustomData
from harness.tasks.limits import LEAST_TEXTS, TEXTS_PER_LABEL, sets_kept
from harness.tasks.types import Role

POOL_LIMITS = ("max_fraction_of_documents_to_embed", "max_document_to_embed")
"""Of a task that draws the texts it encodes."""


def items(captured: Captured) -> SubsetItems:
    """Return a row a clustered text: its label and its cluster; the score is a mean of V-measures."""
    # mteb's newer tasks hand over level -> clusters of each draw, the older ones the clusters of each set.
    return _of_draws(captured) if isinstance(captured.predictions, Mapping) else _of_sets(captured)


def _of_sets(captured: Captured) -> SubsetItems:
    from sklearn.metrics import v_measure_score

    rows: dict[str, list[Any]] = {"set": [], "item": [], "label": [], "cluster": []}
    values: list[float] = []
    assignments = iter(captured.predictions)
    seeds = iter(captured.seeds)
    for index, one in enumerate(captured.rows):
        labels = one[captured.task.label_column_name]
        # mteb skips the encoding of a set with a single label and scores it 1.
        is_clustered = len(set(labels)) > 1
        clusters = next(assignments) if is_clustered else [0] * len(labels)
        for name, value in (next(seeds) if is_clustered else dict.fromkeys(SEED_COLUMNS, 1.0)).items():
            rows.setdefault(name, []).extend([value] * len(labels))
        values.append(float(v_measure_score(labels, clusters)))
        rows["set"] += [index] * len(labels)
        rows["item"] += range(len(labels))
        rows["label"] += [str(label) for label in labels]
        rows["cluster"] += list(clusters)
    return captured.found(unit="set of texts", n=len(values), score=float(np.array(values).mean()), columns=rows)


def _of_draws(captured: Captured) -> SubsetItems:
    """Items of mteb's newer clustering, whose texts are drawn with the task's own generator: drawn again here."""
    generator = random.Random()  # noqa: S311 - replays mteb's draws
    generator.setstate(captured.random_state)
    labels = nested_labels(captured.rows[captured.task.label_column_name])
    chosen = embedded_rows(captured.task, len(labels), generator)
    rows, score = rows_of_draws(labels, chosen, captured.predictions, generator)
    if captured.vectors is not None:
        of_pool = [labels[row] for row in chosen]
        pools = pool_scores(captured.task, captured.vectors, of_pool, captured.predictions)
        rows |= {name: [value] * len(rows["item"]) for name, value in pools.items()}
    return captured.found(unit="text to cluster", n=len(chosen), score=score, columns=rows)


def nested_labels(labels: Any) -> list[list[Any]]:
    """Return the labels of each text as a list, coarse to fine: tasks of one level keep a plain label a row."""
    return [label if isinstance(label, list) else [label] for label in labels]


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` texts, over some sets where there are sets, of so many labels that each keeps a few texts."""
    rows = loaded.rows
    holds_sets = len(rows) and isinstance(rows[0][loaded.task.input_column_name], list)
    loaded.put((_limited_sets if holds_sets else _limited_texts)(loaded, limit, rng))
    return {"of": len(rows), "kept": len(loaded.rows)}


def _limited_texts(loaded: Loaded, limit: int, rng: np.random.Generator) -> Any:
    task = loaded.task
    names = [str(label) for label in loaded.rows[task.label_column_name]]
    task.max_fraction_of_documents_to_embed = None
    task.max_document_to_embed = None
    return loaded.rows.select(_texts_of_some_labels(names, limit, rng))


def _limited_sets(loaded: Loaded, limit: int, rng: np.random.Generator) -> Any:
    from datasets import Dataset

    data, inputs, labels = loaded.rows, loaded.task.input_column_name, loaded.task.label_column_name
    sets = sets_kept(len(data), limit)
    each = max(min(LEAST_TEXTS, limit), limit // sets)
    kept = []
    for index in sorted(draw_rows(rng, len(data), sets)):
        row = data[index]
        places = _texts_of_some_labels([str(label) for label in row[labels]], each, rng)
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


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the texts of all sets."""
    return loaded.texts(loaded.task.input_column_name)


def bulk(loaded: Loaded, role: Role | None) -> Bulk:  # noqa: ARG001 - every type is given it
    """Return the texts of given sets; of a pool that some thousands are drawn from, none."""
    draws = any(getattr(loaded.task, name, None) is not None for name in POOL_LIMITS)
    return listed(lambda: iter(()) if draws else texts(loaded))


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:
    """Return the texts to cluster, after the sampling that the newer tasks do before encoding."""
    items, there = statistics["num_samples"], counts.texts_in(statistics, "text_statistics")
    most = getattr(task, "max_document_to_embed", None)
    fraction = getattr(task, "max_fraction_of_documents_to_embed", None)
    kept = int(fraction * items) if fraction is not None else most
    if there and there.texts and kept is not None and kept < there.texts:
        share = kept / there.texts
        there = counts.Texts(kept, min(there.unique, kept), round(there.characters * share))
    return counts.as_row(items, there)


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return the clustered texts."""
    column, items = loaded.task.input_column_name, [int(item) for item in one.columns["item"]]
    if "set" not in one.columns:
        found = texts_at(loaded.rows, column, (items[row] for row in chosen))
        return {"text": as_column({row: found[items[row]] for row in chosen}, len(items))}
    texts: dict[int, str] = {}
    of_set: tuple[int, list[str]] = (-1, [])
    for row in chosen:  # whose sets follow one another, each read once
        number = int(one.columns["set"][row])
        if of_set[0] != number:
            of_set = number, loaded.rows[number][column]
        texts[row] = str(of_set[1][items[row]])[:TEXT_CHARACTERS]
    return {"text": as_column(texts, len(items))}


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield the clustered texts, none of which is an item by itself."""
    for text in loaded.texts(loaded.task.input_column_name):
        yield (), None, text


def task_class(data: CustomData) -> Any:  # noqa: ARG001 - every type is given it
    """Return mteb's class of clustering over sets."""
    from mteb.abstasks import AbsTaskClusteringLegacy

    return AbsTaskClusteringLegacy
