"""The errors a user can cause or meet, each with its exit code; imports nothing.

A `HarnessError` is printed without a traceback; anything else is a bug and keeps its own.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; of several that hold, the first in `PRECEDENCE` is used."""

    OK = 0
    GATE_FAILED = 1
    USER_ERROR = 2
    CELLS_FAILED = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.USER_ERROR,
    ExitCode.ENVIRONMENT,
    ExitCode.CELLS_FAILED,
    ExitCode.GATE_FAILED,
)


def worst(codes: list[ExitCode]) -> ExitCode:
    """Return the exit code that takes precedence among `codes`; `OK` for an empty list."""
    return next((code for code in PRECEDENCE if code in codes), ExitCode.OK)


class HarnessError(Exception):
    """Something the user can mend; the message says what, the value, the choices and the next step."""

    exit_code = ExitCode.USER_ERROR


class InputError(HarnessError):
    """One or more problems in files or flags, all of them in one message, a line each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep `problems` (one line each, `file:line:column: what`) and join them as the message."""
        self.problems = problems
        super().__init__("\n".join(problems))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        """Return how it is made again in another process."""
        return type(self), (self.problems,)


class EnvironmentGapError(HarnessError):
    """Data, a model, a package or a sandbox is not there; the message lists all gaps."""

    exit_code = ExitCode.ENVIRONMENT

    def __init__(self, gaps: list[str]) -> None:
        """Keep `gaps` (one paragraph each) and join them as the message."""
        self.gaps = gaps
        super().__init__("\n".join(gaps))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        """Return how it is made again in another process."""
        return type(self), (self.gaps,)


class EncoderOutputError(HarnessError):
    """An encoder returned something that must not be scored: shape, dtype, NaN, a zero vector."""

    exit_code = ExitCode.CELLS_FAILED


class AdapterHasNoEffectError(HarnessError):
    """An adapter was loaded and the hidden states did not change: the base would be scored in its name."""

    exit_code = ExitCode.CELLS_FAILED


class WeightsDoNotFitError(HarnessError):
    """Weights or an adapter lack tensors of the model, or have some that it has no place for."""

    exit_code = ExitCode.CELLS_FAILED


class CellLostError(HarnessError):
    """The process that worked on a cell ended, or the executor did, before the cell came to a result."""

    exit_code = ExitCode.CELLS_FAILED


class ResultsNotWrittenError(EnvironmentGapError):
    """Nothing more can be committed to the results folder; ends the run, what is committed stays."""
