"""Which trainings are wanted for some models of a suite, a teacher before whoever learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import InputError
from harness.suite.model_entries import CandidateSpec, ModelSpec
from harness.suite.schema import Suite
from harness.training.asked import Training, ask, untrained
from harness.wording import did_you_mean, listing


def to_train(suite: Suite, models: Sequence[str] = ()) -> list[Training]:
    """Return what is to be trained before `models` can be judged, in the order in which it can be.

    Args:
        suite: whose candidates may be missing.
        models: only these, with whoever writes for them or teaches them; empty: all.

    Raises:
        InputError: there is no such model, or trainings wait for each other.
        EnvironmentGapError: configurations cannot be read.
    """
    by_name = {spec.name: spec for spec in suite.models}
    known = listing(by_name)
    if unknown := [name for name in models if name not in by_name]:
        raise InputError(
            [
                f"--models {name}: no such model in the suite; there are: {known}{did_you_mean(name, by_name)}"
                for name in unknown
            ]
        )
    every = [replace(one, teacher_path=_teacher_of(one, suite)) for one in ask(untrained(suite))]
    asked = {one.path: one for one in every}
    wanted = [path for name in models or by_name if (path := _directory(by_name[name])) is not None]
    wanted += [
        path
        for name in models
        if (writer := by_name.get(str(getattr(by_name[name], "writer", None)))) is not None
        and (path := _directory(writer)) is not None
    ]
    order: list[Training] = []
    for path in wanted:
        _put(path, asked, order, chain=())
    return order


def _teacher_of(training: Training, suite: Suite) -> Path | None:
    """Return the directory of the teacher, where it is a candidate by its directory or by its name in this suite."""
    if training.teacher is None or training.teacher.lstrip().startswith("{"):
        return None
    named, colon, model = training.teacher.rpartition(":")
    spec = next((one for one in suite.models if one.name == model), None)
    if colon and spec is not None and Path(named).stem == suite.name:
        return _directory(spec)
    return None if colon else Path(training.teacher).expanduser().resolve()


def _directory(spec: ModelSpec) -> Path | None:
    return Path(spec.candidate).expanduser().resolve() if isinstance(spec, CandidateSpec) else None


def _put(path: Path, asked: Mapping[Path, Training], order: list[Training], *, chain: tuple[Path, ...]) -> None:
    """Add the training into `path` to `order`, its teacher's first."""
    training = asked.get(path)
    if training is None or training in order:
        return
    if path in chain:
        circle = " -> ".join(asked[one].directory for one in (*chain[chain.index(path) :], path))
        raise InputError([f"trainings wait for each other: {circle}; give one of them another distil.teacher"])
    if training.teacher_path is not None:
        _put(training.teacher_path, asked, order, chain=(*chain, path))
    order.append(training)
