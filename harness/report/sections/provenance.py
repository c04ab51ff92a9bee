"""What the scores were made with: models, versions, prompts; every distinct value where cells differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from harness.candidates.candidate import Candidate
from harness.candidates.rule import rules_said
from harness.report.numbers import NOT_THERE
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.facts import SearchFacts, facts_of
from harness.summary.views import Summary

LINK = Link("provenance", "Provenance")
HEADER = ("model", "encoder", "weights", "fingerprint", "selected on; note")


def markdown(report: Report) -> str:
    """Return a row a model, and the versions, sources, dtypes and prompts of all cells together."""
    candidates = report.summary.candidates
    rows = [_row(name, candidates[name]) for name in report.summary.models]
    served = [f"- **{name}**: {said}" for name in report.summary.models for said in rules_said(candidates[name])]
    rules = ["\n".join(["How they are served:", "", *served])] if served else []
    return "\n\n".join(["## Models", table(HEADER, rows), *rules, _made_with(report.summary)])


def page(report: Report) -> dict[str, Any]:
    """Return what each model's cells were made with."""
    return {"models": [_of_model(report.summary, model) for model in report.summary.models]}


def _row(name: str, candidate: Candidate | None) -> list[str]:
    if candidate is None:
        return [name, "not there", NOT_THERE, NOT_THERE, NOT_THERE]
    source = candidate.weights.source if candidate.weights else "its own package"
    if candidate.adapter:
        source += f" + adapter {candidate.adapter.source}"
    fingerprint = candidate.fingerprint()
    selected = candidate.selected_on or ("nothing: stock" if not candidate.directory else "not said")
    note = candidate.note or ""
    return [name, _kind(candidate), source, (fingerprint or "unknown")[:12], f"{selected}; {note}".strip("; ")]


def _kind(candidate: Candidate) -> str:
    precision = candidate.size.precision if candidate.size else candidate.spec.search_precision
    if precision in ("float32", "float16"):
        return candidate.kind
    rescore = candidate.spec.rescore if precision == "binary" else None
    again = "" if rescore is None else f", of a corpus the best {rescore} again by floats of the query"
    return f"{candidate.kind}, documents ranked as {precision}{again}"


def _made_with(summary: Summary) -> str:
    made = [facts_of(view.score) for view in summary.cells.values() if view.score]
    if not made:
        return ""
    lines = []
    for title, values in (
        ("Versions", {_versions(one.versions) for one in made}),
        ("Source", {one.git or "installed wheel" for one in made}),
        ("Dtype", {str(one.encoder.get("dtype", "its own")) for one in made}),
        ("Window", _windows(summary)),
        ("Prompts", {_prompts(one.prompts) for one in made}),
        ("Search", {_searched(one.search) for one in made if one.search}),
    ):
        if values:
            lines.append(f"- {title}: {'; or '.join(sorted(values))}")
    return "## What the scores were made with\n\n" + "\n".join(lines)


def _windows(summary: Summary) -> set[str]:
    """Return each model's length limit, where its encoder says one; how many texts were cut is among the remarks."""
    found = {}
    for (model, _), view in summary.cells.items():
        most = facts_of(view.score).encoder.get("max_text_tokens") if view.score else None
        found[f"{model} {most} tokens"] = most
    return {said for said, most in found.items() if most}


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in _without_absent(versions).items())


def _prompts(prompts: Mapping[str, str | None]) -> str:
    said = [f"{role}: {prompt!r}" if prompt else f"{role}: none" for role, prompt in prompts.items()]
    return ", ".join(said) or "none"


def _searched(search: SearchFacts) -> str:
    if "lexical" in search:
        return f"{search['lexical']}, the best {search['k']}; ties {search['ties']}"
    return f"every document compared, as {search['precision']}, the best {search['k']}; ties {search['ties']}"


def _of_model(summary: Summary, model: str) -> dict[str, Any]:
    scores = [view.score for (name, _), view in summary.cells.items() if name == model and view.score]
    made = [facts_of(score) for score in scores]
    candidate = summary.candidates.get(model)
    facts = {
        "versions": _distinct(one.versions for one in made),
        "git": _distinct(one.git for one in made),
        "encoder": _distinct(one.encoder for one in made),
        "search": _distinct(one.search for one in made),
        "weights": _distinct(one.weights for one in made),
        "adapter": _distinct(one.adapter for one in made),
        "hardware": _distinct(one.hardware for one in made),
        "training": _distinct(one.training for one in made),
    }
    return {
        "model": model,
        "cells": len(scores),
        "kind": _kind(candidate) if candidate else None,
        "rules": list(rules_said(candidate)),
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
            said = json.dumps(value, sort_keys=True, default=str)
            found.setdefault(said, _without_absent(value) if isinstance(value, Mapping) else value)
    return list(found.values())


def _without_absent(versions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in versions.items() if one != "absent"}
