"""Classification: texts with labels, from classifiers fitted on samples of training texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count as count_from
from typing import Any

import numpy as np

from harness.backends.mteb import counts
from harness.backends.mteb.draw import stratified
from harness.backends.mteb.items import Captured, SubsetItems
from harness.backends.mteb.kept_texts import as_column, texts_at
from harness.backends.mteb.loaded import Bulk, Loaded, listed, streamed
from harness.tasks.custom.assemble import CustomData
from harness.tasks.custom.remarks import SAMPLES_PER_LABEL
from harness.tasks.types import Role


def items(captured: Captured) -> SubsetItems:
    """Return a row a test text: its label, the prediction of each experiment and the share that is right."""
    task = captured.task
    labels = list(captured.rows[task.label_column_name])
    if task.is_cross_validation or captured.main_score != "accuracy":
        why = f"{captured.main_score} with cross-validation or averaging over classes is no mean of items"
        return captured.without_items(unit="test text", n=len(labels), why=why)
    guesses = np.array(captured.predictions)  # (experiments, n)
    accuracy = (guesses == np.array(labels)[None, :]).mean(axis=0)
    columns: dict[str, Any] = {"item": np.arange(len(labels)), "label": labels, "score": accuracy}
    columns |= {f"prediction_{number}": guess for number, guess in enumerate(guesses)}
    return captured.found(unit="test text", n=len(labels), score=float(accuracy.mean()), columns=columns)


def limit(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` test texts, and training texts enough for every experiment; every class stays."""
    task, rows = loaded.task, loaded.rows
    loaded.put(rows.select(stratified(rows[task.label_column_name], limit, rng)))
    kept = {"of": len(rows), "kept": len(loaded.rows)}
    if task.train_split != loaded.split:
        training = replace(loaded, split=task.train_split)
        before = training.rows
        training.put(before.select(_training_places(task, before[task.label_column_name], limit, rng)))
        kept |= {"training_of": len(before), "training_kept": len(training.rows)}
    return kept


def _training_places(task: Any, labels: Any, limit: int, rng: np.random.Generator) -> list[int]:
    """Return places of as many texts of each class as one experiment may want, or its part of `limit`."""
    per_class = max(task.samples_per_label, limit // max(len(set(map(str, labels))), 1))
    seen: Counter[str] = Counter()
    chosen = []
    for place in rng.permutation(len(labels)):
        label = str(labels[int(place)])
        if seen[label] < per_class:
            seen[label] += 1
            chosen.append(int(place))
    return sorted(chosen)


def texts(loaded: Loaded) -> Iterator[str]:
    """Yield the training texts, then the test texts."""
    for split in dict.fromkeys((loaded.task.train_split, loaded.split)):
        yield from replace(loaded, split=split).texts(loaded.task.input_column_name)


def bulk(loaded: Loaded, role: Role | None) -> Bulk:  # noqa: ARG001 - every type is given it
    """Return the test texts: of the training texts a few are drawn."""
    return listed(lambda: loaded.texts(loaded.task.input_column_name))


def count(task: Any, statistics: Mapping[str, Any]) -> list[int]:
    """Return the test texts, and the training texts that all experiments together may draw."""
    labels = (statistics.get("label_statistics") or {}).get("unique_labels") or 0
    training = int(task.n_experiments * task.samples_per_label * labels)
    return counts.as_row(statistics["num_samples"], counts.texts_in(statistics, "text_statistics"), training)


def readable(loaded: Loaded, one: SubsetItems, chosen: Sequence[int]) -> dict[str, Any]:
    """Return the test texts."""
    found = texts_at(loaded.rows, loaded.task.input_column_name, chosen)
    return {"text": as_column(found, len(one.columns["item"]))}


def item_texts(loaded: Loaded) -> Iterator[tuple[tuple[Any, ...], Role | None, str]]:
    """Yield the test texts; those that classifiers are fitted on are no test."""
    for (text,), item in zip(streamed(loaded.rows, (loaded.task.input_column_name,)), count_from(), strict=False):
        yield (item,), None, text


def task_class(data: CustomData) -> Any:  # noqa: ARG001 - every type is given it
    """Return mteb's class with the size of a training sample, of which a label with fewer texts gives all."""
    from mteb.abstasks import AbsTaskClassification

    return type("SampledClassification", (AbsTaskClassification,), {"samples_per_label": SAMPLES_PER_LABEL})
