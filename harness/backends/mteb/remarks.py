"""What must be known of the data of mteb's own tasks: too few training texts a label, and a copy of another size."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.backends.mteb.loaded import Loaded
from harness.tasks.catalogue import TaskInfo
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


def off_count(task: Any, info: TaskInfo) -> dict[str, list[int]]:
    """Return `split/subset` -> items here and in MTEB's own data, where the two differ; nothing where none are known.

    Args:
        task: of mteb, its data loaded and not limited yet.
        info: what the catalogue knows of it.
    """
    found = {}
    for split in task.eval_splits:
        for subset in task.hf_subsets:
            known = info.counts.get(split, {}).get(subset)
            here = Loaded(task=task, split=split, subset=subset).items()
            if here is not None and known is not None and known.items and here != known.items:
                found[f"{split}/{subset}"] = [here, known.items]
    return found
