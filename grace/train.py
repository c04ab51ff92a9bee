"""From a configuration to a candidate directory: check all that can be, load, train, write."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from grace.candidate import write_candidate
from grace.config import TrainConfig
from grace.config_load import config_of, load_config
from grace.data import TrainingData, load_data
from grace.progress import Progress
from grace.run_dir import RunDir
from grace.session import Finished, Session
from grace.tracking import trackio
from grace.trainable import load_trainable, locate_base
from grace.world import World, join
from harness.encoders.weights import choose_device
from harness.environment import git_revision, hardware, versions
from harness.errors import EnvironmentGapError, InputError
from harness.hub import Sources

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
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
) -> Outcome:
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
    _check(made, data, world)
    run = RunDir(Path(out), is_main=world.is_main)
    _prepare(run, made, data, resume=resume, world=world)
    if world.is_main and data.skipped:
        progress.say(f"{len(data.skipped)} row(s) skipped; see {run.path / 'skipped.jsonl'}")
    trained = load_trainable(made, weights, keep_base=made.retain_weight > 0 or made.grace.beta > 0)
    session = Session(config=made, run=run, trained=trained, data=data, world=world, progress=progress)
    finished = _train(session, resume=resume)
    if not finished.is_interrupted:
        facts = {
            "steps": finished.steps,
            "seconds": round(finished.seconds, 1),
            "cpu_seconds": round(finished.cpu_seconds, 1),
            "processes": world.size,
            **finished.facts,
        }
        write_candidate(run, made, trained, data, facts=facts)
    return Outcome(path=run.path, finished=finished)


def _config(config: TrainConfig | Path | str | Mapping[str, Any]) -> TrainConfig:
    if isinstance(config, TrainConfig):
        return config_of(config.model_dump(mode="json", exclude_unset=True))  # checks what needs several fields
    return load_config(config).config if isinstance(config, Path | str) else config_of(config)


def _check(config: TrainConfig, data: TrainingData, world: World) -> None:
    """Check how data, batch and processes go together, before a directory is made and the model is loaded."""
    if config.objective == "grace":
        from grace import policy

        policy.check(config, data, processes=world.size)
    else:
        from grace import infonce

        infonce.check(config, processes=world.size)


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


def _train(session: Session, *, resume: bool) -> Finished:
    if session.config.objective == "grace":
        from grace.policy import train_policy

        return train_policy(session, resume=resume)
    from grace.infonce import train_contrastive

    return train_contrastive(session, resume=resume)


class _CallableModule(ModuleType):
    """Lets `grace.train(config, out)` work beside `from grace.train import train`."""

    def __call__(self, *arguments: Any, **options: Any) -> Outcome:
        return train(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule
