"""Model-written programs in bubblewrap: run to their very end, or not (docs/sandbox.md)."""

from harness.sandbox.pool import Limits
from harness.sandbox.programs import Outcome, available, run_program, run_programs, version

__all__ = ["Limits", "Outcome", "available", "run_program", "run_programs", "version"]
