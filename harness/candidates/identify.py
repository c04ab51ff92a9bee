"""From a model entry of a suite to a candidate, or to what is missing.

A stock model is described by its entry in the suite; a trained one by the directory that `grace train` wrote, whose
`candidate.yaml` says how to load it. Nothing is downloaded or loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import yaml_source
from harness.candidates.adapter_kind import read_adapter_config, why_not_scaled
from harness.candidates.base import IDENTITY, AdaptersBase, adapters_base, another_base, cannot_be_compared
from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.candidate_file import CandidateFile, complaints, read_candidate_file
from harness.candidates.dimension import remark_of, sizes_problem
from harness.candidates.untrained import failure_in, gap_of, is_trained
from harness.candidates.weight_files import broken, broken_soft_tokens, on_disk
from harness.candidates.writers import refuse_writing_beside_fixed, with_writer
from harness.errors import InputError
from harness.sources.locate import locate_model
from harness.sources.places import Gap, Located, Sources
from harness.suite.encoder_kinds import KINDS, has_language_model
from harness.suite.model_entries import (
    BASE_WRITER,
    OWN_WRITER,
    CandidateSpec,
    FittedModel,
    LoadedModel,
    ModelSpec,
    OtherEncoderSpec,
    RationaleSpec,
)
from harness.wording import did_you_mean, listing

TRUST = "trust_remote_code"
SOFT_TOKENS, SUFFIX, FIXED = "soft_tokens", "suffix", "fixed_rationale"
"""Of `encoder` in `candidate.yaml`: a file inside the directory, and its sha256; texts that are read behind a text."""
OF_WRITING = ("writer", "generation")
"""What a directory says of rationales, and which says nothing where a suite has one text in the place of all."""
OF_SOME_KINDS = ("writer", "serving", "adapter_scale", SUFFIX, FIXED)
"""What a suite may say of a candidate directory over the directory's own word, where its encoder kind has it."""
NESTED = ("generation", "ability")
"""The same of mappings: a key that the suite does not name keeps the directory's own value."""


def identify_all(
    specs: Sequence[ModelSpec], sources: Sources, *, beside: Sequence[ModelSpec] = ()
) -> list[Candidate | MissingCandidate]:
    """Resolve the models of a suite against what is on this machine, each with whoever writes for it.

    Args:
        specs: those that are wanted.
        sources: where weights are looked for.
        beside: the suite's other models, which may write for them.

    Raises:
        InputError: what is wrong with any of them, or with a `candidate.yaml`, all at once.
    """
    by_name = {spec.name: spec for spec in (*beside, *specs)}
    known: dict[str, Candidate | MissingCandidate] = {}

    def named(name: str) -> Candidate | MissingCandidate:
        if name not in by_name:
            valid = f"{OWN_WRITER}, {BASE_WRITER} or a model beside it: {listing(by_name)}"
            raise InputError([f"writer {name!r} is no model here{did_you_mean(name, by_name)}; valid: {valid}"])
        if name not in known:
            known[name] = _identify(by_name[name], sources)
        return known[name]

    found: list[Candidate | MissingCandidate] = []
    problems: dict[str, None] = {}
    for spec in specs:
        try:
            found.append(_with_size(with_writer(named(spec.name), named), spec))
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(list(problems))
    return found


def _with_size(found: Candidate | MissingCandidate, spec: ModelSpec) -> Candidate | MissingCandidate:
    """Return a candidate as the size of its vectors that the entry is; raises InputError where there is no such."""
    if spec.size is None or isinstance(found, MissingCandidate):
        return found
    remark = remark_of(found, spec.size)
    sized = replace(found, size=spec.size, note="; ".join(one for one in (found.note, remark) if one) or None)
    if why := sizes_problem(sized):
        raise InputError([why])
    return sized


def identify(spec: ModelSpec, sources: Sources, *, beside: Sequence[ModelSpec] = ()) -> Candidate | MissingCandidate:
    """Resolve one model entry, as `identify_all` does."""
    return identify_all([spec], sources, beside=beside)[0]


def _identify(spec: ModelSpec, sources: Sources) -> Candidate | MissingCandidate:
    if isinstance(spec, OtherEncoderSpec | FittedModel):
        return Candidate(name=spec.name, kind=spec.encoder, spec=spec, note=spec.note, seeds=spec.seeds)
    if isinstance(spec, CandidateSpec):
        return _identify_directory(spec, sources)
    return _identify_loaded(spec, sources)


