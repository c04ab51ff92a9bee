"""What must be known of the data of mteb's own tasks: too few training texts a label, and a copy of another size."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from harness.backends.mteb.loaded import Loaded
from harness.tasks.catalogue import TaskInfo
from harness.tasks.custom.remarks import few_training_texts
from harness.tasks.types import EMBEDDING_TYPES


def remarks_of(task: Any) -> list[str]:
    """Return a line for each subset of a loaded mteb task of which something is to be said."""
    if EMBEDDING_TYPES[task.metadata.type].ranks == "corpus":
        return _excluded(task)
    if not hasattr(task, "samples_per_label") or task.is_cross_validation:  # no classifier is trained on a few texts
        return []
    found = []
    for subset in task.hf_subsets:
        labels = Loaded(task=task, split=task.train_split, subset=subset).rows[task.label_column_name]
        if said := few_training_texts(Counter(map(str, labels)), task.samples_per_label):
            found.append(said if len(task.hf_subsets) == 1 else f"{subset}: {said}")
    return found


def _excluded(task: Any) -> list[str]:
    """Return how many documents are kept from queries, as the data say themselves (BRIGHT's `excluded_ids`)."""
    found = []
    for subset in task.hf_subsets:
        for split in task.eval_splits:
            rows = Loaded(task=task, split=split, subset=subset).rows
            if not rows["top_ranked"]:
                continue
            lengths = {query: len(set(ranked)) for query, ranked in rows["top_ranked"].items()}
            left = [len(rows["corpus"]) - n for n in lengths.values() if n < len(rows["corpus"])]
            where = "" if len(task.hf_subsets) * len(task.eval_splits) == 1 else f"{split}/{subset}: "
            if left:
                said = f"{sum(left):,} documents are excluded for {len(left):,} of {len(lengths):,} queries"
                found.append(f"{where}{said}, as the data ask")
    return found


class OffCount(NamedTuple):
    """`split/subset` -> how many there are here and in MTEB's own data, where the two differ."""

    items: dict[str, list[int]]
    documents: dict[str, list[int]]
    """Of tasks that rank documents: fewer of them are easier to rank, with the same queries."""


def off_count(task: Any, info: TaskInfo) -> OffCount:
    """Return in what the data are of another size than MTEB's own; nothing where that is not known.

    Args:
        task: of mteb, its data loaded and not limited yet.
        info: what the catalogue knows of it.
    """
    found = OffCount({}, {})
    for split in task.eval_splits:
        for subset in task.hf_subsets:
            known = info.counts.get(split, {}).get(subset)
            if known is None or not known.items:
                continue
            of = Loaded(task=task, split=split, subset=subset)
            pairs = ((found.items, of.items(), known.items), (found.documents, of.documents(), known.documents))
            for off, here, there in pairs:
                if here is not None and here != there:
                    off[f"{split}/{subset}"] = [here, there]
    return found
