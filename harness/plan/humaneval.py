"""HumanEval in a plan: what its programs are run with, and where its problems are."""

from __future__ import annotations

import sys
from dataclasses import replace

from harness.plan.asked import CodeRun
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Gap, Located, Sources
from harness.suite.task_entries import CodeRef
from harness.tasks.humaneval import CODE_VERSION, DATASET, DEFAULTS, SUBSET, WHEEL, WHEEL_SHA256


def code_run(reference: CodeRef) -> CodeRun:
    """Return what a suite says of answers and limits, with the interpreter the programs run in.

    The permission is not among it: it changes no score.
    """
    said = {name: value for name in DEFAULTS if (value := getattr(reference, name)) is not None}
    if "pass_at" in said:
        said["pass_at"] = sorted({1, *said["pass_at"]})
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return CodeRun(**{**DEFAULTS, **said}, python=python, code_version=CODE_VERSION)


def locate_problems(sources: Sources) -> Located | Gap:
    """Find the problems: the local hub's folder, the wheel, and offline also what the hub's client has in its cache."""
    dataset = locate_dataset(replace(sources, offline=True), DATASET, None, subsets=(SUBSET,), splits=("test",))
    if isinstance(dataset, Located) and dataset.kind == "local hub":
        return dataset
    wheel = locate_model(sources, WHEEL, None, WHEEL_SHA256)
    if isinstance(wheel, Located):
        return wheel
    if isinstance(dataset, Located):
        return dataset
    return Gap(what=f"dataset {DATASET}", why=f"{dataset.why}; {wheel.what}: {wheel.why}", command=wheel.command)