def _identify_loaded(
    spec: LoadedModel, sources: Sources, directory: Path | None = None, about: CandidateFile | None = None
) -> Candidate | MissingCandidate:
    if isinstance(spec, RationaleSpec):
        refuse_writing_beside_fixed(spec)
    found = [locate_model(sources, spec.model, spec.revision, spec.sha256)]
    adapter = getattr(spec, "adapter", None)
    if adapter is not None:
        found.append(locate_model(sources, adapter, None, None))
    gaps = tuple(place for place in found if isinstance(place, Gap))
    if gaps:
        can_answer = has_language_model(spec.encoder)
        return MissingCandidate(name=spec.name, gaps=gaps, has_language_model=can_answer, note=spec.note)
    places = [place for place in found if isinstance(place, Located)]
    found_broken = [broken(place, sources, as_adapter=n > 0) for n, place in enumerate(places)]
    if (soft := getattr(spec, "soft_tokens", None)) is not None:
        found_broken.append(broken_soft_tokens(Path(soft.file)))
    if faults := tuple(gap for gap in found_broken if gap):
        return MissingCandidate(
            name=spec.name, gaps=faults, has_language_model=has_language_model(spec.encoder), note=spec.note
        )
    remarks = [spec.note]
    if about is not None and about.weights is None and directory is not None:
        if other := another_base(about.training, places[0]):
            return MissingCandidate(name=spec.name, gaps=(_other_base(directory, other),), note=spec.note)
        remarks.append(cannot_be_compared(about.training, places[0]))
    is_known = about is not None and bool(about.training.get(IDENTITY))
    if len(places) > 1 and not is_known and (differs := _adapters_base(places[1], spec, places[0])):
        if differs.is_another:
            return MissingCandidate(name=spec.name, gaps=(_base_of_another(places[1], differs.said),), note=spec.note)
        remarks.append(differs.said)
    note = "; ".join(one for one in remarks if one) or None
    _refuse_no_adapter(spec, places[1] if len(places) > 1 else None)
    return Candidate(
        name=spec.name,
        kind=spec.encoder,
        spec=spec,
        weights=places[0],
        adapter=places[1] if len(places) > 1 else None,
        note=note,
        selected_on=about.selected_on if about else None,
        training=about.training if about else {},
        directory=directory,
        seeds=spec.seeds,
    )


def _identify_directory(spec: CandidateSpec, sources: Sources) -> Candidate | MissingCandidate:
    directory = Path(spec.candidate).expanduser()
    if not is_trained(directory):
        failure = failure_in(directory)
        return MissingCandidate(name=spec.name, gaps=(gap_of(spec),), untrained=True, failure=failure, note=spec.note)
    about = read_candidate_file(directory / "candidate.yaml")
    if about.wants_to_run_code and not spec.trust_remote_code:
        return MissingCandidate(name=spec.name, gaps=(_not_trusted(directory),), note=spec.note)
    model = str(directory / about.weights) if about.weights else about.base.model
    kind = spec.kind or about.kind
    known = KINDS[kind].entry.model_fields
    said = {name: value for name in OF_SOME_KINDS if (value := getattr(spec, name)) is not None}
    if unknown := [name for name in said if name not in known]:
        raise InputError([f"model {spec.name!r}: {one}: {kind} has no such thing; take it out" for one in unknown])
    # Read by another kind than it was trained for: what only that one takes is left out, not refused.
    own = {key: value for key, value in about.encoder.items() if kind == about.kind or key in known}
    if said.get(FIXED):
        own = {key: value for key, value in own.items() if key not in OF_WRITING}
    options: dict[str, Any] = {
        **own,
        "name": spec.name,
        "note": spec.note,
        "device": spec.device,
        "batch_tokens": spec.batch_tokens,
        "seeds": spec.seeds,
        "store_dtype": spec.store_dtype,
        "search_precision": spec.search_precision,
        "rescore": spec.rescore,
        TRUST: spec.trust_remote_code,
        "encoder": kind,
        "model": model,
        "revision": None if about.weights else about.base.revision or _trained_commit(about),
        "sha256": None if about.weights else about.base.sha256,
    }
    if spec.forward:
        options["forward"] = spec.forward
    options |= said
    nested = spec.model_dump(include=set(NESTED), exclude_unset=True)
    options = _laid_over(options, {name: one for name, one in nested.items() if one is not None})
    if about.adapter:
        options["adapter"] = str(directory / about.adapter)
    if about.encoder.get(SOFT_TOKENS) is not None:
        if kind != about.kind:
            raise InputError([f"model {spec.name!r}: kind {kind} would leave the soft tokens out; take kind away"])
        options[SOFT_TOKENS] = _inside(directory, about.encoder[SOFT_TOKENS])
    if about.encoder.get(SUFFIX) and SUFFIX not in known:
        raise InputError([f"model {spec.name!r}: kind {kind} would leave the suffix out; take kind away"])
    if about.encoder.get(FIXED) and FIXED not in known:
        raise InputError([f"model {spec.name!r}: kind {kind} would leave its fixed rationale out; take kind away"])
    try:
        loaded = KINDS[kind].entry.model_validate(options)
    except ValidationError as error:
        raise InputError(complaints(error, yaml_source.load(directory / "candidate.yaml"), "encoder")) from error
    _refuse_writer_of_a_suite(directory, about, kind)
    assert isinstance(loaded, LoadedModel)  # noqa: S101 - CandidateFile lets no other kind through
    return _identify_loaded(loaded, sources, directory, about)


