"""A model entry of a suite as something that can be loaded, or as what is missing; and the identity that names it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.digests import digest
from harness.sources.places import Gap, Located
from harness.suite.encoder_kinds import ENTRY_POINT_GROUP, KINDS, has_language_model
from harness.suite.model_entries import FittedModel, LoadedModel, OtherEncoderSpec, RationaleSpec, Serving
from harness.suite.size import Size
from harness.suite.task_entries import AbilitySettings

_NOT_IN_IDENTITY = {
    "encoder",
    "name",
    "note",
    "device",
    "batch_tokens",
    "model",
    "revision",
    "sha256",
    "adapter",
    "adapter_scale",
    "soft_tokens",
    "suffix",
    "fixed_rationale",
    "ability",
    "serving",
    "seeds",
    "store_dtype",
    "search_precision",
    "dimensions",
    "precision",
    "rescore",
    "writer",
    "prompt_variants",
}
"""What an entry says that changes no vector, or that stands beside the options: `store_dtype` where it rounds,
`adapter_scale` where it is not 1, `soft_tokens`, `suffix` and `fixed_rationale` where there are some, `writer` where it
is another, what is cut from the vectors where it is not all of them. `serving` says whose answers are measured: vectors
are the same."""
_BEHIND = ("suffix", "fixed_rationale")
"""Texts that an entry has read behind every text."""
_PER_TASK = {"prompts", "instruction"}
"""They go into the key of each cell."""
_NO_MATTER_OF_WRITING = ("similarity", "ablation")
"""Options of a rationale encoder that change no rationale."""
_LANGUAGE_MODEL_OPTIONS = ("dtype", "attn_implementation", "trust_remote_code")
"""Options that change answers on the ability axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model entry of a suite, resolved as far as can be without loading it."""

    name: str
    """Of the suite; in no identity."""
    kind: str
    """Encoder kind: one of `encoder_kinds.KINDS`, or a registered name."""
    spec: LoadedModel | FittedModel | OtherEncoderSpec
    """The entry; of a candidate directory, one with what its `candidate.yaml` says."""
    weights: Located | None = None
    """None for encoders that have none, and for those of other packages, which find their own."""
    adapter: Located | None = None
    """None where there is none."""
    writer: Candidate | None = None
    """Whose rationales it reads; None: its own, or it reads none."""
    note: str | None = None
    """A remark shown beside the model in reports."""
    selected_on: str | None = None
    """The data that settings and checkpoint were chosen on; None: nothing was, or nobody said."""
    training: dict[str, Any] = field(default_factory=dict)
    """How a candidate directory was trained; empty for stock models."""
    directory: Path | None = None
    """The candidate directory, where it is one."""
    seeds: int | None = None
    """How often the suite wants it run."""
    seed_index: int = 0
    """Which of these runs it is; added to the suite's seed."""
    seed_of: str | None = None
    """The model's own name, where it is one of several runs."""
    size: Size | None = None
    """Which size of its vectors it is, where its entry names several; None where it names none."""
    prompt_of: str | None = None
    """The model's own name, where this is it under another setting of its prompts."""

    @property
    def has_language_model(self) -> bool:
        """Whether the ability axis can be run on it."""
        return has_language_model(self.kind)

    @property
    def embeds(self) -> bool:
        """Whether it gives vectors; False: tasks that rank documents alone can be run on it."""
        return self.kind not in KINDS or KINDS[self.kind].embeds

    @property
    def is_fitted(self) -> bool:
        """Whether it is an encoder of ours that is fitted to a task's texts, and has no vector of a text by itself."""
        return isinstance(self.spec, FittedModel)

    def lacking(self) -> tuple[Gap, ...]:
        """Return the packages that its kind needs and that are not installed."""
        kind = KINDS.get(self.kind)
        if kind is None:
            return ()
        lacking = kind.lacking_packages()
        return tuple(Gap(what=f"package {name}", why="not installed", command=kind.install) for name in lacking)

    @property
    def draws_random_numbers(self) -> bool:
        """Whether the suite's seed can change its vectors."""
        if isinstance(self.spec, OtherEncoderSpec):
            return True  # it is given the seed, and nobody here knows what for
        return isinstance(self.spec, RationaleSpec) and (
            self.spec.generation.temperature > 0 or self.spec.ablation == "shuffled-rationale"
        )

    @property
    def serving(self) -> Serving | None:
        """Under which rule its adapter stands; None where it has none: one set of weights does everything."""
        if self.adapter is None:
            return None
        found: Serving = getattr(self.spec, "serving", "merged")
        return found

    def answering(self) -> Candidate:
        """Return who answers on the ability axis: itself; of a switched adapter, and of soft tokens, the base.

        No training is said of it; the name stays that of the entry.
        """
        has_soft_tokens = getattr(self.spec, "soft_tokens", None) is not None and self.adapter is None
        if self.serving != "switched" and not has_soft_tokens:
            return self
        embedding_only = {
            name: None for name in ("soft_tokens", *_BEHIND) if getattr(self.spec, name, None) is not None
        }
        as_base = {"adapter": None, "adapter_scale": 1.0, "serving": "merged"} | embedding_only
        spec = self.spec.model_copy(update=as_base)
        return replace(self, spec=spec, adapter=None, writer=None, selected_on=None, training={}, directory=None)

    @property
    def adapter_scale(self) -> float:
        """By what the change of its adapter is multiplied."""
        return float(getattr(self.spec, "adapter_scale", 1.0))

    @property
    def ability(self) -> dict[str, AbilitySettings]:
        """Ability task -> what differs for this model."""
        own: dict[str, AbilitySettings] = getattr(self.spec, "ability", {})
        return own

    @property
    def encoder_name(self) -> str:
        """Whose vectors its own are cut from: all sizes of one run of a model share an encoder."""
        if self.size is None:
            return self.name
        return self.size.of if self.seed_of is None else f"{self.size.of}@seed-{self.seed_index}"

    def whole(self) -> Candidate:
        """Return the model with its vectors whole: what is loaded, and made once for all sizes."""
        if self.size is None:
            return self
        return replace(self, name=self.encoder_name, size=Size(of=self.size.of))

    def identity(self) -> dict[str, Any] | None:
        """Return what changes its vectors, prompts apart (they go into each cell's key); None while unknown."""
        plain = self._identity()
        if plain is None:
            return None
        rounded: dict[str, Any] = {} if self.spec.store_dtype == "float32" else {"store_dtype": self.spec.store_dtype}
        soft = getattr(self.spec, "soft_tokens", None)
        rounded |= {} if soft is None else {"soft_tokens": soft.sha256}
        rounded |= {name: text for name in _BEHIND if (text := getattr(self.spec, name, None)) is not None}
        rounded |= {} if self.size is None else self.size.identity()
        return plain | rounded | ({"seed_index": self.seed_index} if self.seed_index else {})

    def _identity(self) -> dict[str, Any] | None:
        if isinstance(self.spec, OtherEncoderSpec):
            return {"kind": self.kind, "options": self.spec.options, "provided_by": _provider(self.kind)}
        options = self.spec.model_dump(exclude=_NOT_IN_IDENTITY | _PER_TASK | _without_effect(self.spec))
        version = {"scoring_version": KINDS[self.kind].scoring_version}
        if isinstance(self.spec, FittedModel):
            return {"kind": self.kind} | options | version
        if any(place is not None and place.identity is None for place in (self.weights, self.adapter)):
            return None
        written = {}
        if self.writer is not None:
            if (writes := self.writer.writing_identity()) is None:
                return None
            written = {"writer": writes}
        return {
            "kind": self.kind,
            "weights": self.weights.identity if self.weights else None,
            "adapter": self.adapter.identity if self.adapter else None,
            "options": options,
        } | (version | self._scaled() | written)

    def writing_identity(self) -> dict[str, Any] | None:
        """Return what changes the rationales that it writes for others, the seed apart; None while unknown."""
        identity = self.whole().identity()
        if identity is None:
            return None
        options = {name: one for name, one in identity["options"].items() if name not in _NO_MATTER_OF_WRITING}
        kept = ("kind", "weights", "adapter", "scoring_version", "adapter_scale")
        return {name: identity[name] for name in kept if name in identity} | {"options": options}

    @property
    def places(self) -> tuple[Located, ...]:
        """Where its weights and its adapter were found, and those of whoever writes for it."""
        own = tuple(one for one in (self.weights, self.adapter) if one is not None)
        return own if self.writer is None else (*own, *(one for one in self.writer.places if one not in own))

    def language_model_identity(self) -> dict[str, Any] | None:
        """Return what changes answers on the ability axis; None while unknown.

        How texts become vectors is no part of it: the same weights with and without a rationale share those cells, and
        so do all adapters that are switched off for answering, with their base.
        """
        if self.serving == "switched":
            return self.answering().language_model_identity()
        identity = replace(self, writer=None).identity()
        if identity is None or not self.has_language_model:
            return identity
        options = self.spec.model_dump(include=set(_LANGUAGE_MODEL_OPTIONS))
        files = {name: identity[name] for name in ("weights", "adapter")}
        return files | {"kind": "causal-lm", "options": options} | self._scaled()

    def _scaled(self) -> dict[str, float]:
        """Return the scale of the adapter where it is not the usual one: keys of before there was one stay the same."""
        return {} if self.adapter_scale == 1.0 else {"adapter_scale": self.adapter_scale}

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
    """What is lacking."""
    untrained: bool = False
    """True: a candidate directory that no training has written yet."""
    failure: str | None = None
    """Why the training that was to write it failed; None where none did."""
    has_language_model: bool = True
    """Whether the ability axis could be run on it."""
    note: str | None = None
    """A remark shown beside the model in reports."""


def _without_effect(spec: LoadedModel | FittedModel) -> set[str]:
    """Return the options that change no vector of this entry: the shared prefix brings an attention of its own."""
    if not isinstance(spec, RationaleSpec):
        return set()
    own_attention = {"attn_implementation"} if spec.forward == "shared-prefix" else set()
    return own_attention | (set() if spec.fixed_rationale is None else {"generation"})


def _provider(kind: str) -> str:
    """Return distribution and version of the package that registers an encoder."""
    for point in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        return f"{point.dist.name}=={point.dist.version}" if point.dist else point.value
    return "unknown"
