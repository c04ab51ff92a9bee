"""What must be known of the data of mteb's own tasks: labels with fewer training texts than an experiment takes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.backends.mteb.loaded import Loaded
from harness.tasks.custom.remarks import few_training_texts


def remarks_of(task: Any) -> list[str]:
    """Return a line for each subset of a loaded mteb task of which something is to be said."""
    if not hasattr(task, "samples_per_label") or task.is_cross_validation:  # no classifier is trained on a few texts
        return []
    found = []
    for subset in task.hf_subsets:
        labels = Loaded(task=task, split=task.train_split, subset=subset).rows[task.label_column_name]
        if said := few_training_texts(Counter(map(str, labels)), task.samples_per_label):
            found.append(said if len(task.hf_subsets) == 1 else f"{subset}: {said}")
    return found
