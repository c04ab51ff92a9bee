"""The ability axis: one cell through lm-eval, on the weights that the encoder has in memory.

The task objects, the prompts, the filters and the metrics are lm-eval's; the model is our subclass of its HFLM. Its
`--use_cache` is never used (keyed by request, not by model), its own bootstrap is off, and its record of which model it
ran is empty for a model in memory: identity, intervals and resume are ours.
"""

from __future__ import annotations

import time
from typing import Any

from harness.backends.interface import Job, Outcome
from harness.backends.lm_eval import humaneval, items
from harness.backends.lm_eval.answers import answers_for
from harness.backends.lm_eval.ask import ask, language_model
from harness.backends.lm_eval.nll import evaluate_nll
from harness.backends.lm_eval.tasks import FEWSHOT_SEED, load_tasks, quiet
from harness.digests import sha256_text
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError
from harness.plan.asked import AskedWith, ReadWith
from harness.plan.cells import PlannedTask
from harness.sources.reading import read_as_keyed
from harness.statistics.conventions import POINTS


def evaluate(job: Job, encoder: CheckedEncoder) -> Outcome:
    """Score one cell of the ability axis.

    Args:
        job: the cell, with every setting in `cell.task.settings`, and its data.
        encoder: of the cell's candidate; its language model is used as it is in memory, adapter active.

    Returns:
        The main metric with its bootstrap interval, every metric and filter, nats per token of the gold answers, and
        the per-item results.

    Raises:
        ChangedContentError: the data are not those of the cell's key.
        HarnessError: the candidate has no language model, or the task cannot be asked as the suite says.
        NotRecomputedError: the per-item results do not recompute lm-eval's figure.
    """
    planned = job.cell.task
    if isinstance(planned.settings, ReadWith):
        return evaluate_nll(job, encoder, planned.settings)
    started = time.perf_counter()
    with quiet():
        with read_as_keyed(job.data[planned.info.name]):
            tasks = load_tasks(job)
        lm = language_model(encoder, tasks, chat_template=planned.asked.chat_template, kept=answers_for(job))
        loaded = time.perf_counter()
        answered = ask(lm, tasks, job)
    parts, code_facts = _score(answered, tasks, lm, planned.asked)
    seconds = {"load_data": round(loaded - started, 3), "ask": round(time.perf_counter() - loaded, 3)}
    outcome = _outcome(job, parts, tasks, lm, seconds=seconds)
    if code_facts:
        outcome.facts["ability"]["code"] = code_facts
    return outcome


def _score(
    answered: dict[str, Any], tasks: dict[str, Any], lm: Any, asked: AskedWith
) -> tuple[list[items.PartItems], dict[str, Any]]:
    """Return the items of each part and, where answers are programs, how they ended."""
    if asked.code is not None:
        scored = [humaneval.score(name, answered["samples"][name], lm.traces, asked) for name in tasks]
        return [one.items for one in scored], scored[0].facts
    parts = [
        items.part_items(
            part, task, answered["samples"][task.task_name], answered["results"][task.task_name], traces=lm.traces
        )
        for part, task in tasks.items()
    ]
    return parts, {}


def _outcome(
    job: Job, parts: list[items.PartItems], tasks: dict[str, Any], lm: Any, *, seconds: dict[str, float]
) -> Outcome:
    planned = job.cell.task
    metric, chosen = planned.info.main_score, planned.asked.filter
    key = f"{metric},{chosen}"
    if any(key not in part.metrics for part in parts):
        raise HarnessError(
            f"task {planned.name!r} has no {metric!r} with filter {chosen!r}; it has: {list(parts[0].metrics)}"
        )
    unit = items.unit_of(metric)
    score, found = items.pooled(parts, key), items.interval(parts, key)
    is_points = unit == "points"
    some = next(iter(tasks.values()))
    is_group = len(planned.info.subsets) > 1
    return Outcome(
        metric=metric,
        score=score * POINTS if is_points else score,
        interval=items.in_points(found) if found and is_points else found,
        n=sum(part.n for part in parts),
        metrics=tuple(items.metrics_of(parts, planned.splits[0], planned.subsets[0], is_group=is_group)),
        items=items.table_of(parts, planned.splits[0], key, keeps_texts=job.keeps_texts),
        items_missing=None,
        unit="question",
        score_unit=unit,
        lower_is_better=not some.higher_is_better().get(metric, True),
        facts={
            "ability": _facts(planned.asked, parts, tasks, lm, key=key),
            "phases": seconds,
            "off_count": _off_count(planned, sum(part.n for part in parts)),
        },
    )


def _off_count(planned: PlannedTask, here: int) -> dict[str, list[int]]:
    """Return the items here and those of the task's own data, where they differ and no limit took some."""
    known = planned.counts() if planned.limit is None else None
    return {planned.name: [here, known.items]} if known and known.items and known.items != here else {}


def _facts(
    asked: AskedWith, parts: list[items.PartItems], tasks: dict[str, Any], lm: Any, *, key: str
) -> dict[str, Any]:
    """Return what stands beside the score, and how the questions were asked."""
    p_value = items.below_chance(parts, key)
    labels = items.label_balance(parts, tasks)
    template = lm.tokenizer.chat_template if asked.chat_template else None
    return {
        "settings": asked.plain(),
        "chance": items.chance_level(parts) * POINTS,
        "labels": labels,
        "majority": max(labels.values()) / sum(labels.values()) * POINTS if labels else None,
        "below_chance_p": p_value,
        "is_below_chance": p_value is not None and p_value < items.BELOW_CHANCE_LEVEL,
        "unextractable": {
            name: found
            for name in asked.filters
            if (found := items.share(parts, f"extraction_failed,{name}")) is not None
        },
        "truncated": items.share(parts, "truncated"),
        "gold_nll": items.gold_nats(parts),
        "parts": {part.part: {"n": part.n, "score": part.metrics[key]} for part in parts},
        "task_versions": {part: task.VERSION for part, task in tasks.items()},
        "prompts_sha256": sha256_text("\n".join(str(one) for part in parts for one in part.columns["prompt_hash"])),
        "chat_template_sha256": sha256_text(str(template)) if template else None,
        "fewshot_seed": FEWSHOT_SEED,
        "max_length": lm.max_length,
        "batch_tokens": lm.batch_tokens,
        "prompt_tokens": lm.work.prompt_tokens,
        "computed_tokens": lm.work.computed_tokens,
        "generated_tokens": lm.work.generated_tokens,
        "shared_prefixes": lm.work.shared_prefixes,
    }
