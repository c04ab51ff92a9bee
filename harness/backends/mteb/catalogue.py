"""The mteb part of `catalogue.json`, made by `python -m harness.backends.make_catalogue`.

Everything comes from the installed mteb wheel (task metadata and the descriptive statistics it ships): no network.
`tests/backends/test_mteb_catalogue.py` holds the committed catalogue against the installed mteb.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

TYPES = ("Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization")


def mteb_tasks() -> dict[str, Any]:
    """Return `{"version", "tasks", "benchmarks"}` for every text-only task of the seven embedding types."""
    import mteb

    tasks = mteb.get_tasks(modalities=["text"], exclusive_modality_filter=True, exclude_superseded=False)
    entries = {task.metadata.name: describe(task) for task in tasks if task.metadata.type in TYPES}
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
    return entry | {
        "dataset": metadata.dataset["path"],
        "revision": metadata.dataset["revision"],
        "counts": _counts(task),
    }


def _prompt(task: Any) -> Any:
    prompt = task.metadata.prompt
    if prompt is None:
        return getattr(type(task), "abstask_prompt", None)
    return dict(prompt) if isinstance(prompt, dict) else prompt


def _member(task: Any) -> dict[str, Any]:
    return {"name": task.metadata.name, "splits": list(task.eval_splits), "subsets": list(task.hf_subsets)}


def _counts(task: Any) -> dict[str, dict[str, list[int]]]:
    """Return split -> subset -> [scored items, texts to encode, unique texts, characters, training texts at most].

    A list is empty where the wheel's statistics lack a part: unknown, not zero.
    """
    stats = task.metadata.descriptive_stats or {}
    counts: dict[str, dict[str, list[int]]] = {}
    for split, of_split in stats.items():
        subsets = of_split.get("hf_subset_descriptive_stats") or {_only_subset(task): of_split}
        counts[split] = {name: _count(task, one) for name, one in subsets.items()}
    return counts


def _only_subset(task: Any) -> str:
    return str(next(iter(task.metadata.hf_subsets_to_langscripts)))


def _count(task: Any, stats: dict[str, Any]) -> list[int]:
    kind = task.metadata.type
    columns = _text_columns(kind)
    of_columns = [stats[column] for column in columns if stats.get(column)]
    if not of_columns or not all("total_text_length" in column for column in of_columns):
        return []
    texts = unique = characters = 0
    for column in of_columns:
        characters += column["total_text_length"]
        unique += column["unique_texts"]
        texts += (
            round(column["total_text_length"] / column["average_text_length"]) if column["total_text_length"] else 0
        )
    items = stats["num_samples"]
    if kind in ("Retrieval", "Reranking"):
        items = round(_number_of(stats.get("queries_text_statistics")))
    training = _training_texts(task, stats) if kind == "Classification" else 0
    if kind == "Clustering":
        texts, unique, characters = _clustered(task, items, texts, unique, characters)
    return [items, texts, min(unique, texts), characters, training]


def _text_columns(kind: str) -> tuple[str, ...]:
    if kind in ("Retrieval", "Reranking"):
        return ("documents_text_statistics", "queries_text_statistics")
    if kind in ("STS", "PairClassification"):
        return ("text1_statistics", "text2_statistics")
    if kind == "Summarization":  # the summarised texts themselves are never encoded
        return ("human_summaries_statistics", "machine_summaries_statistics")
    return ("text_statistics",)


def _number_of(column: dict[str, Any] | None) -> float:
    return column["total_text_length"] / column["average_text_length"] if column else 0.0


def _training_texts(task: Any, stats: dict[str, Any]) -> int:
    labels = (stats.get("label_statistics") or {}).get("unique_labels") or 0
    return int(task.n_experiments * task.samples_per_label * labels)


def _clustered(task: Any, items: int, texts: int, unique: int, characters: int) -> tuple[int, int, int]:
    """Return the counts after the sampling that mteb's faster clustering tasks do before encoding."""
    most = getattr(task, "max_document_to_embed", None)
    fraction = getattr(task, "max_fraction_of_documents_to_embed", None)
    kept = int(fraction * items) if fraction is not None else (most if most is not None else texts)
    if not texts or kept >= texts:
        return texts, unique, characters
    return kept, min(unique, kept), round(characters * kept / texts)
