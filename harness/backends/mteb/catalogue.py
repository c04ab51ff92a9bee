"""The mteb part of `catalogue.json`, made by `python -m harness.backends.make_catalogue`.

Everything comes from the installed mteb wheel (task metadata and the descriptive statistics it ships): no network.
`tests/harness/tasks/test_catalogue.py` holds the committed catalogue against the installed mteb.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from harness.backends.mteb.by_type import file_of
from harness.tasks.types import EMBEDDING_TYPES

BRIGHT = ("mteb/BRIGHT", "xlangai/BRIGHT")
"""Repositories whose configs mteb's loaders know by heart (`mteb/tasks/retrieval/eng/bright_*retrieval.py`)."""


def mteb_tasks() -> dict[str, Any]:
    """Return `{"version", "tasks", "benchmarks"}` for every text-only task of the embedding types."""
    import mteb

    tasks = mteb.get_tasks(modalities=["text"], exclusive_modality_filter=True, exclude_superseded=False)
    entries = {task.metadata.name: describe(task) for task in tasks if task.metadata.type in EMBEDDING_TYPES}
    benchmarks = {
        benchmark.name: [_member(task) for task in benchmark.tasks]
        for benchmark in mteb.get_benchmarks()
        if all(task.metadata.name in entries for task in benchmark.tasks)
    }
    return {
        "version": version("mteb"),
        "tasks": dict(sorted(entries.items())),
        "benchmarks": dict(sorted(benchmarks.items())),
    }


def describe(task: Any) -> dict[str, Any]:
    """Return what planning needs to know of one mteb task, as plain JSON."""
    metadata = task.metadata
    entry: dict[str, Any] = {
        "type": metadata.type,
        "main_score": metadata.main_score,
        "splits": list(metadata.eval_splits),
        "subsets": {name: list(langs) for name, langs in metadata.hf_subsets_to_langscripts.items()},
        "prompt": _prompt(task),
    }
    if task.is_aggregate:
        return entry | {"parts": [part.metadata.name for part in task.tasks]}
    return (
        entry
        | {
            "dataset": metadata.dataset["path"],
            "revision": metadata.dataset["revision"],
            "counts": _counts(task),
        }
        | ({"configs": configs} if (configs := _configs(task)) else {})
    )


def _configs(task: Any) -> list[str]:
    """Return the configs of its repository that a task reads, where they are not called after its subsets."""
    dataset = task.metadata.dataset
    if dataset["path"] in BRIGHT:
        is_long = "long" in task.metadata.eval_splits
        reads_both = is_long and dataset["path"] == "xlangai/BRIGHT"
        documents = ["documents", "long_documents"] if reads_both else ["long_documents" if is_long else "documents"]
        return [*documents, "examples"]
    return [dataset["name"]] if dataset.get("name") else []


def _prompt(task: Any) -> Any:
    prompt = task.metadata.prompt
    if prompt is None:
        return getattr(type(task), "abstask_prompt", None)
    return dict(prompt) if isinstance(prompt, dict) else prompt


def _member(task: Any) -> dict[str, Any]:
    return {"name": task.metadata.name, "splits": list(task.eval_splits), "subsets": list(task.hf_subsets)}


def _counts(task: Any) -> dict[str, dict[str, list[int]]]:
    """Return split -> subset -> the numbers of `TypeFile.count`; empty: unknown, not zero."""
    stats = task.metadata.descriptive_stats or {}
    count = file_of(task.metadata.type).count
    counts: dict[str, dict[str, list[int]]] = {}
    for split, of_split in stats.items():
        subsets = of_split.get("hf_subset_descriptive_stats") or {_only_subset(task): of_split}
        counts[split] = {name: count(task, one) for name, one in subsets.items()}
    return counts


def _only_subset(task: Any) -> str:
    return str(next(iter(task.metadata.hf_subsets_to_langscripts)))
