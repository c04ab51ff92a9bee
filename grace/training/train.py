"""From a configuration to a candidate directory: check all that can be, load, train, write.

An objective is a row of `OBJECTIVES`: what can be checked before a model is loaded, and its loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from grace.config.load import config_of, load_config
from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData, load_data
from grace.run.directory import RunDir
from grace.run.progress import Progress
from grace.run.session import Finished, Session
from grace.run.trainable import load_trainable, locate_base
from grace.run.world import World, all_there, join
from grace.training import probe
from grace.training.candidate import write_candidate
from grace.training.contrastive.checks import check_contrastive
from grace.training.contrastive.teacher import origins_of_teacher
from grace.training.policy.checks import check_policy
from harness.candidates.base import files_of
from harness.encoders.rationale.template import render_template
from harness.encoders.weights import choose_device
from harness.environment import git_revision, hardware, versions
from harness.errors import EnvironmentGapError, InputError
from harness.sources.lock import is_commit
from harness.sources.places import Located, Sources
from harness.trackers import check_tracker
from harness.wording import listing

MOVES_TRAINING = ("torch", "transformers", "tokenizers", "peft", "trl")
"""Packages whose version can change what a step does."""


class Objective(NamedTuple):
    """How one of `config.schema.Objective` is trained."""

    check: Callable[..., Any]
    """(config, data, *, processes): raises InputError or EnvironmentGapError over what needs no model."""
    loop: str
    """`module:function` of (session, *, resume) -> Finished; imported when it begins, since trl is slow to load."""
    origins: Callable[[TrainConfig, Sources], Mapping[str, Mapping[str, str]]] | None = None
    """What a run is made of beside its data and base; raises where that is not there."""

    def train(self, session: Session, *, resume: bool) -> Finished:
        """Run the loop."""
        module, _, name = self.loop.partition(":")
        with all_there(session.world, session.run.path):
            finished: Finished = getattr(import_module(module), name)(session, resume=resume)
        return finished


_CONTRASTIVE = Objective(check=check_contrastive, loop="grace.training.contrastive.loop:train_contrastive")
OBJECTIVES = {
    "infonce": _CONTRASTIVE,
    "simcse": _CONTRASTIVE,
    "infonce-rationale": _CONTRASTIVE,
    "grace": Objective(check=check_policy, loop="grace.training.policy.loop:train_policy"),
    "distil": _CONTRASTIVE._replace(origins=origins_of_teacher),
    "best-of-n": _CONTRASTIVE,
}
"""A row for each name; a new one is a row here, a section in `config/schema.py`, and its own file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What `train` did."""

    path: Path
    """The run's directory; a candidate unless interrupted."""
    finished: Finished
    """How the loop ended."""


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
        InputError: configuration, data or directory are wrong, or a resumed run is made of other data, base, prompt or
            packages than it began with; all that can be is checked before the model is loaded.
        EnvironmentGapError: data, weights or a package are not there, the disk is full, another process of the run is
            gone, or the base is of a family that grace would train as another model than it is.
        TrainingFailedError: the loss is no number any more.
    """
    config = _checked(config)
    objective = OBJECTIVES[config.objective]
    sources, progress = sources or Sources(), progress or Progress()

    found_as = _as_begun(config, RunDir(Path(out))) if resume else config
    data = load_data(found_as.data, sources, at_least=config.batch_size)
    weights = locate_base(found_as, sources)
    further = objective.origins(config, sources) if objective.origins else {}
    world = join(choose_device(config.device))
    objective.check(config, data, processes=world.size)
    run = RunDir(Path(out), is_main=world.is_main)
    _prepare(run, config, world, resume=resume)
    _hold_to(run, {**origins(data, weights), **further}, progress, resume=resume)
    _note_beginnings(run, data, progress)

    trained = load_trainable(config, weights, keep_base=config.needs_base)
    if weights.identity is None:  # the hub has said only now which commit it is
        _hold_to(run, _base_of(trained.weights), progress, resume=resume)
    trained = replace(trained, writing=probe.check(config, trained))
    if trained.writing == "plain":
        progress.say("rationales are written one text at a time, by the model's own forward pass: a slower way")
    if config.uses_rationales:
        prompt = {"prompt": {"sha256": render_template(trained.tokenizer).sha256}}
        _hold_to(run, prompt, progress, resume=resume)
    session = Session(
        config=config, run=run, trained=trained, data=data, sources=sources, world=world, progress=progress
    )
    finished = objective.train(session, resume=resume)
    if not finished.is_interrupted:
        write_candidate(run, config, trained, data, facts=_facts(finished, world))
    return Trained(path=run.path, finished=finished)


def _checked(config: TrainConfig | Path | str | Mapping[str, Any]) -> TrainConfig:
    """Return the configuration, with what needs several fields checked, and the package that it logs to."""
    if isinstance(config, TrainConfig):
        config = config.model_dump(mode="json", exclude_unset=True)
    checked = load_config(config).config if isinstance(config, Path | str) else config_of(config)
    check_tracker(checked.tracker)
    return checked


def _as_begun(config: TrainConfig, run: RunDir) -> TrainConfig:
    """Return where a run that goes on finds data and base: at the commits that it began with, where nothing pins one.

    The branch may have moved on since; the rows and weights of then are what a resumed run is held to, and are still
    to be had.
    """
    noted = run.noted()
    data, base = (noted.get(what, {}) for what in ("data", "base"))
    found: dict[str, Any] = {}
    if not is_commit(config.data.revision) and "commit" in data and data.get("repo") == config.data.dataset:
        found["data"] = config.data.model_copy(update={"revision": data["commit"]})
    if not is_commit(config.revision) and "commit" in base and base.get("repo") == config.model:
        found["revision"] = base["commit"]
    return config.model_copy(update=found)


def _prepare(run: RunDir, config: TrainConfig, world: World, *, resume: bool) -> None:
    """Make the run's directory on the main process, and stop all of them where that cannot be."""
    problem: InputError | EnvironmentGapError | None = None
    try:
        if world.is_main:  # the others would take what it has just written for somebody else's run
            run.prepare(config, resume=resume)
    except (InputError, EnvironmentGapError) as error:
        problem = error
    with all_there(world, run.path):
        failed = world.total([problem is not None], "cpu" if world.size == 1 else choose_device(config.device))[0]
    if problem is not None:
        raise problem
    if failed:
        raise InputError([f"{run.path}: the main process could not prepare it"])


