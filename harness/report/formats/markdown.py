"""`report.md`: what the report is of, then every section that has something to say."""

from __future__ import annotations

from harness.report.sections.order import SECTIONS
from harness.report.sections.section import Report
from harness.summary.views import Summary


def render(report: Report) -> str:
    """Return the report as Markdown."""
    parts = [_head(report.summary), *(section.markdown(report) for section in SECTIONS)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(summary: Summary) -> str:
    limited = f" - LIMITED to {', '.join(map(str, summary.limits))} items a task" if summary.limits else ""
    lines = [f"# {summary.title}{limited}"]
    if summary.description:
        lines += ["", summary.description]
    if summary.off_count_said:
        lines += ["", f"**{summary.off_count_said}.**"]
    if summary.limits:
        lines += ["", "Limited scores are comparable with each other only, never with full or published ones."]
    if summary.baseline:
        lines += ["", f"Differences are to **{summary.baseline}**, over the tasks that both models have."]
    return "\n".join(lines)