def _laid_over(own: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return `own` with what is said in its place, mappings key by key; where `own` has no mapping, its fault stays."""
    laid = dict(own)
    for key, value in said.items():
        below = own.get(key)
        if not isinstance(value, dict) or below is None:
            laid[key] = value
        elif isinstance(below, dict):
            laid[key] = _laid_over(below, value)
    return laid


def _refuse_writer_of_a_suite(directory: Path, about: CandidateFile, kind: str) -> None:
    """Raise InputError where a candidate itself names a model of a suite that it has never seen."""
    writer = about.encoder.get("writer", OWN_WRITER) if "writer" in KINDS[kind].entry.model_fields else OWN_WRITER
    if writer not in (OWN_WRITER, BASE_WRITER):
        why = f"encoder.writer: {writer!r}: a candidate cannot name a model of a suite; say base or self"
        raise InputError([f"{directory / 'candidate.yaml'}: {why}, and name the writer in the suite's entry"])


def _refuse_no_adapter(spec: LoadedModel, adapter: Located | None) -> None:
    """Raise InputError where an entry switches or scales an adapter that is not there, or that cannot be scaled."""
    scale, serving = getattr(spec, "adapter_scale", 1.0), getattr(spec, "serving", "merged")
    asked = {"serving": serving != "merged", "adapter_scale": scale != 1.0}
    faults = [f"{name}: there is no adapter" for name, is_asked in asked.items() if is_asked and adapter is None]
    path = on_disk(adapter) if adapter is not None and scale != 1.0 else None
    config = read_adapter_config(path) if path is not None else None
    if config and (why := why_not_scaled(config)):
        faults.append(f"adapter_scale: its adapter cannot be scaled: {why}")
    if faults:
        raise InputError([f"model {spec.name!r}: {one}; take it out" for one in faults])


def _inside(directory: Path, soft_tokens: Any) -> Any:
    """Return what `candidate.yaml` says of soft tokens, with the place of the file; what is malformed stays."""
    if not isinstance(soft_tokens, dict) or not isinstance(soft_tokens.get("file"), str):
        return soft_tokens
    return soft_tokens | {"file": str(directory / soft_tokens["file"])}


def _trained_commit(about: CandidateFile) -> str | None:
    """Return the commit of an unpinned hub base that training found: the branch may have moved on since."""
    trained = about.training.get(IDENTITY)
    if isinstance(trained, dict) and trained.get("repo") == about.base.model:
        return trained.get("commit")
    return None


def _other_base(directory: Path, how: str) -> Gap:
    return Gap(
        what=f"base of candidate {str(directory)!r}",
        why=how,
        command=f"put back the base that {directory / 'candidate.yaml'} names, or train on this one",
    )


def _not_trusted(directory: Path) -> Gap:
    return Gap(
        what=f"leave to run the code of candidate {str(directory)!r}",
        why=f"{directory / 'candidate.yaml'} says encoder.{TRUST}, which a candidate cannot grant itself",
        command=f"read its Python, then add `{TRUST}: true` to its entry in the suite (of a command: -o {TRUST}=true)",
    )


def _adapters_base(adapter: Located, spec: LoadedModel, base: Located) -> AdaptersBase | None:
    path = on_disk(adapter)
    return adapters_base(path, spec.model, base) if path is not None else None


def _base_of_another(adapter: Located, why: str) -> Gap:
    return Gap(what=f"base of adapter {adapter.load_from!r}", why=why, command="name the base that it was trained on")
