"""What a stored cell says of how it was made: the one file that knows the keys of its `provenance`.

A record holds plain JSON. Here every key has its name, its type and a line that says what it is; a key that an older
record lacks, or that is null, reads as the default.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from harness.results.records import Result


class PlaceFacts(TypedDict, total=False):
    """Where data or weights came from."""

    kind: str
    """`folder`, `local hub`, `cache`, `hub` or `wheel`; absent in records of early releases."""
    source: str
    """In words: `PyPI wheel name==1`, `folder models/x`, `local hub ...`, `own data ...`."""
    revision: str | None
    """Commit in the hub; None elsewhere."""
    identity: dict[str, Any]
    """What goes into the cell's key: a commit, or sha256 sums."""
    vouched: str | None
    """What says that this is the named thing; None: nothing does."""


class LeftOut(TypedDict, total=False):
    """Items that a score is not over."""

    items: list[int]
    """Their places among all."""
    of: int
    """How many there are."""
    unit: str
    """What an item is."""
    why: str


class SearchFacts(TypedDict, total=False):
    """How documents were ranked; every one of them was compared."""

    precision: str
    """As what vectors were compared: float32, int8 or binary."""
    ties: str
    """Which of equal scores come first, in words."""
    lexical: str
    """How words were counted, of a model that ranks by words; absent where vectors were compared."""
    rescored: int
    """Documents a query that were ranked again with the query as floats; absent where none were."""
    k: int
    """Documents that each query was given, at most."""
    block: int
    """Documents that were held at a time; it changes no score."""


class HardwareFacts(TypedDict, total=False):
    """What the cell ran on."""

    processor: str
    cores: int
    threads: int
    memory_bytes: int
    gpus: list[str]
    platform: str


class ShardFacts(TypedDict, total=False):
    """What a cell was scored from that was made in parts."""

    count: int
    """Shards."""
    remade: list[str]
    """Those whose files were lost or damaged by then: what was in them was made again when the cell was scored."""
    damaged: list[str]
    """Files that were found damaged while it was made, and why; each was made again."""
    hardware: list[HardwareFacts]
    """What the shards were made on, each machine once."""
    seconds: float
    """What making them took, over all machines; part of `seconds.evaluate`."""


