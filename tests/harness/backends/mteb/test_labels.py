"""Labels that are read once: mteb's own scores to the last digit, and no row decoded by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.backends.mteb.custom import make_custom_task
from harness.backends.mteb.labels import read_labels_at_once
from harness.suite.task_entries import CustomRef


class Noise:
    """Vectors that depend on their number alone."""

    def __init__(self) -> None:
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "invented/noise", "revision": "1"})

    def encode(self, inputs: Any, **_: Any) -> Any:
        """Return (n, 8) float32."""
        n = len(inputs.dataset)
        return np.random.default_rng(n).normal(size=(n, 8)).astype(np.float32)

    def similarity(self, a: Any, b: Any) -> Any:
        """Return the dot products."""
        return a @ b.T

    similarity_pairwise = similarity


def scored(folder: Path, change: Callable[[Any], None]) -> Any:
    """Return mteb's metrics of the task in `folder` after `change`."""
    import mteb

    task = make_custom_task(CustomRef(name="own", type="Classification", path=str(folder)))
    task.load_data()
    change(task)
    return mteb.evaluate(Noise(), task, cache=None, co2_tracker=False, show_progress_bar=False)[0].scores


@pytest.mark.parametrize("labels", [(0, 1), ("bad", "good", "so so"), (3, 1, 2)])
def test_scores_are_mtebs_own_and_no_label_is_decoded_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[Any, ...]
) -> None:
    """Numbers and words, two and more: every metric of every experiment."""
    from datasets.arrow_dataset import Column

    for split, texts in (("train", 40), ("test", 50)):
        rows = ({"text": f"{split} {n}", "label": labels[n * n % len(labels)]} for n in range(texts))
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    decoded = 0
    read_all = Column.__iter__

    def counted(self: Any) -> Any:
        nonlocal decoded
        for value in read_all(self):
            decoded += self.column_name == "label"
            yield value

    monkeypatch.setattr(Column, "__iter__", counted)
    plain = scored(tmp_path, lambda _: None)
    alone, decoded = decoded, 0
    assert scored(tmp_path, read_labels_at_once) == plain
    assert (alone > 1000, decoded) == (True, 0)


def test_a_task_without_classifiers_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is put in its place."""
    rows = (json.dumps({"sentence1": "a", "sentence2": f"b {n}", "score": n}) for n in range(3))
    (tmp_path / "own.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    task = make_custom_task(CustomRef(name="own", type="STS", path=str(tmp_path / "own.jsonl")))
    before = dict(vars(task))
    read_labels_at_once(task)
    assert vars(task) == before
