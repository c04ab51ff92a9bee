"""What is exported: the scores of one model, and what it is called outside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.comparison.sides import Found
from harness.errors import InputError
from harness.results.facts import Facts, facts_of
from harness.results.records import Score
from harness.statistics.conventions import CONFIDENCE
from harness.suite.fields import NAME_PATTERN

LEVEL = CONFIDENCE
TOOL = "encoder-verdict"
"""How this distribution calls itself in others' files."""
_CHARACTERS = "letters, digits and any of _ . + @ = - with a letter or digit first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The scores of one model."""

    model: str
    """Its name here."""
    name: str
    """`org/name`, as it is called outside."""
    revision: str
    """Of the model; its fingerprint where it has no other."""
    scores: Mapping[str, Score]
    """Task, with its splits, subsets and parts where they are not the usual ones -> score."""
    results: Path
    """The results folder they are in."""
    other_than: str = ""
    """What it is other than its repository on the hub, whose name it does not have then; empty where nothing is."""

    @property
    def dimension(self) -> int | None:
        """Of the vectors that were scored; None where nothing says it."""
        facts = facts_of(next(iter((self.of_axis("embedding") or self.scores).values())))
        found: int | None = _size(facts).get("dimension", facts.encoder.get("dimension"))
        return found

    def of_axis(self, axis: str) -> dict[str, Score]:
        """Return the scores of one axis."""
        return {label: one for label, one in self.scores.items() if one.axis == axis}


class Exported(NamedTuple):
    """What an export came to."""

    files: Mapping[Path, bytes]
    """File, below the folder that is written to -> content."""
    left: tuple[str, ...]
    """`task: why it is not there`."""
    said: tuple[str, ...] = ()
    """What became of what was there before, a line each."""


def chosen(model: str, found: Mapping[str, Found], results: Path, *, name: str | None, revision: str | None) -> Chosen:
    """Return the scores that can be exported; failures and cells that are missing are none.

    Args:
        model: its name here.
        found: label -> cell, of `comparison.sides`.
        results: the folder they were read from.
        name: what to call it outside; None: its repository on the hub, or `harness/MODEL`.
        revision: of it; None: that of its weights, else the fingerprint.
    """
    scores = {label: one.result for label, one in found.items() if isinstance(one.result, Score)}
    facts = [facts_of(one) for one in scores.values()]
    repositories = {str(one.spec.get("model")) for one in facts}
    own = repositories.pop() if len(repositories) == 1 else ""
    is_hub = own.count("/") == 1 and not own.startswith((".", "/", "wheel:")) and not Path(own).exists()
    other = _other_than_its_weights(model, tuple(scores.values()))
    fingerprints = {(one.fingerprint or "unknown")[:16] for one in facts}
    revisions = {str((one.weights or {}).get("revision") or (one.fingerprint or "unknown")[:16]) for one in facts}
    known = fingerprints if other else revisions
    return Chosen(
        model=model,
        name=name or (own if is_hub and not other else f"harness/{model}"),
        revision=revision or (known.pop() if len(known) == 1 else "several"),
        scores=scores,
        results=results,
        other_than=f"{own} {other}" if is_hub and other and not name else "",
    )


def check_names(name: str | None, revision: str | None) -> None:
    """Raise InputError where `--as` or `--revision` is no name: folders and files are called by them."""
    problems = []
    if name is not None and not (
        name.count("/") < 2 and all(re.fullmatch(NAME_PATTERN, one) for one in name.split("/"))
    ):
        problems.append(f"--as {name!r}: expected org/name or a name, each of {_CHARACTERS}")
    if revision is not None and not re.fullmatch(NAME_PATTERN, revision):
        problems.append(f"--revision {revision!r}: a folder is called by it; expected {_CHARACTERS}")
    if problems:
        raise InputError(problems)


def _other_than_its_weights(model: str, scores: Sequence[Score]) -> str:
    """Return what a model has beside the weights of its repository, or leaves of their vectors; empty where nothing.

    Scores of such a model in the repository's name would be taken for the repository's own.
    """
    found: dict[str, None] = {}
    for score in scores:
        facts = facts_of(score)
        size = _size(facts)
        said = {
            "with an adapter": facts.adapter is not None or facts.spec.get("adapter"),
            "with soft tokens": facts.spec.get("soft_tokens"),
            "with a suffix": score.axis == "embedding" and facts.spec.get("suffix"),
            "with rationales": score.axis == "embedding" and facts.spec.get("encoder") == "rationale",
            f"cut to {size.get('dimension')} dimensions": size.get("dimension"),
            f"as {size.get('precision')}": size.get("precision"),
        }
        found |= {text: None for text, holds in said.items() if holds}
    if re.search(r"@prompt-\d+$", model):
        found["under other prompts"] = None
    return ", ".join(found)


def _size(facts: Facts) -> Mapping[str, Any]:
    """Return what a size of a model's vectors adds to its identity; nothing for whole ones.

    An encoder that is fitted has no sizes, and a `dimension` of its own there.
    """
    identity = facts.identity or {}
    is_fitted = "weights" not in identity and "provided_by" not in identity
    return {} if is_fitted else {name: identity[name] for name in ("dimension", "precision") if name in identity}
