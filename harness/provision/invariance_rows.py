"""One thing that was changed, held against each text alone: how far vectors and two small scores moved; pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.encoders.base import Vectors
from harness.errors import HarnessError
from harness.provision.invariance_texts import OwnTexts, named, normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a change may move what should not move."""

    cosine_loss: float
    """1 - cosine of a text's two vectors."""
    points: float
    """Of either score."""


TOLERANCES = {
    "float32": Tolerance(cosine_loss=1e-5, points=0.01),
    "float16": Tolerance(cosine_loss=1e-3, points=1.0),
    "bfloat16": Tolerance(cosine_loss=1e-2, points=2.0),
}
"""Of the coarser dtype of the two that are compared. Two pairs that change ranks move that score by 0.2 points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was changed."""

    what: str
    """Against what, in words."""
    tolerance: Tolerance | None = None
    """None where it was not tried."""
    cosine_loss: float | None = None
    """The largest of all texts."""
    text: str | None = None
    """Of which text."""
    sts: float | None = None
    """Points by which the score over pairs moves; None where not all texts were encoded again."""
    retrieval: float | None = None
    """And the one over queries."""
    rationales: str | None = None
    """Of an encoder that writes: how many are other ones."""
    why_not: str | None = None
    """Why it was not tried; None where it was."""
    failed: str | None = None
    """What the encoder refused, where it did."""
    counts: bool = True
    """False: nothing that the encoder does by itself; it is shown, and no verdict hangs on it."""

    @property
    def holds(self) -> bool:
        """Whether nothing moved beyond the tolerance; what was not tried moved nothing."""
        if self.failed is not None:
            return False
        if self.tolerance is None or self.cosine_loss is None:
            return True
        moved = max(abs(one) for one in (self.sts, self.retrieval, 0.0) if one is not None)
        return self.cosine_loss <= self.tolerance.cosine_loss and moved <= self.tolerance.points


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What an encoder makes of all texts."""

    vectors: Vectors
    """(n, d) float32, row i for text i."""
    rationales: tuple[Any, ...] | None
    """Token ids of each; None of an encoder that writes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What every change is held against: each text alone."""

    own: OwnTexts
    alone: Made
    tolerance: Tolerance

    def row(self, what: str, make: Callable[[], Made], *, tolerance: Tolerance | None = None) -> Row:
        """Return what comes of making all texts in another way; a refusal is a row too."""
        within = tolerance or self.tolerance
        try:
            made = make()
        except HarnessError as error:
            return Row(what=what, tolerance=within, failed=str(error))
        losses = cosine_losses(made.vectors, self.alone.vectors)
        return Row(
            what=what,
            tolerance=within,
            cosine_loss=float(losses.max()),
            text=named(self.own.texts[int(losses.argmax())]),
            sts=_moved(self.own.sts(made.vectors), self.own.sts(self.alone.vectors)),
            retrieval=_moved(self.own.retrieval(made.vectors), self.own.retrieval(self.alone.vectors)),
            rationales=_differing(made.rationales, self.alone.rationales),
        )


def _moved(made: float, alone: float) -> float | None:
    """Return by how much a score moved; None where there is none of the texts alone."""
    return made - alone if math.isfinite(alone) else None


def cosine_losses(vectors: Vectors, others: Vectors) -> Any:
    """Return (n,) float64: 1 - cosine of rows with like index, both (n, d); never below 0."""
    # By the difference of unit vectors: 1 - a product of two of them would be rounding below 1e-16 either way.
    apart = normalised(vectors) - normalised(others)
    return (apart * apart).sum(axis=1) / 2


def _differing(made: tuple[Any, ...] | None, alone: tuple[Any, ...] | None) -> str | None:
    if made is None or alone is None:
        return None
    count = sum(a != b for a, b in zip(made, alone, strict=True))
    return f"{count} of {len(alone)} differ" if count else "equal"
