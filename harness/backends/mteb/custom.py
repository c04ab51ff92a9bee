"""A user's own files as an mteb task: mteb's own task classes over data that `tasks.custom.read` has checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.suite.task_entries import CustomRef
from harness.tasks.custom.assemble import CustomData
from harness.tasks.custom.read import read_custom
from harness.tasks.types import MAIN_SCORES


def make_custom_task(reference: CustomRef) -> Any:
    """Return an mteb task over the files of `reference`.

    Raises:
        InputError: with file and line of every bad row.
    """
    data = read_custom(reference.name, reference.type, Path(reference.path))
    task_class = type(f"Custom_{reference.name}", (_base(reference.type),), _members(reference, data))
    return task_class()


def _base(kind: str) -> Any:
    from mteb.abstasks import (
        AbsTaskClassification,
        AbsTaskClusteringLegacy,
        AbsTaskPairClassification,
        AbsTaskRetrieval,
        AbsTaskSTS,
    )
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    return {
        "STS": AbsTaskSTS,
        "PairClassification": AbsTaskPairClassification,
        "Classification": AbsTaskClassification,
        "Clustering": AbsTaskClusteringLegacy,
        "Retrieval": AbsTaskRetrieval,
        "Reranking": AbsTaskRetrieval,
        "Summarization": AbsTaskSummarization,
    }[kind]


def _members(reference: CustomRef, data: CustomData) -> dict[str, Any]:
    members: dict[str, Any] = {
        "metadata": _metadata(reference),
        "load_data": lambda self, **_: _load(self, reference.type, data),
        "__module__": __name__,
    }
    if reference.type == "STS":
        members |= {"min_score": data.score_range[0], "max_score": data.score_range[1]}
    if reference.type == "Summarization":
        members |= {"min_score": data.score_range[0], "max_score": data.score_range[1]}
    if reference.type == "Classification":
        members["samples_per_label"] = data.samples_per_label
    return members


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
        eval_langs=["eng-Latn"],
        main_score=MAIN_SCORES[reference.type],
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


def _load(task: Any, kind: str, data: CustomData) -> None:
    from datasets import Dataset, DatasetDict

    if kind in ("Retrieval", "Reranking"):
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
