"""Who writes the rationales that a model reads: itself, its base, or another model of the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.errors import InputError
from harness.suite.model_entries import (
    BASE_WRITER,
    NOTHING_WRITTEN,
    OF_WRITTEN,
    OWN_WRITER,
    Generation,
    RationaleSpec,
)

Found = Candidate | MissingCandidate
ONE_TEXT = "`fixed_rationale` is one text for all; valid beside it: none, text-only, rationale-only"
OF_NO_RATIONALE: dict[str, Any] = {
    "adapter": None,
    "adapter_scale": 1.0,
    "serving": "merged",
    "writer": OWN_WRITER,
    "fixed_rationale": None,
    "ablation": "none",
    "similarity": None,
    "prompts": {},
    "instruction": None,
    "ability": {},
    "note": None,
    "seeds": None,
    "store_dtype": "float32",
    "search_precision": "float32",
    "dimensions": [],
    "precision": [],
    "rescore": None,
}
"""What of a reader's entry is not its base's as a writer: the base of all readers is one writer with one pool."""


def with_writer(reader: Found, named: Callable[[str], Found]) -> Found:
    """Return a candidate with whoever writes for it, or what is missing of that one.

    Args:
        reader: as identified.
        named: gives the model of the suite that has a name.

    Raises:
        InputError: the one it names writes no rationales of its own, or it has no base beside itself.
    """
    if isinstance(reader, MissingCandidate) or not isinstance(reader.spec, RationaleSpec):
        return reader
    name = reader.spec.writer
    if name == OWN_WRITER:
        return reader
    if name == BASE_WRITER:
        if reader.adapter is None:
            raise _problem(reader, "there is no adapter, so that no base stands beside it; say `writer: self`")
        return replace(reader, writer=_base_of(reader))
    writer = named(name)
    if isinstance(writer, MissingCandidate):
        return replace(writer, name=reader.name, has_language_model=True, note=reader.note)
    spec = writer.spec
    if not isinstance(spec, RationaleSpec):
        what = "writes no rationales" if writer.has_language_model else "is no language model"
        raise _problem(reader, f"{name!r} ({writer.kind}) {what}; name a model that is read as `rationale`")
    if why := why_it_writes_none(spec):
        raise _problem(reader, f"{name!r} writes no rationales ({why}); name one that does")
    if spec.writer != OWN_WRITER:
        raise _problem(reader, f"{name!r} reads the rationales of {spec.writer!r} and writes none; name that one")
    own = writer.spec.model_copy(update={"ablation": "none"})
    reads = reader.spec.model_copy(update={"generation": spec.generation})
    return replace(reader, spec=reads, writer=replace(writer, spec=own))


def refuse_writing_beside_fixed(spec: RationaleSpec) -> None:
    """Raise InputError where an entry says whose rationales are read, or how they are written, and none are."""
    if spec.fixed_rationale is None:
        return
    beside = {
        f"writer: {spec.writer}: {NOTHING_WRITTEN}": spec.writer != OWN_WRITER,
        f"generation: {NOTHING_WRITTEN}": spec.generation != Generation(),
        f"ablation: {spec.ablation}: {ONE_TEXT}": spec.ablation in OF_WRITTEN,
    }
    if faults := [fault for fault, holds in beside.items() if holds]:
        raise InputError([f"model {spec.name!r}: {one} (a candidate's: `fixed_rationale: ''`)" for one in faults])


def why_it_writes_none(spec: RationaleSpec) -> str | None:
    """Return what an entry says by which nothing is written, or None: it writes."""
    if spec.ablation == "text-only":
        return f"ablation: {spec.ablation}"
    return None if spec.fixed_rationale is None else "fixed_rationale: one text for all"


def _base_of(reader: Candidate) -> Candidate:
    """Return the same weights without the adapter, as the writer that it is for every reader over them."""
    spec = reader.spec.model_copy(update=OF_NO_RATIONALE | {"name": BASE_WRITER})
    return Candidate(name=BASE_WRITER, kind=reader.kind, spec=spec, weights=reader.weights)


def _problem(reader: Candidate, what: str) -> InputError:
    assert isinstance(reader.spec, RationaleSpec)  # noqa: S101 - asked by `with_writer`
    return InputError([f"model {reader.name!r}: writer: {reader.spec.writer}: {what}"])
