"""What can go wrong in a training run that no check before it sees."""

from __future__ import annotations

from harness.errors import ExitCode, HarnessError


class TrainingFailedError(HarnessError):
    """The loss or a gradient is no finite number: nothing good would follow."""

    exit_code = ExitCode.CELLS_FAILED
