"""Every text that an mteb task will have encoded, training texts included; for encoders that are fitted on a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.loaded import Loaded


def texts_of(task: Any) -> Iterator[str]:
    """Yield the texts of a loaded task, splits and subsets in its own order, repeats included."""
    of_split = file_of(task.metadata.type).texts
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            yield from of_split(Loaded(task=task, split=split, subset=subset))
