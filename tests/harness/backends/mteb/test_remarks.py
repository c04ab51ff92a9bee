"""What is said of the data of mteb's own tasks."""

from __future__ import annotations

import json
from pathlib import Path

from harness.backends.mteb.custom import make_custom_task
from harness.backends.mteb.remarks import remarks_of
from harness.suite.task_entries import CustomRef


def test_labels_with_fewer_training_texts_than_the_task_takes_are_told(tmp_path: Path) -> None:
    """By the task's own number, which many of mteb's set to 16 or 32; nothing where every label has as many."""
    for split, counts in (("train", {"a": 8, "b": 10}), ("test", {"a": 1})):
        rows = [{"text": f"{label} {i}", "label": label} for label, count in counts.items() for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = make_custom_task(CustomRef(name="mine", type="Classification", path=str(tmp_path)))
    task.load_data()
    assert remarks_of(task) == []
    task.samples_per_label = 9
    (line,) = remarks_of(task)
    assert line.startswith("1 of 2 labels have fewer than 9 training texts ('0' 8): a classifier is trained on up to 9")
