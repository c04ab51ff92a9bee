"""Where `harness plan` takes the models' paces from: measured before, measured now, or stated."""

from __future__ import annotations

from dataclasses import dataclass

from harness.candidates.candidate import Candidate
from harness.cost import calibrate as calibration
from harness.cost.pace import Pace
from harness.errors import InputError
from harness.plan.cells import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """Where the paces of the models are taken from; without anything, from what was measured here before.

    Raises:
        InputError: both a calibration and a stated pace are asked for, or a part of a stated pace without the pace.
    """

    calibrate: bool = False
    """Measure them now."""
    tokens_per_second: float | None = None
    """Stated for all models instead."""
    generated_per_second: float | None = None
    """Tokens written a second; None where it is not stated."""
    dimension: int | None = None
    """Of vectors; None where it is not stated."""
    load_seconds: float | None = None
    """Of each model on each device; None where it is not stated, and then taken as nothing."""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        stated = {
            "--generated-per-second, the pace of writing,": self.generated_per_second,
            "--dimension": self.dimension,
            "--load-seconds": self.load_seconds,
        }
        if self.calibrate and any(one is not None for one in (self.tokens_per_second, *stated.values())):
            raise InputError(["--calibrate measures and --tokens-per-second states the pace: give one of them"])
        alone = [name for name, value in stated.items() if value is not None]
        if alone and self.tokens_per_second is None:
            raise InputError(
                [f"{name} goes with a stated pace of reading: give --tokens-per-second, too" for name in alone]
            )


def paces_of(plan: Plan, pacing: Pacing) -> dict[str, Pace | None]:
    """Return model -> pace, None where none is known."""
    paces: dict[str, Pace | None] = {}
    for candidate in plan.candidates:
        if pacing.tokens_per_second:
            paces[candidate.name] = calibration.stated(
                pacing.tokens_per_second,
                pacing.generated_per_second,
                dimension=pacing.dimension,
                load_seconds=pacing.load_seconds or 0.0,
            )
        elif not isinstance(candidate, Candidate) or not candidate.embeds:  # without vectors nothing is encoded
            paces[candidate.name] = None
        else:
            if candidate.encoder_name in paces:  # another size of its vectors
                paces[candidate.name] = paces[candidate.encoder_name]
                continue
            known = None if pacing.calibrate else calibration.known_pace(candidate)
            paces[candidate.name] = known or (calibration.measure(candidate) if pacing.calibrate else None)
    return paces
