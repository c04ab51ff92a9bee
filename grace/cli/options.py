"""Options and steps that the commands over candidates share."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from harness.candidates.candidate import Candidate
from harness.candidates.named import named_candidate
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.errors import InputError
from harness.sources.places import Sources, go_offline

CandidateArgument = Annotated[
    str,
    typer.Argument(
        metavar="CANDIDATE",
        help="A candidate directory, SUITE:MODEL (demo:minilm), or '{encoder: mean-pool, model: org/name}'.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("-o", metavar="KEY=VALUE", help="Override a value of the entry: -o generation.max_new_tokens=32."),
]
PromptOption = Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="Stands before every text.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of sampled rationales.")]
HubOption = Annotated[
    Path | None, typer.Option("--hub", envvar="HARNESS_HUB", help="A local hub, looked up before the network.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never ask the network.")]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Neither read nor keep rationales and vectors of this machine's cache.")
]


def find(reference: str, override: list[str] | None, hub: Path | None, offline: bool) -> Candidate:
    """Return the candidate a user named; raises InputError or EnvironmentGapError."""
    if hub is not None and not hub.is_dir():
        raise InputError([f"--hub {hub}: no such folder; expected datasets/ORG/NAME and models/ORG/NAME below it"])
    if offline:
        go_offline()
    return named_candidate(reference, Sources(hub=hub.resolve() if hub else None, offline=offline), override or ())


def load_quietly(candidate: Candidate, *, seed: int, use_cache: bool) -> CheckedEncoder:
    """Load a candidate's encoder without the engines' chatter."""
    quiet()

    print(f"loading {candidate.name} ({candidate.kind})", file=sys.stderr)
    return load(candidate, seed=seed, use_cache=use_cache)


def quiet() -> None:
    """Send none of the engines' chatter to the terminal."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.simplefilter("ignore")
    for name in ("transformers", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
