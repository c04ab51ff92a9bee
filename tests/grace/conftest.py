"""What holds for every test of the trainer: none reads what another has made for its texts."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for rationales and vectors that trainings share; two runs of one test share it."""
    monkeypatch.setattr("grace.run.parts.user_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"