def origins(data: TrainingData, weights: Located) -> dict[str, dict[str, str]]:
    """Return what a run is made of beside its configuration: other data, base or packages make another run of it."""
    return {
        "data": dict(data.identity),
        **_base_of(weights),
        "packages": {name: _version(name) for name in MOVES_TRAINING},
    }


def _base_of(weights: Located) -> dict[str, dict[str, str]]:
    """Return what the base is, the same before it was fetched and after; nothing while it cannot be known."""
    if weights.identity is None:
        return {}
    if "files_sha256" not in weights.identity:
        return {"base": dict(weights.identity)}
    files = files_of(weights)  # a README that is edited beside the weights makes no other base
    return {} if files is None else {"base": {"sha256": files}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _hold_to(run: RunDir, facts: Mapping[str, Mapping[str, str]], progress: Progress, *, resume: bool) -> None:
    """Note what a run is made of; raises InputError where a resumed run is made of something else."""
    is_noted = run.hold_to(facts)
    if resume and not is_noted and run.is_main and run.metrics():
        progress.say(f"{run.path}: began without a note of its {listing(list(facts))}: whether they changed is unknown")


def _note_beginnings(run: RunDir, data: TrainingData, progress: Progress) -> None:
    """Write what was left out of the data, and what the run runs on."""
    run.write_rows("skipped.jsonl", [one._asdict() for one in data.skipped])
    run.write_json("environment.json", {"git": git_revision(), "versions": versions(), "hardware": hardware()})
    if run.is_main and data.remark:
        progress.say(data.remark)
    if run.is_main and data.skipped:
        progress.say(f"{len(data.skipped)} row(s) skipped; see {run.path / 'skipped.jsonl'}")


def _facts(finished: Finished, world: World) -> dict[str, Any]:
    """Return how the training went, for `candidate.yaml`."""
    return {
        "steps": finished.steps,
        "seconds": round(finished.seconds, 1),
        "cpu_seconds": round(finished.cpu_seconds, 1),
        "processes": world.size,
        **finished.facts,
    }
