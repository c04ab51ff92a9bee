"""The sections of a report, in the order of both report.md and the page."""

from __future__ import annotations

from harness.report.sections import (
    ability,
    contamination,
    costs,
    moved,
    prices,
    problems,
    prompts,
    provenance,
    public,
    published,
    rationales,
    seeds,
    sizes,
    tasks,
    trade_off,
    types,
    verdict,
)
from harness.report.sections.section import Section

SECTIONS: tuple[Section, ...] = (
    verdict,
    trade_off,
    types,
    sizes,
    tasks,
    public,
    moved,
    prompts,
    seeds,
    ability,
    rationales,
    costs,
    prices,
    contamination,
    published,
    provenance,
    problems,
)
"""report.md tells an axis at a time: what types, tasks and ability have to say there stands in the verdict's part."""
