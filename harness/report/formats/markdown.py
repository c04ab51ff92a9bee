"""`report.md`: what the report is of, then every section that has something to say."""

from __future__ import annotations

from harness.report.sections.order import SECTIONS
from harness.report.sections.section import Report
from harness.summary.views import Summary


def render(report: Report) -> str:
    """Return the report as Markdown."""
    parts = [_head(report.summary), *(section.markdown(report) for section in SECTIONS)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _gaps(summary: Summary) -> str:
    """Return how many cells have no score, where some have none; those that do not apply are no gap."""
    states = [view.status for view in summary.cells.values()]
    counts = {"failed": states.count("error"), "missing": states.count("missing")}
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return f"Of {len(states)} cells {' and '.join(told)}: see Errors and Missing" if told else ""


def _head(summary: Summary) -> str:
    limited = f" - LIMITED to {', '.join(map(str, summary.limits))} items a task" if summary.limits else ""
    lines = [f"# {summary.title}{limited}"]
    if summary.description:
        lines += ["", summary.description]
    if summary.off_count_said:
        lines += ["", f"**{summary.off_count_said}.**"]
    if gaps := _gaps(summary):
        lines += ["", f"**{gaps}.**"]
    if summary.limits:
        lines += ["", "Limited scores are comparable with each other only, never with full or published ones."]
    if summary.baseline:
        lines += ["", f"Differences are to **{summary.baseline}**, over the tasks that both models have."]
    return "\n".join(lines)
