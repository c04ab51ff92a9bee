"""What trainings want and is not on this machine, nor to be had."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.candidates.candidate import MissingCandidate
from harness.candidates.identify import identify
from harness.candidates.named import named_entry
from harness.candidates.untrained import is_trained
from harness.errors import InputError
from harness.sources.hub_client import hub_problem
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Gap, Kind, Located, Sources, hub_gap
from harness.suite.load import model_of
from harness.training.asked import Training
from harness.wording import display_path

TELL = "a suite tells them by `train: {KEY: VALUE}`, the command by -o train.KEY=VALUE"
"""How configurations are told otherwise."""
ALL_SPLITS = "all"
"""As a configuration says that it reads every split."""


def refuse_faulty(trainings: Sequence[Training]) -> None:
    """Raise InputError with what is wrong with the configurations and directories, all at once."""
    problems = [f"{gap.what}: {gap.why}" for one in trainings for gap in problem_gaps(one)]
    if problems:
        raise InputError([*problems, TELL])


def problem_gaps(training: Training) -> list[Gap]:
    """Return what is wrong with a training's configuration and directory, each with the way to mend it."""
    what = f"training of {training.directory}"
    return [Gap(what=what, why=problem, command=TELL) for problem in training.problems]


def lacking_of(trainings: Sequence[Training], sources: Sources) -> dict[str, list[Gap]]:
    """Return directory -> what its training wants and cannot get; nothing for those that can begin.

    Args:
        trainings: with nothing wrong in their configurations.
        sources: where data and weights are looked for.
    """
    coming = {one.path for one in trainings}
    unreachable = _Unreachable(sources)
    found = {one.directory: list(_gaps(one, sources, unreachable, coming)) for one in trainings}
    return {directory: gaps for directory, gaps in found.items() if gaps}


def data_gap(training: Training) -> Gap | None:
    """Return that the file with the training data is not there; None where it is, or data are a dataset."""
    if training.data_path is None or Path(training.data_path).is_file():
        return None
    return Gap(
        what=f"training data of {training.directory}",
        why=f"{display_path(Path(training.data_path))}: no such file",
        command="put it there, or name another: -o train.data.path=FILE",
    )


def package_gaps(training: Training) -> list[Gap]:
    """Return the packages that a training wants and that are not installed."""
    return [
        Gap(what=f"package for {training.directory}", why=what, command=f"pip {command}")
        for what, _, command in (one.partition(": pip ") for one in training.lacking)
    ]


class _Unreachable:
    """Why the hub does not answer; asked once, and only where something is wanted from it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._asked: list[str | None] = []

    def gap(self, place: Located, kind: Kind, repo: str) -> Gap | None:
        if place.kind != "hub":
            return None
        if not self._asked:
            self._asked.append(hub_problem())
        why = self._asked[0]
        if why is None:
            return None
        return hub_gap(kind, repo, place.revision, self._sources, why=f"in no local hub or cache, and {why}")


def _gaps(training: Training, sources: Sources, hub: _Unreachable, coming: Collection[Path]) -> Iterator[Gap]:
    yield from package_gaps(training)
    if gap := data_gap(training):
        yield gap
    if training.dataset is not None:
        subsets, splits = (training.subset or "default",), named_splits(training)
        place = locate_dataset(sources, training.dataset, training.revision, subsets=subsets, splits=splits)
        gap = place if isinstance(place, Gap) else hub.gap(place, "datasets", training.dataset)
        if gap:
            yield gap
    model, revision, sha256 = training.base
    place = locate_model(sources, model, revision, sha256)
    gap = place if isinstance(place, Gap) else hub.gap(place, "models", model)
    if gap:
        yield gap
    yield from _teacher_gaps(training, sources, coming)


def _teacher_gaps(training: Training, sources: Sources, coming: Collection[Path]) -> Iterator[Gap]:
    """Yield what the teacher lacks: candidates that nobody trains; where all are there, its weights."""
    if training.teacher is None:
        return
    what = f"teacher {training.teacher!r}"
    absent = [one for one in training.awaited if not is_trained(one)]
    for one in absent:
        if one not in coming:
            why = f"{display_path(one)} is no candidate, and no model of the suite is trained into it"
            yield Gap(what=what, why=why, command="train it first, or add it to the suite")
    if absent:
        return
    entry, beside = named_entry(training.teacher)
    found = identify(model_of(entry, beside), sources, beside=beside)
    if isinstance(found, MissingCandidate):
        yield from (replace(gap, what=f"{what}: {gap.what}") for gap in found.gaps)


def named_splits(training: Training) -> tuple[str, ...]:
    """Return the splits that a training reads; empty where it reads all there are."""
    return () if training.split == ALL_SPLITS else tuple((training.split or "train").split("+"))
