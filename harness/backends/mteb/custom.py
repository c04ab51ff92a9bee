"""A user's own files as an mteb task: mteb's own task classes over data that `harness.tasks.custom` has checked."""

from __future__ import annotations

from typing import Any

from harness.backends.mteb.by_type import file_of
from harness.plan.tasks import read_custom_of
from harness.suite.task_entries import CustomRef
from harness.tasks.catalogue import ENGLISH
from harness.tasks.custom.assemble import CustomData
from harness.tasks.types import EMBEDDING_TYPES


def make_custom_task(reference: CustomRef) -> Any:
    """Return an mteb task over the files of `reference`.

    Raises:
        InputError: with file and line of every bad row.
    """
    data = read_custom_of(reference)
    members: dict[str, Any] = {
        "metadata": _metadata(reference),
        "load_data": lambda self, **_: _load(self, data),
        "__module__": __name__,
    }
    task_class = type(f"Custom_{reference.name}", (file_of(reference.type).task_class(data),), members)
    return task_class()


def _metadata(reference: CustomRef) -> Any:
    from mteb.abstasks.task_metadata import TaskMetadata

    return TaskMetadata(
        name=reference.name,
        description="A task over the user's own files.",
        dataset={"path": reference.path, "revision": "files"},
        type=reference.type,
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=[reference.language or ENGLISH],
        main_score=EMBEDDING_TYPES[reference.type].main_score,
        reference=None,
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation="",
    )


def _load(task: Any, data: CustomData) -> None:
    from datasets import Dataset, DatasetDict

    if data.queries:
        task.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_list(data.corpus),
                    "queries": Dataset.from_list(data.queries),
                    "relevant_docs": {query: dict(relevant) for query, relevant in data.qrels.items()},
                    "top_ranked": {query: list(ids) for query, ids in data.candidates.items()} or None,
                }
            }
        }
    else:
        task.dataset = DatasetDict({split: Dataset.from_list(rows) for split, rows in data.splits.items()})
    task.data_loaded = True
