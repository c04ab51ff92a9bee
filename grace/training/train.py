"""From a configuration to a candidate directory: check all that can be, load, train, write.

An objective is a row of `OBJECTIVES`: what can be checked before a model is loaded, and its loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from grace.config.load import config_of, load_config
from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData, load_data
from grace.run.directory import RunDir
from grace.run.progress import Progress
from grace.run.session import Finished, Session
from grace.run.tracking import trackio
from grace.run.trainable import load_trainable, locate_base
from grace.run.world import World, join
from grace.training.candidate import write_candidate
from grace.training.contrastive.checks import check_contrastive
from grace.training.policy.checks import check_policy
from harness.encoders.weights import choose_device
from harness.environment import git_revision, hardware, versions
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources

logger = logging.getLogger(__name__)


class Objective(NamedTuple):
    """How one of `config.schema.Objective` is trained."""

    check: Callable[..., Any]
    """(config, data, *, processes): raises InputError or EnvironmentGapError over what needs no model."""
    train: str
    """`module:function` of (session, *, resume) -> Finished; imported when it begins, since trl is slow to load."""


_CONTRASTIVE = Objective(check=check_contrastive, train="grace.training.contrastive.loop:train_contrastive")
OBJECTIVES = {
    "infonce": _CONTRASTIVE,
    "simcse": _CONTRASTIVE,
    "infonce-rationale": _CONTRASTIVE,
    "grace": Objective(check=check_policy, train="grace.training.policy.loop:train_policy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What `train` did."""

    path: Path
    """The run's directory; a candidate unless interrupted."""
    finished: Finished


def train(
    config: TrainConfig | Path | str | Mapping[str, Any],
    out: Path | str,
    *,
    resume: bool = False,
    sources: Sources | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a candidate.

    Args:
        config: a configuration, its file, or plain data.
        out: the directory to make.
        resume: go on with the run that stands there.
        sources: where datasets and weights are looked for.
        progress: what is told of the steps; standard error where None.

    Raises:
        InputError: configuration, data or directory are wrong; all that can be is checked before the model is loaded.
        EnvironmentGapError: data, weights or a package are not there, or the disk is full.
        TrainingFailedError: the loss is no number any more.
    """
    made = _config(config)
    sources, progress = sources or Sources(), progress or Progress()
    data = load_data(made.data, sources, at_least=made.batch_size)
    if made.trackio:
        trackio()
    weights = locate_base(made, sources)
    world = join(choose_device(made.device))
    objective = OBJECTIVES[made.objective]
    objective.check(made, data, processes=world.size)
    run = RunDir(Path(out), is_main=world.is_main)
    _prepare(run, made, data, resume=resume, world=world)
    if world.is_main and data.skipped:
        progress.say(f"{len(data.skipped)} row(s) skipped; see {run.path / 'skipped.jsonl'}")
    trained = load_trainable(made, weights, keep_base=made.retain_weight > 0 or made.grace.beta > 0)
    session = Session(config=made, run=run, trained=trained, data=data, world=world, progress=progress)
    finished = _loop_of(objective)(session, resume=resume)
    if not finished.is_interrupted:
        facts = {
            "steps": finished.steps,
            "seconds": round(finished.seconds, 1),
            "cpu_seconds": round(finished.cpu_seconds, 1),
            "processes": world.size,
            **finished.facts,
        }
        write_candidate(run, made, trained, data, facts=facts)
    return Trained(path=run.path, finished=finished)


def _config(config: TrainConfig | Path | str | Mapping[str, Any]) -> TrainConfig:
    if isinstance(config, TrainConfig):
        return config_of(config.model_dump(mode="json", exclude_unset=True))  # checks what needs several fields
    return load_config(config).config if isinstance(config, Path | str) else config_of(config)


def _loop_of(objective: Objective) -> Callable[..., Finished]:
    module, _, name = objective.train.partition(":")
    loop: Callable[..., Finished] = getattr(import_module(module), name)
    return loop


def _prepare(run: RunDir, config: TrainConfig, data: TrainingData, *, resume: bool, world: World) -> None:
    problem: InputError | EnvironmentGapError | None = None
    try:
        if world.is_main:  # the others would take what it has just written for somebody else's run
            run.prepare(config, resume=resume)
    except (InputError, EnvironmentGapError) as error:
        problem = error
    failed = world.total([problem is not None], "cpu" if world.size == 1 else choose_device(config.device))[0]
    if problem is not None:
        raise problem
    if failed:
        raise InputError([f"{run.path}: the main process could not prepare it"])
    run.write_rows("skipped.jsonl", [one._asdict() for one in data.skipped])
    run.write_json("environment.json", {"git": git_revision(), "versions": versions(), "hardware": hardware()})
