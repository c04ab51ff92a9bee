"""`model@seed-k`: a model with seeds is one candidate a seed, and its name says which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.errors import InputError

_SEED = re.compile(r"(.+)@seed-(\d+)")


class SeedName(NamedTuple):
    """What the name of one run says."""

    model: str
    number: int


def split_seed(name: str) -> SeedName:
    """Return model and seed of `model@seed-2`; of another name itself and 0."""
    match = _SEED.fullmatch(name)
    return SeedName(match[1], int(match[2])) if match else SeedName(name, 0)


def expand(candidate: Candidate | MissingCandidate, taken: Sequence[str]) -> list[Candidate | MissingCandidate]:
    """Return the candidate, or one for each of its seeds.

    Args:
        candidate: as identified.
        taken: names of the suite's models.

    Raises:
        InputError: it draws no random numbers, or a name is taken.
    """
    count = None if isinstance(candidate, MissingCandidate) else candidate.seeds
    if isinstance(candidate, MissingCandidate) or count is None:
        return [candidate]
    settings = getattr(candidate.spec, "generation", None)
    if candidate.directory is not None and (settings is None or settings.temperature == 0):
        why = f"{candidate.directory} draws no random numbers (no rationale encoder, or decoded greedily)"
        raise InputError([f"model {candidate.name!r}: seeds: every run would be the same: {why}; take `seeds` out"])
    name = candidate.name
    each = [replace(candidate, name=f"{name}@seed-{k}", seed_index=k, seed_of=name) for k in range(count)]
    twice = [one.name for one in each if one.name in taken]
    if twice:
        raise InputError([f"model {name!r}: seeds: {one!r} is a model of its own; rename it" for one in twice])
    return list(each)
