"""A candidate: what to load, and the identity that names it in keys and reports.

A stock model is described by its entry in the suite; a trained one by the directory that `grace train` wrote, whose
`candidate.yaml` says how to load it. Nothing is downloaded or loaded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from harness import yaml_source
from harness.errors import InputError
from harness.hub import Gap, Located, Sources, locate_model
from harness.keys import digest
from harness.suite import (
    CandidateSpec,
    LoadedModel,
    MeanPoolSpec,
    OtherEncoderSpec,
    RationaleSpec,
    SentenceTransformersSpec,
    Strict,
    TfIdfSpec,
)
from harness.suite_checks import ENTRY_POINT_GROUP

ENCODER_SCORING_VERSION = {"sentence-transformers": 1, "mean-pool": 1, "rationale": 2, "tf-idf": 1}
"""Raised when our code changes the vectors of an encoder; part of every key."""

LM_ENCODERS = ("mean-pool", "rationale")
"""Encoders over a causal language model, which the ability axis can be run on."""

_SPECS: dict[str, type[LoadedModel]] = {
    "sentence-transformers": SentenceTransformersSpec,
    "mean-pool": MeanPoolSpec,
    "rationale": RationaleSpec,
}
_NOT_IN_IDENTITY = {
    "name",
    "note",
    "device",
    "batch_tokens",
    "model",
    "revision",
    "sha256",
    "adapter",
    "ability",
    "seeds",
}
_PER_TASK = {"prompts", "instruction"}
_LANGUAGE_MODEL_OPTIONS = ("dtype", "attn_implementation", "trust_remote_code")


class CandidateBase(Strict):
    """The base model a candidate was trained from."""

    model: str
    revision: str | None = None
    sha256: str | None = None


class CandidateFile(Strict):
    """`candidate.yaml`: how to load a trained candidate, and what it was trained and selected on."""

    version: Literal[1]
    kind: Literal["sentence-transformers", "mean-pool", "rationale"]
    base: CandidateBase
    weights: str | None = None
    """Folder of full weights inside the directory; None: the base's own."""
    adapter: str | None = None
    """Folder of a PEFT adapter inside the directory."""
    encoder: dict[str, Any] = {}
    """Further options of the encoder kind: dtype, prompts, max_text_tokens, generation, ..."""
    selected_on: str | None = None
    """The data that settings and checkpoint were chosen on."""
    training: dict[str, Any] = {}
    """Config and data hashes, objective, git sha: provenance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model entry of a suite, resolved as far as can be without loading it."""

    name: str
    kind: str
    """Encoder kind: sentence-transformers, mean-pool, rationale, or a registered name."""
    spec: LoadedModel | TfIdfSpec | OtherEncoderSpec
    weights: Located | None = None
    """None for encoders of other packages, which find their own."""
    adapter: Located | None = None
    note: str | None = None
    selected_on: str | None = None
    training: dict[str, Any] = field(default_factory=dict)
    directory: Path | None = None
    """The candidate directory, where it is one."""
    seeds: int | None = None
    """How often the suite wants it run."""
    seed_index: int = 0
    """Which of these runs it is; added to the suite's seed."""
    seed_of: str | None = None
    """The model's own name, where it is one of several runs."""

    @property
    def has_language_model(self) -> bool:
        """Whether the ability axis can be run on it."""
        return self.kind in LM_ENCODERS

    def identity(self) -> dict[str, Any] | None:
        """Return what changes its vectors, prompts apart (they go into each cell's key); None while unknown."""
        plain = self._identity()
        return plain if plain is None or self.seed_index == 0 else plain | {"seed_index": self.seed_index}

    def _identity(self) -> dict[str, Any] | None:
        if isinstance(self.spec, OtherEncoderSpec):
            return {"kind": self.kind, "options": self.spec.options, "provided_by": _provider(self.kind)}
        if isinstance(self.spec, TfIdfSpec):
            version = ENCODER_SCORING_VERSION[self.kind]
            return {"kind": self.kind, "dimension": self.spec.dimension, "scoring_version": version}
        located = [place for place in (self.weights, self.adapter) if place is not None]
        if any(place.identity is None for place in located):
            return None
        options = self.spec.model_dump(exclude=_NOT_IN_IDENTITY | _PER_TASK | {"encoder"})
        return {
            "kind": self.kind,
            "weights": self.weights.identity if self.weights else None,
            "adapter": self.adapter.identity if self.adapter else None,
            "options": options,
            "scoring_version": ENCODER_SCORING_VERSION[self.kind],
        }

    def language_model_identity(self) -> dict[str, Any] | None:
        """Return what changes answers on the ability axis; None while unknown.

        How texts become vectors is no part of it: the same weights with and without a rationale share those cells.
        """
        identity = self.identity()
        if identity is None or self.kind not in LM_ENCODERS:
            return identity
        options = {name: identity["options"][name] for name in _LANGUAGE_MODEL_OPTIONS}
        return {name: identity[name] for name in ("weights", "adapter")} | {"kind": "causal-lm", "options": options}

    def fingerprint(self) -> str | None:
        """Return the sha256 over identity and prompts that names the candidate everywhere; None while unknown."""
        identity = self.identity()
        if identity is None:
            return None
        prompts = self.spec.model_dump(include=_PER_TASK)
        return digest({"identity": identity, "prompts": prompts})


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingCandidate:
    """A model entry that cannot be loaded yet, and what to do about it."""

    name: str
    gaps: tuple[Gap, ...]
    untrained: bool = False
    """True: a candidate directory that no training has written yet."""
    has_language_model: bool = True
    note: str | None = None


