"""`grace train`: a configuration and a directory in, a candidate out; or all that a suite lacks."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from grace.cli.of_suite import train_suite
from grace.config.load import LoadedConfig, load_config
from grace.run.alone import alone_in, leave_with_parent
from grace.run.directory import CHECKPOINTS
from grace.training.train import train as run
from harness.candidates.untrained import is_trained, note_failure
from harness.cli.options import HubOption, ModelsOption, OfflineOption, TrackOption, sources_of
from harness.environment import without_bars
from harness.errors import ExitCode, InputError
from harness.sources.places import Sources
from harness.trackers import speaking_aside
from harness.writing import refuse

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG]", help="A training configuration (YAML), or a shipped one (trial/infonce)."),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Directory of the run, and of the candidate it ends as.")]
SuiteOption = Annotated[
    str | None, typer.Option("--suite", metavar="SUITE", help="Train what this suite lacks, and judge nothing.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "-o", metavar="KEY=VALUE", help="Override a value: -o optimiser.lr=1e-4; of a suite: -o train.steps=9."
    ),
]


def train(
    config: ConfigArgument = None,
    out: OutOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    unless_trained: Annotated[
        bool, typer.Option("--unless-trained", help="Do nothing where --out is a candidate already.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End, with a checkpoint, when the process that started it has.")
    ] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.001, help="Wall-clock budget.")] = None,
    track: TrackOption = None,
    suite: SuiteOption = None,
    models: ModelsOption = "",
    dry: Annotated[bool, typer.Option("--dry", help="With --suite: print the commands, and run none.")] = False,
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: SetOption = None,
) -> None:
    """Train a candidate; Ctrl-C leaves a checkpoint, and the same command with --resume goes on from there."""
    if suite is not None:
        if config is not None or out is not None or resume or (steps, minutes, track) != (None, None, None):
            alone = "--suite names configurations and directories itself, and goes on where it stopped"
            raise InputError([f"{alone}: it goes with --models, --dry, --hub, --offline and -o alone"])
        raise typer.Exit(train_suite(suite, override, models=models, sources=sources_of(hub, offline), dry=dry))
    if models or dry:
        raise InputError([f"{'--models' if models else '--dry'} goes with --suite"])
    if config is None or out is None:
        raise InputError(["give a configuration and --out DIR, or --suite SUITE"])
    if with_parent:
        leave_with_parent()
    flags = {"steps": steps, "budget_minutes": minutes, "track": track}
    overrides = [*(override or ()), *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    loaded = load_config(config, overrides)
    refuse({"--out": out})
    sources = sources_of(hub, offline)
    _quiet()
    try:
        with _alone(out):
            if unless_trained and is_trained(out):
                print(f"{out}: trained already")
                return
            _train(loaded, out, sources, resume=resume)
    except KeyboardInterrupt:
        _say_how_to_go_on(out)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _alone(out: Path) -> AbstractContextManager[None]:
    """Return the lock on a run's directory; the main process of several takes it for all."""
    return alone_in(out, lambda line: print(line, file=sys.stderr)) if _is_main() else nullcontext()


def _train(loaded: LoadedConfig, out: Path, sources: Sources, *, resume: bool) -> None:
    if _is_main():
        note_failure(out, None)
    with speaking_aside(loaded.config.tracker):
        outcome = run(loaded.config, out, resume=resume, sources=sources)
    if outcome.finished.is_interrupted:
        raise KeyboardInterrupt
    if _is_main():
        print(f"{out}: {loaded.config.candidate_kind} candidate after {outcome.finished.steps} steps")
        trust = ", trust_remote_code: true" if loaded.config.trust_remote_code else ""
        print(f"name it in a suite to evaluate it: {{name: {loaded.config.name}, candidate: {out}{trust}}}")


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _say_how_to_go_on(out: Path) -> None:
    has_one = any((out / CHECKPOINTS).glob("*-[0-9]*"))  # `step-N`, or trl's `checkpoint-N`
    kept = f"a checkpoint is kept in {out}" if has_one else f"there is no checkpoint in {out} yet"
    then = "goes on from it" if has_one else "begins again"
    print(f"interrupted: {kept}; the same command with --resume {then}", file=sys.stderr)


def _quiet() -> None:
    """Keep the libraries' chatter off the terminal; our own warnings stay."""
    without_bars()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr, force=True)
    for name in ("grace", "harness"):
        logging.getLogger(name).setLevel(logging.WARNING)
