"""What went wrong, what is not there, what nothing vouches for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.report.sections.section import Link, Report
from harness.report.tables import folded
from harness.summary.views import CellView

LINK = Link("problems", "Problems")
MOST_NAMED = 6
"""Cells that report.md names for one reason, and sources of one hub; the page has all."""
MOST_LINES = 12
"""Of a list that stand unfolded: what is said of every cell of a whole benchmark would be hundreds."""
LEAST_TOGETHER = 4
"""Remarks that say the same are told together."""
_COUNTED = re.compile(
    r"(?P<who>[^:]+): (?P<count>[\d,]+(?: of [\d,]+)?) (?P<what>\D.*?)(?: \((?P<shares>[\d.]+% [^()]*)\))?"
)
"""`TASK: 12 of 1,406 items: ...`, `MODEL/TASK: 3 text(s) were cut ... (1.5% of the texts, ...)`."""
_IN_HUB = re.compile(
    r"(?P<what>.*?)(?::| from) (?P<hub>local hub .+?)/(?P<path>(?:datasets|models)/[^/]+/[^/]+) \((?P<why>[^()]*)\)"
)
"""A line of `Summary.unverified` about a repository in a local hub."""


def markdown(report: Report) -> str:
    """Return errors, missing cells by reason, unverified sources and remarks, a heading each; empty without any."""
    views = report.summary.cells.values()
    found = {
        "Errors": [f"{v.cell}: {v.failure.error}: {_first_line(v.failure.message)}" for v in views if v.failure],
        "Missing": [f"{_some(cells)}: {reason}" for reason, cells in _missing(views).items()],
        "Unverified sources": [
            one.lines[0] if len(one.lines) == 1 else f"{one.hub}: {_some(one.lines)}"
            for one in _by_hub(report.summary.unverified)
        ],
        "Remarks": [
            one.lines[0] if one.of is None else f"{one.of}: {_some(one.lines)}"
            for one in _by_kind(report.summary.warnings)
        ],
    }
    parts = [f"## {title}\n\n{_listed(lines)}{_hint(title)}" for title, lines in found.items() if lines]
    return "\n\n".join(parts)


def page(report: Report) -> dict[str, Any]:
    """Return the same, errors with their traceback."""
    views = report.summary.cells.values()
    return {
        "errors": [view for view in views if view.failure is not None],
        "missing": list(_missing(views).items()),
        "unverified": _by_hub(report.summary.unverified),
        "warnings": _by_kind(report.summary.warnings),
        "most_lines": MOST_LINES,
    }


class Hub(NamedTuple):
    """What is not vouched for in one place."""

    hub: str
    """In words, with why it counts as unverified; of a line of no hub the line itself."""
    lines: list[str]
    """The line itself where it is alone, else what of the hub was used: names and paths."""


def _by_hub(unverified: Sequence[str]) -> list[Hub]:
    """Return the lines with those of one local hub together: a benchmark has a line a task."""
    hubs: dict[str, list[tuple[str, str]]] = {}
    for line in unverified:
        found = _IN_HUB.fullmatch(line)
        hub = f"{found['hub']} ({found['why']})" if found else line
        hubs.setdefault(hub, []).append((line, f"{found['what']} from {found['path']}" if found else line))
    return [
        Hub(hub, [line for line, _ in lines] if len(lines) == 1 else [short for _, short in lines])
        for hub, lines in hubs.items()
    ]


class Kind(NamedTuple):
    """Remarks that say one thing of several tasks or cells."""

    of: str | None
    """What they say; None of a remark that stands alone."""
    lines: list[str]
    """Of whom, with the number; the remark itself where it stands alone."""


def _by_kind(remarks: Sequence[str]) -> list[Kind]:
    """Return the remarks with those that differ in whom and how many alone together, each where its first one stood."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for line in remarks:
        found = _COUNTED.fullmatch(line)
        many = "; ".join(one for one in (found["count"], found["shares"]) if one) if found else ""
        what, said = (found["what"], f"{found['who']} ({many})") if found else (line, line)
        kinds.setdefault(what, []).append((line, said))
    told: list[Kind] = []
    for what, lines in kinds.items():
        if len(lines) < LEAST_TOGETHER:
            told += [Kind(None, [line]) for line, _ in lines]
        else:
            told.append(Kind(what, [said for _, said in lines]))
    return told


def _missing(views: Iterable[CellView]) -> dict[str, list[str]]:
    """Return reason -> cells."""
    by_reason: dict[str, list[str]] = {}
    for view in views:
        if view.status == "missing":
            by_reason.setdefault(view.reason or "", []).append(str(view.cell))
    return by_reason


def _hint(title: str) -> str:
    return "\n\n`harness inspect CELL` shows the traceback." if title == "Errors" else ""


def _listed(lines: Sequence[str]) -> str:
    """Return a list, of which what is beyond `MOST_LINES` is folded."""
    shown, more = ["\n".join(f"- {line}" for line in part) for part in (lines[:MOST_LINES], lines[MOST_LINES:])]
    rest = len(lines) - MOST_LINES
    return f"{shown}\n\n{folded(f'{rest} more', more, rows=rest, most=0)}" if more else shown


def _some(cells: Sequence[str]) -> str:
    more = len(cells) - MOST_NAMED
    return f"{', '.join(cells[:MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
