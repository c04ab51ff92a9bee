"""Options and steps that the commands over candidates share."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from harness.candidates.candidate import Candidate
from harness.candidates.named import named_candidate
from harness.cli.options import sources_of
from harness.encoders.base import FittedEncoder
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.environment import without_bars
from harness.errors import InputError

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
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Neither read nor keep rationales and vectors of this machine's cache.")
]


def find(reference: str, override: list[str] | None, hub: Path | None, offline: bool) -> Candidate:
    """Return the candidate a user named.

    Args:
        reference: as `CandidateArgument` says.
        override: of `-o`.
        hub, offline: where its weights are looked for.

    Raises:
        InputError: there is no such candidate, or the entry is wrong.
        EnvironmentGapError: what it is made of is not there.
    """
    return named_candidate(reference, sources_of(hub, offline), override or ())


def load_quietly(candidate: Candidate, *, seed: int, use_cache: bool) -> CheckedEncoder:
    """Load a candidate's encoder without the engines' chatter.

    Raises:
        InputError: it gives no vectors, or none of a text by itself.
        HarnessError: as loading raises.
    """
    refuse_fitted(candidate)
    quiet()
    print(f"loading {candidate.name} ({candidate.kind})", file=sys.stderr)
    encoder = load(candidate, seed=seed, use_cache=use_cache)
    if isinstance(encoder.inner, FittedEncoder):  # of another package
        raise InputError([f"{candidate.name}: {_fault(candidate.kind, embeds=True)}"])
    return encoder


def refuse_fitted(candidate: Candidate) -> None:
    """Raise InputError for an encoder of ours that has no vector of a text by itself, before anything is made."""
    if candidate.is_fitted:
        raise InputError([f"{candidate.name}: {_fault(candidate.kind, embeds=candidate.embeds)}"])


def _fault(kind: str, *, embeds: bool) -> str:
    """Return why an encoder has no vector of a text by itself, and what has."""
    why = "is fitted to the texts of a task, and here is none" if embeds else "ranks documents and gives no vectors"
    return f"{kind} {why}; name a model that embeds a text by itself (sentence-transformers, mean-pool, rationale)"


def quiet() -> None:
    """Send none of the engines' chatter to the terminal."""
    without_bars()
    warnings.simplefilter("ignore")
    for name in ("transformers", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
