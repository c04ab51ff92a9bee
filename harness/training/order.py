"""Which trainings are wanted for some models of a suite, a teacher before whoever learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.candidates.named import named_entry
from harness.errors import InputError
from harness.suite.model_entries import CandidateSpec, ModelSpec
from harness.suite.schema import Suite
from harness.suite.training import directory_of
from harness.training.asked import Training, ask, untrained
from harness.wording import did_you_mean, listing


def to_train(suite: Suite, models: Sequence[str] = (), *, hub: Path | None = None) -> list[Training]:
    """Return what is to be trained before `models` can be judged, in the order in which it can be.

    Args:
        suite: whose candidates may be missing.
        models: only these, with whoever writes for them or teaches them; empty: all.
        hub: the local hub, in which training data are looked at.

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
    every = [_with_teacher(one) for one in ask(untrained(suite), hub)]
    asked = {one.path: one for one in every}
    order: list[Training] = []
    for name in models or by_name:
        for path in _wanted_for(by_name[name], by_name):
            _put(path, asked, order, chain=())
    return order


def _wanted_for(spec: ModelSpec, by_name: Mapping[str, ModelSpec]) -> list[Path]:
    """Return the directories of a model and of whoever writes for it; a writer writes for itself."""
    writer = by_name.get(str(getattr(spec, "writer", None)))
    found = [_directory(one) for one in (spec, writer) if one is not None]
    return [one for one in found if one is not None]


def _with_teacher(training: Training) -> Training:
    """Return a training with the directories of its teacher and of the teacher's writer, as far as they have some.

    A suite that it names is read as grace will read it: two models are one where they name one directory. What names no
    teacher is a problem of its configuration.
    """
    teacher = training.teacher
    if teacher is None:
        return training
    path = Path(teacher).expanduser()
    if path.is_dir() or not (":" in teacher or teacher.lstrip().startswith("{")):
        return replace(training, teacher_path=path.resolve())
    try:
        entry, beside = named_entry(teacher)
    except InputError as error:
        return replace(training, problems=(*training.problems, *(f"distil.teacher: {one}" for one in error.problems)))
    directory = entry.get("candidate")
    writer = next((one for one in beside if one.name == entry.get("writer")), None)
    return replace(
        training,
        teacher_path=directory_of(directory) if isinstance(directory, str) else None,
        teacher_writer=_directory(writer) if writer is not None else None,
    )


def _directory(spec: ModelSpec) -> Path | None:
    return directory_of(spec.candidate) if isinstance(spec, CandidateSpec) else None


def _put(path: Path, asked: Mapping[Path, Training], order: list[Training], *, chain: tuple[Path, ...]) -> None:
    """Add the training into `path` to `order`, those of its teacher and of the teacher's writer first."""
    training = asked.get(path)
    if training is None or training in order:
        return
    if path in chain:
        circle = " -> ".join(asked[one].directory for one in (*chain[chain.index(path) :], path))
        raise InputError([f"trainings wait for each other: {circle}; give one of them another distil.teacher"])
    for one in training.awaited:
        _put(one, asked, order, chain=(*chain, path))
    order.append(training)
