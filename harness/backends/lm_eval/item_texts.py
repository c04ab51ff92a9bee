"""The questions of an ability task, without examples before them: what training texts are held against."""

from __future__ import annotations

from collections.abc import Iterator

from harness.backends.interface import ItemText, Job
from harness.backends.lm_eval.items import whole_question
from harness.backends.lm_eval.nll import read_texts
from harness.backends.lm_eval.tasks import load_tasks, quiet
from harness.plan.asked import ReadWith
from harness.sources.reading import read_as_keyed


def item_texts(job: Job) -> Iterator[ItemText]:
    """Yield the questions of a cell's task, or the texts of `lm_nll`; of each part the first `limit`.

    Raises:
        ChangedContentError: the data are not those of the cell's key.
    """
    planned = job.cell.task
    split = planned.splits[0]
    with quiet(), read_as_keyed(job.data[planned.info.name]):
        if isinstance(planned.settings, ReadWith):
            found = [
                ItemText(planned.name, split, planned.subsets[0], (item,), None, text)
                for item, text in enumerate(read_texts(job, planned.settings.column))
            ]
        else:
            found = [
                ItemText(part, split, part, (item,), None, whole_question(task, document))
                for part, task in load_tasks(job).items()
                for item, document in task.doc_iterator(limit=planned.limit, rank=0, world_size=1)
            ]
    yield from found
