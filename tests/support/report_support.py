"""A report over invented numbers, as large as wanted: for the page's looks, size and speed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from cells_support import make_failure, make_score

from harness.candidates.candidate import Candidate
from harness.plan.cells import Cell, Plan, PlannedTask
from harness.results.records import Metric, Result, Score
from harness.sources.places import Located
from harness.statistics.difference import Difference
from harness.suite.model_entries import MeanPoolSpec
from harness.suite.schema import Suite
from harness.summary.build import summarise
from harness.summary.views import Summary
from harness.tasks.catalogue import TaskInfo, catalogue

TRAINING = {"data": [{"name": "stsb-train", "sha256": "a" * 64}], "objective": "infonce", "prompt": "about fever"}
CQADUPSTACK = "CQADupstackRetrieval"


def invented(models: int = 3, tasks: int = 12, *, note: str = "a note", description: str = "Invented.") -> Summary:
    """Return a report of `models` x `tasks`; the first model is the baseline, the last cell failed, one is missing."""
    plan, results = invented_parts(models, tasks, note=note, description=description)
    return summarise(plan, results, compare)


def invented_parts(
    models: int, tasks: int, *, note: str = "a note", description: str = "Invented."
) -> tuple[Plan, dict[str, Result]]:
    """Return the plan and the results of `invented`."""
    called = [f"model-{number}" for number in range(models)]
    planned = _tasks(tasks)
    suite = Suite.model_validate({"version": 1, "name": "invented", "description": description})
    candidates = tuple(_candidate(name, note) for name in called)
    suite = suite.model_copy(update={"models": [one.spec for one in candidates]})
    cells = tuple(
        Cell(model=name, task=task, state="to run", key=f"{number:04d}{place:04d}".ljust(20, "0"))
        for number, name in enumerate(called)
        for place, task in enumerate(planned)
    )
    draws = random.Random(3)
    results: dict[str, Result] = {}
    level = {task.name: draws.uniform(20, 80) for task in planned}
    for cell in cells[:-1]:
        shift = 2.0 * called.index(cell.model) * (1 if cell.task.axis == "embedding" else -0.4)
        results[str(cell)] = _score(cell, level[cell.task.name] + shift + draws.gauss(0, 1.5))
    last = cells[-1]
    results[str(last)] = make_failure(
        key=last.key, model=last.model, task=last.task.name, message="<b>it broke</b>\nhere", traceback="Traceback <1>"
    )
    if len(cells) > 3:
        del results[str(cells[-2])]
    plan = Plan(suite=suite, cells=cells, candidates=candidates, tasks=tuple(planned), datasets={}, gaps=())
    return plan, results


def with_parts(models: int = 3, tasks: int = 61, *, forums: int = 12) -> Summary:
    """Return a report as `invented` makes it, whose CQADupstackRetrieval has so many forums."""
    plan, results = invented_parts(models, tasks)
    for name, result in results.items():
        if isinstance(result, Score) and result.task == CQADUPSTACK:
            each = [(f"forum-{number}", result.score + number) for number in range(forums)]
            metrics = [
                Metric(name=metric, value=value, split="test", subset="default", part=part)
                for part, value in each
                for metric in (result.metric, "recall_at_1")
            ]
            results[name] = replace(result, metrics=tuple(metrics))
    return summarise(plan, results, compare)


def compare(own: Score, base: Score) -> Difference:
    """Return a difference with an interval of 2 points either way."""
    value = own.score - base.score
    return Difference(value=value, stderr=1.02, low=value - 2, high=value + 2, n=min(own.n, base.n))


def _tasks(count: int) -> list[PlannedTask]:
    known = catalogue()
    names = [member.name for member in known.benchmarks["MTEB(eng, v1)"]]
    embedding = ["STSBenchmark", *(name for name in names if name != "STSBenchmark")][: max(1, count - 5)]
    infos = [known.tasks[name] for name in embedding]
    infos += [_ability(name) for name in ("gsm8k", "mmlu", "bbh", "fever", "humaneval")[: count - len(infos)]]
    return [
        PlannedTask(
            name=info.name,
            label=info.name,
            axis=info.axis,
            type=info.type,
            engine=info.engine,
            splits=("test",),
            subsets=("default",),
            limit=None,
            info=info,
            parts=(info,),
        )
        for info in infos
    ]


def _ability(name: str) -> TaskInfo:
    return TaskInfo(
        name=name,
        axis="ability",
        type="Ability",
        engine="lm-eval",
        main_score="exact_match",
        splits=("test",),
        subsets={"default": ()},
        prompt=None,
        dataset=f"invented/{name}",
        revision=None,
        parts=(),
        counts={},
    )


def _candidate(name: str, note: str) -> Candidate:
    spec = MeanPoolSpec(name=name, encoder="mean-pool", model="models/invented", note=note)
    place = Located(
        kind="folder",
        load_from="models/invented",
        revision=None,
        identity={"files_sha256": "0" * 64},
        source="folder models/invented",
        vouched=None,
    )
    trained = name == "model-1"
    return Candidate(
        name=name,
        kind="mean-pool",
        spec=spec,
        weights=place,
        note=spec.note,
        training=TRAINING if trained else {},
        selected_on="SICK validation" if trained else None,
    )


def _score(cell: Cell, value: float) -> Score:
    ability = (
        {"chance": 25.0, "truncated": 0.01, "settings": {"num_fewshot": 5}} if cell.task.axis == "ability" else None
    )
    provenance: dict[str, Any] = {
        "versions": {"python": "3.11", "mteb": "2.26.24", "not-there": "absent"},
        "encoder": {"dtype": "float32", "parameters": 1_000_000},
        "prompts": {"query": "q: <i>", "document": None} if cell.task.type == "Retrieval" else {"text": None},
        "counts": {"unique_texts": 1000, "tokens": 40_000, "truncated_texts": 0},
        "seconds": {"load_model": 1.0, "evaluate": 30.0, "encode": 20.0},
        "peak_memory_bytes": {"host": 2_000_000_000},
        "hardware": {"processor": "a processor", "threads": 1, "gpus": []},
        "ability": ability,
    }
    return make_score(
        key=cell.key,
        model=cell.model,
        axis=cell.task.axis,
        type=cell.task.type,
        task=cell.task.name,
        metric=cell.task.info.main_score,
        score=value,
        ci_low=value - 2.0,
        ci_high=value + 2.0,
        n=1000,
        provenance=provenance,
    )
