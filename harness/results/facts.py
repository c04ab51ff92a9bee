"""Reading provenance: the only file that knows its keys."""

from __future__ import annotations

from typing import Any

from harness.results.records import Score


def facts_of(score: Score) -> dict[str, Any]:
    """Return what the backend noted beside an ability score; empty for others."""
    facts: dict[str, Any] = score.provenance.get("ability") or {}
    return facts
