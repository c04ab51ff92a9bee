"""Where things stand, for tests in any folder."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
REPOSITORY = TESTS.parent
SHARED_HUB = REPOSITORY.parent / "shared" / "data" / "hub"
"""The mirror of public data beside the project, where there is one."""
