"""What a section of the report is: a file here with `markdown(report)` and `page(report)`, and what both are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from harness.comparison.pair import difference, without_interval
from harness.results.records import Score
from harness.results.store import Store
from harness.statistics.difference import Difference
from harness.summary.views import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What every section is given."""

    summary: Summary
    """What is said, as plain data."""
    store: Store | None = None
    """The results folder; without one nothing more is resampled, and there are no items to read."""
    pictures: tuple[str, ...] = ()
    """Files that were drawn into the folder of pictures."""
    with_texts: bool = True
    """With what is text of the data."""

    def compare(self, own: Score, base: Score) -> Difference:
        """Return the difference of two scores of one task, with its interval where the items are at hand."""
        return without_interval(own, base) if self.store is None else difference(self.store, own, base)


class Link(NamedTuple):
    """Where a section stands in the page."""

    anchor: str
    """Its id there, and the name of its template."""
    title: str
    """In the navigation."""
    is_always_there: bool = True
    """False: a page that has nothing to say of it leaves it out, by its template."""


class Section(Protocol):
    """A module of this folder."""

    LINK: Link

    def markdown(self, report: Report, /) -> str:
        """Return the section of report.md, with its headings; empty where it has nothing to say."""

    def page(self, report: Report, /) -> dict[str, Any]:
        """Return what the section's template is given, beside `summary`: name -> value."""
