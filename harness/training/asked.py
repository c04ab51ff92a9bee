"""What missing candidates of a suite are trained from: as the suite says, and `grace needs` of each configuration.

harness never imports grace: a configuration is read by the command whose it is, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.candidates.untrained import gap_of, is_trained, training_command
from harness.errors import EnvironmentGapError
from harness.sources.places import Gap
from harness.suite.model_entries import CandidateSpec
from harness.suite.schema import Suite
from harness.suite.training import directory_of, overrides_of
from harness.wording import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A candidate directory that is not there yet, and how it comes to be."""

    directory: str
    """As the suite spells it."""
    config: str
    """A file, or the name of a shipped configuration."""
    overrides: tuple[str, ...]
    """`key=value` each."""
    models: tuple[str, ...]
    """Entries of the suite that are read from it."""
    shown: tuple[str, ...]
    """The command that a user would type."""
    gaps: tuple[Gap, ...]
    """What a plan says while it is not there, one for each way in which entries spell it."""
    problems: tuple[str, ...] = ()
    """Why its configuration or directory is refused; what follows is not known then."""
    objective: str = ""
    base: tuple[str, str | None, str | None] = ("", None, None)
    """Model, revision, sha256."""
    data_path: str | None = None
    """A file; None where it is a dataset."""
    dataset: str | None = None
    revision: str | None = None
    subset: str | None = None
    """Configuration of the dataset; None: its default."""
    split: str | None = None
    """None: train."""
    teacher: str | None = None
    """A candidate whose vectors are learnt, as the configuration names it; None where there is none."""
    teacher_path: Path | None = None
    """The teacher's directory; None where it is none, or unknown."""
    teacher_writer: Path | None = None
    """The directory of whoever writes the teacher's rationales; None where it writes its own, or none."""
    steps: int | None = None
    budget_minutes: float | None = None
    budget_cpu_seconds: float | None = None
    lacking: tuple[str, ...] = ()
    """Packages that are not installed, with the command that gets them."""

    @property
    def path(self) -> Path:
        """The directory, from the root."""
        return directory_of(self.directory)

    @property
    def awaited(self) -> tuple[Path, ...]:
        """The directories that must be candidates before it can begin."""
        return tuple(one for one in (self.teacher_path, self.teacher_writer) if one is not None)

    @property
    def ends_after(self) -> str:
        """What ends it, for people: steps and budgets, whichever is reached first."""
        ends = [f"{self.steps} steps"] if self.steps is not None else []
        if self.budget_minutes is not None:
            ends.append(f"{duration(60 * self.budget_minutes)} of time")
        if self.budget_cpu_seconds is not None:
            ends.append(f"{duration(self.budget_cpu_seconds)} of processor time")
        return " or ".join(ends)


def shown_command(training: Training) -> str:
    """Return the command that trains a candidate, as a user would type it."""
    return shlex.join(training.shown)


def untrained(suite: Suite) -> list[Training]:
    """Return a training for each directory of `suite` that is missing and has a configuration; asks nobody."""
    by_path: dict[Path, list[CandidateSpec]] = {}
    for spec in suite.models:
        if isinstance(spec, CandidateSpec):
            by_path.setdefault(directory_of(spec.candidate), []).append(spec)
    found = []
    for path, specs in by_path.items():
        told = next((one for one in specs if one.config is not None), None)
        if told is not None and told.config is not None and not is_trained(path):
            found.append(
                Training(
                    directory=os.path.expanduser(told.candidate),  # no shell stands between this and `grace`
                    config=told.config,
                    overrides=overrides_of(told),
                    models=tuple(one.name for one in specs),
                    shown=tuple(training_command(told)),
                    gaps=tuple(dict.fromkeys(gap_of(one) for one in specs)),
                )
            )
    return found


def ask(trainings: Sequence[Training], hub: Path | None = None) -> list[Training]:
    """Return `trainings` with what `grace needs` says of them; what is refused has its problems.

    Refused are configurations, directories that cannot be trained into (somebody else's, or of a run that began
    otherwise), and data whose first row lacks a column.

    Args:
        trainings: of a suite.
        hub: the local hub, in which datasets are looked at.
    """
    told = {} if hub is None else {"hub": str(hub)}
    requests = [{"config": one.config, "overrides": one.overrides, "out": one.directory, **told} for one in trainings]
    return [_told(one, row) for one, row in zip(trainings, ask_needs(requests), strict=True)]


def ask_needs(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what `grace needs` says of each request; starts nothing where there is none.

    Args:
        requests: `config`, `overrides`, and `out`, which is to be trained into, or `trained`, a candidate that is held
            against them.

    Raises:
        EnvironmentGapError: the command says nothing that can be read.
    """
    if not requests:
        return []
    command = grace_command("needs", "--requests", "--json")
    done = subprocess.run(
        command, input=json.dumps(requests), capture_output=True, text=True, env=grace_environment(), check=False
    )
    try:
        rows: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EnvironmentGapError(
            [f"{' '.join(command)}: {said[-1]}", "trainings cannot be read: is the package whole?"]
        ) from None
    return rows


def _told(training: Training, row: dict[str, Any]) -> Training:
    if "problems" in row:
        return replace(training, problems=tuple(row["problems"]))
    base, data = row["base"], row["data"]
    return replace(
        training,
        objective=row["objective"],
        base=(base["model"], base["revision"], base["sha256"]),
        data_path=data["path"],
        dataset=data["dataset"],
        revision=data["revision"],
        subset=data["config"],
        split=data["split"],
        teacher=row["teacher"],
        steps=row["steps"],
        budget_minutes=row["budget_minutes"],
        budget_cpu_seconds=row["budget_cpu_seconds"],
        lacking=tuple(row["lacking"]),
    )


def grace_command(*arguments: str) -> list[str]:
    """Return the command of grace, by this interpreter; a folder `grace` where it is started is none of it."""
    return [sys.executable, "-P", "-m", "grace", *arguments]


def grace_environment() -> dict[str, str]:
    """Return the environment in which grace is the one that came with this harness."""
    package = str(Path(__file__).resolve().parents[2])
    path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
