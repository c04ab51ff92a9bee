"""`index.html`: one file that asks for nothing. Templates beside this file; all that comes from outside is escaped.

A policy in the page itself forbids every request and every script but its own, so that even markup which slipped
through the escaping could neither run nor call home.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.comparison.retention import SAME_MODEL, Verdict
from harness.report.formats import html_view
from harness.report.numbers import SAME_RECORD, figures
from harness.report.pictures import svg
from harness.report.pictures.data import Point
from harness.report.sections import ability, cards, contamination, published, retention
from harness.report.sections import seeds as seed_parts
from harness.report.sections.costs import costs
from harness.report.sections.rationale_view import CellExamples
from harness.report.sections.rationales import STATS_HEADER, STATS_LEGEND, Credit
from harness.report.sections.seeds import SEED_HEADER
from harness.report.sections.types import panels
from harness.results.facts import facts_of
from harness.summary.views import Summary, ordered_types
from harness.tasks.types import UNITS
from harness.wording import duration

PICTURE_SIZES = {"wide": (1180, 440), "middle": (760, 420), "narrow": (340, 380)}
"""The trade-off picture is drawn for three widths (px) and the page shows one: scaled text would be unreadable."""
BADGES: dict[Verdict, str] = {"retained": "good", "lost": "bad", SAME_MODEL: "", "undecided": "warn"}
"""Verdict on general ability -> its colour."""
_WORDS_MEET = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[-_/])(?=[^-_/])")
_DOCUMENT_TEXT = re.compile(r"\*\*(.+?)\*\*|`(.+?)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class RationalePart:
    """What the page says of rationales."""

    credits: Sequence[Credit] = ()
    stats: Sequence[Sequence[str]] = ()
    cells: Sequence[CellExamples] = ()
    stats_header: Sequence[str] = STATS_HEADER
    stats_legend: str = STATS_LEGEND

    @property
    def has_any(self) -> bool:
        """Whether any model of the report wrote rationales."""
        return bool(self.credits or self.stats or self.cells)


def render(report: Summary, rationales: RationalePart | None = None) -> str:
    """Return the page."""
    records = contamination.records(report)
    marks = contamination.marks_by_cell(records)
    shown = cards.cards(report, marks)
    points = cards.points_of(shown)
    script = _source("script.js")
    return (
        _environment()
        .get_template("index.html")
        .render(
            report=report,
            style=Markup(_source("style.css")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=_policy(script),
            cards=shown,
            badges=BADGES,
            same_record=SAME_RECORD,
            trade_off=_pictures(points, report.baseline),
            has_ability_change=any(one.y is not None and not one.is_baseline for one in points),
            asks_ability=any(task.axis == "ability" for task in report.tasks),
            panels=panels(report),
            rows=html_view.task_rows(report, marks),
            types=ordered_types(report.tasks),
            units=_units(report),
            tested=sum(one.p_value is not None for one in report.differences.values()),
            has_shared=any(one.is_same_record for one in report.differences.values()),
            seed_header=SEED_HEADER,
            seed_rows=seed_parts.seed_cells(report),
            seed_legend=seed_parts.LEGEND,
            ability_header=ability.HEADER,
            ability_rows=ability.rows(report),
            ability_notes=ability.notes(report),
            retention_header=retention.HEADER,
            retention_rows=retention.rows(report),
            retention_legend=retention.LEGEND,
            costs=costs(report),
            rationales=rationales or RationalePart(),
            records=records,
            published=published,
            provenance=[_provenance(report, model) for model in report.models],
            problems=html_view.problems(report),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "points": lambda value: "-" if value is None else f"{value:.2f}",
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


def _pictures(points: list[Point], baseline: str | None) -> dict[str, Markup]:
    others = [one for one in points if not one.is_baseline]
    if not others or baseline is None:
        return {}
    return {
        name: svg.trade_off(points, width=width, height=height, baseline=baseline)
        for name, (width, height) in PICTURE_SIZES.items()
    }


def _units(report: Summary) -> str:
    kinds = [kind for kind in ordered_types(report.tasks) if kind in UNITS]
    return "; ".join(f"{kind}: {UNITS[kind]}" for kind in kinds)


def _provenance(report: Summary, model: str) -> dict[str, Any]:
    """Return what a model's cells were made with; where cells differ, every distinct value."""
    scores = [view.score for (name, _), view in report.cells.items() if name == model and view.score]
    candidate = report.candidates.get(model)
    made = [facts_of(score) for score in scores]
    facts = {
        "versions": _distinct(one.versions for one in made),
        "git": _distinct(one.git for one in made),
        "encoder": _distinct(one.encoder for one in made),
        "weights": _distinct(one.weights for one in made),
        "adapter": _distinct(one.adapter for one in made),
        "hardware": _distinct(one.hardware for one in made),
        "training": _distinct(one.training for one in made),
    }
    return {
        "model": model,
        "cells": len(scores),
        "kind": candidate.kind if candidate else None,
        "fingerprint": candidate.fingerprint() if candidate else None,
        "spec": candidate.spec.model_dump(mode="json", exclude_defaults=True) if candidate else None,
        "facts": {name: values for name, values in facts.items() if values},
        "prompts": [
            {"task": score.task, "prompts": its.prompts}
            for score, its in zip(scores, made, strict=True)
            if any(its.prompts.values())
        ],
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        if value not in (None, {}, []):
            found.setdefault(json.dumps(value, sort_keys=True, default=str), _without_absent(value))
    return list(found.values())


def _without_absent(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if one != "absent"}
    return value
