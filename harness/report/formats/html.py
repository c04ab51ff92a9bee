"""`index.html`: one file that asks for nothing, a template a section; all that comes from outside is escaped.

A policy in the page itself forbids every request and every script but its own, so that even markup which slipped
through the escaping could neither run nor call home.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.report.numbers import figures, points
from harness.report.sections.order import SECTIONS
from harness.report.sections.section import Link, Report, Section
from harness.wording import duration

_WORDS_MEET = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[-_/])(?=[^-_/])")
_DOCUMENT_TEXT = re.compile(r"\*\*(.+?)\*\*|`(.+?)`")


class Shown(NamedTuple):
    """A section as it stands in the page."""

    link: Link
    body: Markup

    @property
    def is_there(self) -> bool:
        """Whether it has anything to say."""
        return bool(self.body.strip())


def render(report: Report) -> str:
    """Return the page."""
    script = _source("script.js")
    page = _environment().get_template("index.html")
    said = page.render(
        summary=report.summary,
        style=Markup(_source("style.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=_policy(script),
        sections=[_shown(section, report) for section in SECTIONS],
        failed=sum(view.failure is not None for view in report.summary.cells.values()),
    )
    return said.rstrip("\n")


def _shown(section: Section, report: Report) -> Shown:
    template = _environment().get_template(f"{section.LINK.anchor}.html")
    body = template.render(summary=report.summary, **section.page(report))
    return Shown(section.LINK, Markup(body))  # noqa: S704 - a template escapes what it is given


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "points": points,
        "grouped": lambda value: f"{value:,.0f}".replace(",", "\u2009"),
        "duration": duration,
        "bytes": size,
        "marked": document_text,
        "breakable": breakable,
        "difference": lambda one: figures(one.value, one.low, one.high),
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    }
    return environment


def document_text(text: str) -> Markup:
    """Return a sentence of a report with its `code` and **stress** as HTML, everything else escaped."""
    parts, end = [], 0
    for match in _DOCUMENT_TEXT.finditer(text):
        parts.append(escape(text[end : match.start()]))
        form = "<strong>{}</strong>" if match[1] is not None else "<code>{}</code>"
        parts.append(Markup(form).format(match[1] if match[1] is not None else match[2]))  # noqa: S704 - fixed forms
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def breakable(name: str) -> Markup:
    """Return a name that may break where its words meet, so that the longest does not set a column's width."""
    return Markup("<wbr>").join(_WORDS_MEET.split(name))


def size(count: float) -> str:
    """Return bytes as MB or GB (powers of ten)."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    allowed = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None  # noqa: S101 - set above
    return environment.loader.get_source(environment, name)[0]