class AbilityFacts(TypedDict, total=False):
    """What stands beside the score of an ability cell; shares go from 0 to 1."""

    settings: dict[str, Any]
    """How it was asked: kind, shots, template, filter, limits; all of it is in the cell's key."""
    chance: float | None
    """What guessing scores, in points; None where there is no such thing."""
    majority: float | None
    """What always giving the commonest label would score, in points."""
    labels: dict[str, int] | None
    """Right answers by label."""
    below_chance_p: float | None
    """One-sided, exact binomial."""
    is_below_chance: bool
    unextractable: dict[str, float]
    """Filter -> share of answers out of which it got nothing."""
    truncated: float | None
    """Share of answers (or texts) that were cut at the limit."""
    gold_nll: float | None
    """Nats per token of the dataset's own answers."""
    code: dict[str, Any]
    """How model-written programs ended, and what they were run with; HumanEval alone."""
    parts: dict[str, dict[str, Any]]
    """Part -> its n and score."""
    task_versions: dict[str, Any]
    """Part -> the version that the engine's task file states."""
    prompts_sha256: str
    """Over the hashes of all prompts, in order."""
    chat_template_sha256: str | None
    fewshot_seed: int
    texts: int
    """Of `lm_nll`: read, with the empty ones."""
    empty_texts: int
    tokens: int
    """Of `lm_nll`: scored."""
    masked: str
    """Of `lm_nll`: which tokens are not scored, in words."""
    max_length: int
    """Tokens that the model reads at most."""
    batch_tokens: int
    prompt_tokens: int
    """Of all requests, before shared prefixes are taken out."""
    computed_tokens: int
    """Of these, those that went through the model."""
    generated_tokens: int
    shared_prefixes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The provenance of a cell, score or failure."""

    cell: str | None = None
    """`model/task`, the task with its splits, subsets and parts; None in records of early versions."""
    spec: dict[str, Any] = field(default_factory=dict)
    """The model's entry in the suite, defaults filled in."""
    identity: dict[str, Any] | None = None
    """What of the model goes into keys: kind, weights, adapter, options, scoring version."""
    fingerprint: str | None = None
    """sha256 of `identity`."""
    weights: PlaceFacts | None = None
    """None for models without files of their own."""
    adapter: PlaceFacts | None = None
    selected_on: str | None = None
    """Data the candidate was chosen by, as its candidate.yaml says."""
    training: dict[str, Any] = field(default_factory=dict)
    """The training record of the candidate's candidate.yaml; empty for other models."""
    note: str | None = None
    """What the suite says of the model."""
    rule: str | None = None
    """merged or switched: under which rule the model stands that it was first made for; None without an adapter."""
    splits: list[str] = field(default_factory=list)
    subsets: list[str] = field(default_factory=list)
    official_split: bool | None = None
    """Whether the benchmark evaluates on these splits."""
    limit: int | None = None
    """Items were limited to so many; None: all."""
    limited_to: dict[str, Any] = field(default_factory=dict)
    """Part -> `split/subset` -> what a limit kept of it."""
    data_remarks: list[str] = field(default_factory=list)
    """What must be known of the data, whatever the model: texts in both halves, documents twice, rare labels, ..."""
    off_count: dict[str, list[int]] = field(default_factory=dict)
    """Part, split and subset -> items of the data that were read, and of the benchmark's own, where the two differ."""
    off_documents: dict[str, list[int]] = field(default_factory=dict)
    """The same of the documents that are ranked."""
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    """Part, split and subset -> items that the engine left out of the score because of what the model gave for them."""
    resamples: int = 1000
    """Samples that its own interval is of, where that is a bootstrap's; records that do not say are of 1,000."""
    versions: dict[str, str] = field(default_factory=dict)
    """Package -> version, or `absent`."""
    git: str | None = None
    """Commit of this source, with `-dirty`; None for an installed wheel."""
    began: str | None = None
    """UTC, ISO 8601."""
    encoder: dict[str, Any] = field(default_factory=dict)
    """What the loaded model says of itself: device, dtype, dimension, parameters, batch_tokens, ..."""
    data: dict[str, PlaceFacts] = field(default_factory=dict)
    """Task or part -> where its data came from."""
    prompts: dict[str, str | None] = field(default_factory=dict)
    """Role -> prefix before its texts; None: nothing was put before them. Embedding cells alone."""
    search: SearchFacts = field(default_factory=SearchFacts)
    """Tasks that rank documents alone; records of early versions, which mteb searched, have none."""
    shards: ShardFacts = field(default_factory=ShardFacts)
    """Cells that were made in parts alone."""
    ability: AbilityFacts = field(default_factory=AbilityFacts)
    """Ability cells alone."""
    phases: dict[str, float] = field(default_factory=dict)
    """Step of the evaluation -> seconds."""
    counts: dict[str, float] = field(default_factory=dict)
    """texts, unique_texts, tokens, truncated_texts, cut_tokens, empty_texts, out_of_memory, encode_seconds."""
    rationales: dict[str, Any] = field(default_factory=dict)
    """What the rationales look like: number, lengths, shares; for models that write some."""
    rationale_samples: dict[str, Any] | None = None
    """Name, sha256 and bytes of the file beside the cell that holds rationales to read."""
    seconds: dict[str, float] = field(default_factory=dict)
    """load_model (0 where it was loaded for an earlier cell), evaluate, and of that encode."""
    hardware: HardwareFacts = field(default_factory=HardwareFacts)
    """What it was scored on."""
    peak_memory_bytes: dict[str, int] = field(default_factory=dict)
    """host and each device -> the most that the process had held by the end of the cell."""
    seeds: dict[str, Any] = field(default_factory=dict)
    """n and scores, of a mean over seeds; made when results are read, never stored."""

    lost: str | None = None
    """What of the cell's files is lost; found when results are read, never stored."""

    @property
    def is_off_count(self) -> bool:
        """Whether the data have other numbers of items or documents than the benchmark's own."""
        return bool(self.off_count or self.off_documents)


def machines(facts: Facts) -> list[HardwareFacts]:
    """Return what all of a cell ran on: the machine that scored it, then others that made shards of it."""
    found = [facts.hardware] if facts.hardware else []
    return found + [one for one in facts.shards.get("hardware", ()) if one not in found]


KEYS = tuple(one.name for one in fields(Facts))
"""All keys of a provenance."""


def facts_of(result: Result) -> Facts:
    """Return what a cell says of how it was made."""
    kept = result.provenance
    return Facts(**{name: kept[name] for name in KEYS if kept.get(name) is not None})


def off_count_said(facts: Facts) -> list[str]:
    """Return a line where a cell's data are of another size than the benchmark's; one for all its parts."""
    counts = []
    for what, off in (("items", facts.off_count), ("documents", facts.off_documents)):
        if off:
            here, known = (sum(both) for both in zip(*off.values(), strict=True))
            counts.append(f"{here:,} of {known:,} {what}")
    return [f"{' and '.join(counts)}: not the data that published figures are over"] if counts else []


def left_out_said(facts: Facts) -> list[str]:
    """Return a line for each part of a cell whose score is not over all its items."""
    many = len(facts.left_out) > 1
    return [
        f"{f'{name}: ' if many else ''}{len(one['items'])} of {one['of']} {one['unit']}s left out: {one['why']}"
        for name, one in facts.left_out.items()
    ]


def name_of(result: Result) -> str:
    """Return `model/task` of a stored cell, the task with its splits, subsets and parts."""
    return facts_of(result).cell or f"{result.model}/{result.task}"
