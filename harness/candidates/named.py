"""From what a user types for a model to a candidate: a directory, a suite's model, or an entry in braces.

runs/mine                                                a directory that `grace train` wrote
demo:smollm2-from-q4_1, suites/mine.yaml:base            a model of a suite
'{encoder: mean-pool, model: org/name}'                  an entry as in a suite's `models`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.identify import identify
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources
from harness.suite.load import load_suite, model_of
from harness.suite.model_entries import ModelSpec
from harness.suite.overrides import apply_overrides
from harness.wording import did_you_mean, listing
from harness.yaml_source import Position, from_plain, parse

FORMS = "a candidate directory, SUITE:MODEL (such as demo:minilm), or '{encoder: mean-pool, model: org/name}'"


class NamedEntry(NamedTuple):
    """The model entry behind a reference."""

    entry: dict[str, Any]
    """As in a suite's `models`."""
    beside: list[ModelSpec]
    """The other models of its suite, which may write for it."""


def named_candidate(reference: str, sources: Sources, overrides: Sequence[str] = ()) -> Candidate:
    """Return the candidate that `reference` names.

    Args:
        reference: one of the three forms at the head of this file.
        sources: where weights are looked for.
        overrides: `key=value` over the entry, such as `generation.max_new_tokens=32` or `device=cpu`; the value is
            YAML.

    Raises:
        InputError: it is none of the forms, or the entry is wrong; every problem found.
        EnvironmentGapError: weights are not to be had, or nothing was trained into the directory yet.
    """
    entry, beside = named_entry(reference, overrides)
    found = identify(model_of(entry, beside), sources, beside=beside)
    if isinstance(found, MissingCandidate):
        raise EnvironmentGapError([str(gap) for gap in found.gaps])
    return found


def named_entry(reference: str, overrides: Sequence[str] = ()) -> NamedEntry:
    """Return the entry behind `reference`, as `named_candidate` takes both arguments; raises InputError as it does."""
    named, beside = _entry(reference)
    entry = apply_overrides(from_plain(named, Position(reference)), overrides).plain()
    assert isinstance(entry, dict)  # noqa: S101 - it was made of a mapping
    return NamedEntry(entry, beside)


def _entry(reference: str) -> tuple[Mapping[str, Any], list[ModelSpec]]:
    """Return the model entry behind a reference, and the other models of its suite, which may write for it."""
    if reference.lstrip().startswith("{"):
        entry = parse(reference, "CANDIDATE").plain()
        assert isinstance(entry, dict)  # noqa: S101 - YAML that begins with a brace
        return {"name": "model", **entry}, []
    path = Path(reference).expanduser()
    if path.is_dir():
        return _of_directory(path), []
    suite, colon, model = reference.rpartition(":")
    if colon and suite and "/" not in model and suite != "wheel":
        return _of_suite(suite, model)
    quoted = f'"{reference}", sha256: ...' if "{" in reference else reference  # parts of wheels
    hint = f"; for a stock model: '{{encoder: mean-pool, model: {quoted}}}'" if "/" in reference else ""
    raise InputError([f"candidate {reference!r}: no such directory; expected {FORMS}{hint}"])


def _of_directory(path: Path) -> dict[str, Any]:
    if (path / "candidate.yaml").is_file():
        return {"name": _name(path.resolve().name), "candidate": str(path)}
    hint = "'{encoder: mean-pool, model: " + str(path) + "}'"
    raise InputError([f"candidate {str(path)!r}: the directory holds no candidate.yaml; weights alone are {hint}"])


def _of_suite(suite: str, model: str) -> tuple[dict[str, Any], list[ModelSpec]]:
    sized = load_suite(suite).suite.models
    for size in (spec.size for spec in sized):
        if size is not None and size.name == model != size.of:
            why = f"is a size of {size.of!r}, cut from its vectors where tasks are scored"
            raise InputError([f"{suite}: {model!r} {why}; name {suite}:{size.of}"])
    models = {spec.name: spec for spec in sized if spec.size is None or spec.size.is_whole}  # an entry each
    if model not in models:
        near = did_you_mean(model, models)
        raise InputError([f"{suite}: no model {model!r}{near}; it has: {listing(models) or 'none'}"])
    others = [one for name, one in models.items() if name != model]
    return models[model].model_dump(exclude_unset=True), others


def _name(text: str) -> str:
    """Return `text` as a model's name may be spelt."""
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in text).strip("-")
    return kept[:80] or "candidate"