def identify(
    spec: LoadedModel | TfIdfSpec | CandidateSpec | OtherEncoderSpec, sources: Sources
) -> Candidate | MissingCandidate:
    """Resolve a model entry against what is on this machine; raises InputError for a broken `candidate.yaml`."""
    if isinstance(spec, OtherEncoderSpec | TfIdfSpec):
        return Candidate(name=spec.name, kind=spec.encoder, spec=spec, note=spec.note, seeds=spec.seeds)
    if isinstance(spec, CandidateSpec):
        return _identify_directory(spec, sources)
    return _identify_loaded(spec, sources)


def _identify_loaded(
    spec: LoadedModel, sources: Sources, directory: Path | None = None, about: CandidateFile | None = None
) -> Candidate | MissingCandidate:
    kind = _kind(spec)
    found = [locate_model(sources, spec.model, spec.revision, spec.sha256)]
    adapter = getattr(spec, "adapter", None)
    if adapter is not None:
        found.append(locate_model(sources, adapter, None, None))
    gaps = tuple(place for place in found if isinstance(place, Gap))
    if gaps:
        return MissingCandidate(name=spec.name, gaps=gaps, has_language_model=kind in LM_ENCODERS, note=spec.note)
    places = [place for place in found if isinstance(place, Located)]
    return Candidate(
        name=spec.name,
        kind=kind,
        spec=spec,
        weights=places[0],
        adapter=places[1] if len(places) > 1 else None,
        note=spec.note,
        selected_on=about.selected_on if about else None,
        training=about.training if about else {},
        directory=directory,
        seeds=spec.seeds,
    )


def _identify_directory(spec: CandidateSpec, sources: Sources) -> Candidate | MissingCandidate:
    directory = Path(spec.candidate).expanduser()
    if not (directory / "candidate.yaml").is_file():
        command = f"grace train {spec.config or 'CONFIG'} --out {spec.candidate}"
        why = "it holds no candidate.yaml" if directory.is_dir() else "there is no such directory yet"
        gap = Gap(what=f"candidate {spec.candidate!r}", why=why, command=command)
        return MissingCandidate(name=spec.name, gaps=(gap,), untrained=True, note=spec.note)
    about = read_candidate_file(directory / "candidate.yaml")
    model = str(directory / about.weights) if about.weights else about.base.model
    kind = spec.kind or about.kind
    options: dict[str, Any] = {
        **{key: value for key, value in about.encoder.items() if key != "generation" or kind == "rationale"},
        "name": spec.name,
        "note": spec.note,
        "device": spec.device,
        "batch_tokens": spec.batch_tokens,
        "seeds": spec.seeds,
        "encoder": kind,
        "model": model,
        "revision": None if about.weights else about.base.revision,
        "sha256": None if about.weights else about.base.sha256,
    }
    if spec.ability:
        options["ability"] = spec.ability
    if spec.generation:
        options["generation"] = spec.generation
    if about.adapter:
        options["adapter"] = str(directory / about.adapter)
    try:
        loaded = _SPECS[kind].model_validate(options)
    except ValidationError as error:
        raise InputError(_lines(error, yaml_source.load(directory / "candidate.yaml"), "encoder")) from error
    return _identify_loaded(loaded, sources, directory, about)


def read_candidate_file(path: Path) -> CandidateFile:
    """Read and check a `candidate.yaml`; raises InputError with every problem."""
    tree = yaml_source.load(path)
    try:
        return CandidateFile.model_validate(tree.plain())
    except ValidationError as error:
        raise InputError(_lines(error, tree)) from error


def _lines(error: ValidationError, tree: yaml_source.Node, *above: str) -> list[str]:
    """Return pydantic's complaints about what lies below `above`, each with its position."""
    lines = []
    for one in error.errors():
        loc = (*above, *one["loc"])
        node = tree.nearest(loc)
        where = node.key_position if one["type"] == "extra_forbidden" else node.position
        lines.append(f"{where}: {'.'.join(str(step) for step in loc)}: {one['msg']}")
    return lines


def _kind(spec: LoadedModel) -> str:
    return next(kind for kind, model in _SPECS.items() if isinstance(spec, model))


def _provider(kind: str) -> str:
    for point in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        return f"{point.dist.name}=={point.dist.version}" if point.dist else point.value
    return "unknown"
