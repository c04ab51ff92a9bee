"""Every text of an mteb task's test data with the items that it is part of: what training texts are held against."""

from __future__ import annotations

from collections.abc import Iterator

from harness.backends.interface import ItemText, Job
from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.loaded import Loaded
from harness.backends.mteb.prepared import names_of, prepared


def item_texts(job: Job) -> Iterator[ItemText]:
    """Yield the texts of a cell's task, cut down to its limit; part by part, one of them in memory.

    Raises:
        ChangedContentError: the data are not those of the cell's key.
    """
    for name in names_of(job):
        task = prepared(job, name).task
        of_split = file_of(task.metadata.type).item_texts
        for subset in task.hf_subsets:
            for split in task.eval_splits:
                for items, role, text in of_split(Loaded(task=task, split=split, subset=subset)):
                    yield ItemText(name, split, subset, items, role, text)
        task.unload_data()
