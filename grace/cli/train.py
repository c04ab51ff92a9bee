"""`grace train`: a configuration and a directory in, a candidate out."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from grace.config.load import load_config
from grace.run.directory import CHECKPOINTS
from grace.training.train import train as run
from harness.cli.options import HubOption, OfflineOption, sources_of
from harness.environment import without_bars
from harness.errors import ExitCode
from harness.writing import refuse

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="A training configuration (YAML).")]
OutOption = Annotated[Path, typer.Option("--out", help="Directory of the run, and of the candidate it ends as.")]
SetOption = Annotated[
    list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value: -o optimiser.lr=1e-4.")
]


def train(
    config: ConfigArgument,
    out: OutOption,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.001, help="Wall-clock budget.")] = None,
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: SetOption = None,
) -> None:
    """Train a candidate; Ctrl-C leaves a checkpoint, and the same command with --resume goes on from there."""
    flags = {"steps": steps, "budget_minutes": minutes}
    overrides = [*(override or ()), *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    loaded = load_config(config, overrides)
    refuse({"--out": out})
    sources = sources_of(hub, offline)
    _quiet()
    try:
        outcome = run(loaded.config, out, resume=resume, sources=sources)
    except KeyboardInterrupt:
        _say_how_to_go_on(out)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if outcome.finished.is_interrupted:
        _say_how_to_go_on(out)
        raise typer.Exit(ExitCode.INTERRUPTED)
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"{out}: {loaded.config.candidate_kind} candidate after {outcome.finished.steps} steps")
        trust = ", trust_remote_code: true" if loaded.config.trust_remote_code else ""
        print(f"name it in a suite to evaluate it: {{name: {loaded.config.name}, candidate: {out}{trust}}}")


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
