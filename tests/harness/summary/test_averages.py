"""The report's means over MTEB(eng, v1) are mteb's own Mean (Task) and Mean (TaskType), from the same results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cells_support import make_score
from golden_report import candidate

from harness.plan.cells import Cell, Plan, PlannedTask
from harness.results.records import Result
from harness.suite.model_entries import Bm25Spec
from harness.suite.schema import Suite
from harness.summary.build import summarise
from harness.tasks.catalogue import catalogue

BENCHMARK = "MTEB(eng, v1)"


def planned(name: str) -> PlannedTask:
    """Return a task of the benchmark as planned."""
    info = catalogue().tasks[name]
    return PlannedTask(
        name=name, label=name, axis=info.axis, type=info.type, engine=info.engine, splits=("test",),
        subsets=("default",), limit=None, info=info, parts=(info,),
    )  # fmt: skip


def report_of(values: dict[str, float]) -> Any:
    """Return the embedding axis of a report over one model with these points."""
    one = candidate("base")
    suite = Suite.model_validate({"version": 1, "name": "averages"}).model_copy(update={"models": [one.spec]})
    tasks = tuple(planned(name) for name in values)
    cells = tuple(Cell(model="base", task=task, state="to run", key=f"{task.name:0<20}"[:20]) for task in tasks)
    results: dict[str, Result] = {
        str(cell): make_score(model="base", task=cell.task.name, type=cell.task.type, score=values[cell.task.name])
        for cell in cells
    }
    plan = Plan(suite=suite, cells=cells, candidates=(one,), tasks=tasks, datasets={}, gaps=())
    return summarise(plan, results).axes[0]


def test_means_are_mtebs() -> None:
    """All tasks of the benchmark with random scores: both means and each type's agree to the last digits."""
    from mteb import get_task
    from mteb.benchmarks import _benchmark_metrics as theirs
    from mteb.results import TaskResult

    names = [member.name for member in catalogue().benchmarks[BENCHMARK]]
    assert len(names) == 56
    scores = dict(zip(names, np.random.default_rng(0).random(len(names)), strict=True))
    results = []
    for name, score in scores.items():
        task = get_task(name)
        split, subset = task.metadata.eval_splits[0], next(iter(task.metadata.hf_subsets))
        row = {"hf_subset": subset, "languages": ["eng-Latn"], "main_score": float(score)}
        results.append(
            TaskResult(
                dataset_revision="1",
                task_name=name,
                mteb_version="2",
                scores={split: [row]},
                evaluation_time=0.0,
                kg_co2_emissions=None,
            )
        )
    axis = report_of({name: 100 * float(score) for name, score in scores.items()})
    assert axis.over_tasks["base"].value == pytest.approx(100 * theirs._compute_mean_task(results))
    assert axis.over_types["base"].value == pytest.approx(100 * theirs._compute_mean_task_type(results))
    by_type = theirs._compute_task_types(results)
    assert {kind: mean["base"].value for kind, mean in axis.by_type.items()} == pytest.approx(
        {kind: 100 * value for kind, value in by_type.items()}
    )
    assert axis.over_tasks["base"].value != pytest.approx(axis.over_types["base"].value)


def test_a_model_that_is_not_applicable_to_a_task_takes_none_from_the_others() -> None:
    """BM25 beside tasks that rank nothing: it is in no mean, the others' are over all tasks, and the report says so."""
    words = replace(candidate("words"), kind="bm25", spec=Bm25Spec(name="words", encoder="bm25"))
    models = (candidate("base"), words)
    suite = Suite.model_validate({"version": 1, "name": "averages"})
    suite = suite.model_copy(update={"models": [one.spec for one in models]})
    tasks = (planned("SciFact"), planned("STS12"))
    cells = tuple(
        Cell(model=one.name, task=task, state="to run", key="k" * 20)
        if one.embeds or task.name == "SciFact"
        else Cell(model=one.name, task=task, state="n/a", key=None, reason="it gives no vectors")
        for one in models
        for task in tasks
    )
    results: dict[str, Result] = {
        str(cell): make_score(model=cell.model, task=cell.task.name, type=cell.task.type, score=score)
        for cell, score in zip(cells, (10.0, 30.0, 90.0, 0.0), strict=True)
        if cell.state != "n/a"
    }
    plan = Plan(suite=suite, cells=cells, candidates=models, tasks=tasks, datasets={}, gaps=())
    found = summarise(plan, results)
    (axis,) = found.axes
    assert axis.common == ("SciFact", "STS12")
    assert {model: mean.value for model, mean in axis.over_tasks.items()} == {"base": 20.0}
    assert any(line.startswith("words: n/a for 1 of 2 embedding task(s)") for line in found.warnings)
    retrieval = tuple(cell for cell in cells if cell.task.name == "SciFact")
    alone = summarise(replace(plan, cells=retrieval, tasks=tasks[:1]), results).axes[0]
    assert {model: mean.value for model, mean in alone.over_tasks.items()} == {"base": 10.0, "words": 90.0}
