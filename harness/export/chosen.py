"""What is exported: the scores of one model, and what it is called outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.comparison.sides import Found
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.statistics.conventions import CONFIDENCE

LEVEL = CONFIDENCE
TOOL = "encoder-verdict"
"""How this distribution calls itself in others' files."""


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
    revisions = {str((one.weights or {}).get("revision") or (one.fingerprint or "unknown")[:16]) for one in facts}
    return Chosen(
        model=model,
        name=name or (own if is_hub else f"harness/{model}"),
        revision=revision or (revisions.pop() if len(revisions) == 1 else "several"),
        scores=scores,
        results=results,
    )
