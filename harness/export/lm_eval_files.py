"""lm-eval's own files: `ORG__MODEL/results_DATE.json`, and `samples_TASK_DATE.jsonl` with a row a question and filter.

What is kept of a question is its hash, not its text, so that `doc` and `arguments` are empty; hashes, targets, answers
and metrics are as lm-eval gave them. A task has one row there, and all tasks one limit: a part of a group, and a cell
of another limit than the rest, have no place in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.export.chosen import Chosen, Exported
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.results.store import Store
from harness.statistics.conventions import POINTS
from harness.tasks.catalogue import TaskInfo, catalogue

FILTERED = "filtered,"


def lm_eval_files(chosen: Chosen) -> Exported:
    """Return the files; a cell whose items are lost or missing has results and no samples, which is said."""
    held = chosen.of_axis("ability")
    limit = _limit(held)
    left = [f"{label}: lm-eval has no embedding tasks" for label in chosen.of_axis("embedding")]
    left += [f"{label}: {why}" for label, one in held.items() if (why := _why_not(label, one, limit))]
    scores = {one.task: one for label, one in held.items() if not _why_not(label, one, limit)}
    if not scores:
        return Exported({}, tuple(left))
    root = Path(chosen.name.replace("/", "__"))
    date = max(facts_of(one).began or "" for one in scores.values()).replace(":", "-").partition("+")[0] or "unknown"
    date = date if "." in date else f"{date}.000000"  # as lm-eval's own names have it, which its reader looks for
    files = {root / f"results_{date}.json": _bytes(_results(chosen, scores, limit))}
    store = Store(chosen.results)
    for task, score in scores.items():
        table = None if store.lost(score) else store.items_of(score)
        if table is None:
            left.append(f"{task}: no samples, {score.items_missing or 'its per-item results are lost'}")
            continue
        for part, rows in _samples(table.to_pylist()).items():
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            name = f"samples_{_prefix(score)}{part}_{date}.jsonl"
            files[root / name] = lines.encode("utf-8", "backslashreplace")
    return Exported(files, tuple(left))


def _limit(held: Mapping[str, Score]) -> int | None:
    """Return the limit of the file: none where a cell has none, else the largest."""
    limits = [one.limit for label, one in held.items() if label == one.task]
    return None if None in limits else max((one for one in limits if one), default=None)


def _why_not(label: str, score: Score, limit: int | None) -> str | None:
    if label != score.task:
        return f"a part of {score.task}, which lm-eval's tools would take for the whole"
    if score.limit == limit:
        return None
    return f"limited to {score.limit} items, the others to {limit or 'none'}; export it alone with --tasks"


def _info(score: Score) -> TaskInfo | None:
    """Return what the catalogue knows of a task; None of a user's own."""
    is_own = "kind" in facts_of(score).ability.get("settings", {})
    return None if is_own else catalogue().tasks.get(score.task)


def _prefix(score: Score) -> str:
    """Return what stands before a part's name in lm-eval's name of its task: `mmlu_` of anatomy."""
    info = _info(score)
    return str((info.ability or {}).get("part_prefix") or "") if info else ""


def _bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _results(chosen: Chosen, held: Mapping[str, Score], limit: int | None) -> dict[str, Any]:
    """Return what lm-eval says of a run.

    Args:
        chosen: what the model is called.
        held: task -> score.
        limit: of all of them.
    """
    facts = {task: facts_of(one) for task, one in held.items()}
    some = next(iter(facts.values()))
    settings = {task: one.ability.get("settings", {}) for task, one in facts.items()}
    return {
        "results": {task: {"alias": task, **_metrics(one)} for task, one in held.items()},
        "group_subtasks": {task: _subtasks(one) for task, one in held.items()},
        "configs": {task: {"task": task, **settings[task]} for task in held},
        "versions": {task: _version(facts[task].ability.get("task_versions", {})) for task in held},
        "n-shot": {task: settings[task].get("num_fewshot") for task in held},
        "higher_is_better": {task: {one.metric: not one.lower_is_better} for task, one in held.items()},
        "n-samples": {task: {"original": _original(one), "effective": one.n} for task, one in held.items()},
        "config": {
            "model": "hf",
            "model_args": {"pretrained": chosen.name, "revision": chosen.revision},
            "model_revision": chosen.revision,
            "model_dtype": some.encoder.get("dtype"),
            "model_num_parameters": some.encoder.get("parameters"),
            "limit": limit,
        },
        "model_name": chosen.name,
        "model_name_sanitized": chosen.name.replace("/", "__"),
        "lm_eval_version": some.versions.get("lm-eval"),
    }


def _subtasks(score: Score) -> list[str]:
    info, prefix = _info(score), _prefix(score)
    return [f"{prefix}{part}" for part in info.subsets] if info and prefix else []


def _original(score: Score) -> int:
    """Return how many items the task's own data have; where nobody knows, those that were scored."""
    if read_and_known := facts_of(score).off_count.get(score.task):
        return read_and_known[1]
    info = _info(score)
    counts = [of for split in info.splits for of in info.counts.get(split, {}).values()] if info else []
    return sum(one.items for one in counts) if score.limit and counts else score.n


def _metrics(score: Score) -> dict[str, Any]:
    """Return `metric,filter` -> value as lm-eval has it, 0 to 1; the standard error of the main metric beside it."""
    found: dict[str, Any] = {}
    for one in score.metrics:
        if one.part is not None or one.name == "gold_nll":
            continue
        value = one.value / POINTS if one.unit == "points" else one.value
        found[f"{one.name},{one.filter or 'none'}"] = value
    chosen = _main_filter(score, found)
    if chosen is not None and score.stderr is not None:
        found[f"{score.metric}_stderr,{chosen}"] = score.stderr / POINTS if score.unit == "points" else score.stderr
    return found


def _main_filter(score: Score, found: Mapping[str, Any]) -> str | None:
    """Return the filter that a cell is scored by; a record that does not say has it where there is one alone."""
    said = facts_of(score).ability.get("settings", {}).get("filter")
    there = [chosen for name, _, chosen in (key.partition(",") for key in found) if name == score.metric]
    if said is None:
        return there[0] if len(there) == 1 else None
    return said if said in there else None


def _version(versions: Mapping[str, Any]) -> Any:
    return next(iter(versions.values()), None)


def _samples(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return part -> lm-eval's rows, a question and filter each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        filters = [name.removeprefix(FILTERED) for name in row if name.startswith(FILTERED)]
        for chosen in filters or ["none"]:
            found.setdefault(str(row["part"]), []).append(_sample(row, chosen))
    return found


def _sample(row: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    answers = row.get("answers")
    metrics = {
        name.partition(",")[0]: value
        for name, value in row.items()
        if name.endswith(f",{chosen}") and not name.startswith((FILTERED, "extraction_failed,"))
    }
    filtered = row.get(f"{FILTERED}{chosen}")
    return {
        "doc_id": row["item"],
        "doc": {},
        "target": row.get("target"),
        "arguments": {},
        "resps": [answers if isinstance(answers, list) else [answers]],
        "filtered_resps": filtered if isinstance(filtered, list) else [filtered],
        "filter": chosen,
        "metrics": list(metrics),
        "doc_hash": str(row.get("doc_hash") or ""),
        "prompt_hash": str(row.get("prompt_hash") or ""),
        "target_hash": str(row.get("target_hash") or ""),
        **metrics,
    }
