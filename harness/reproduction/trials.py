"""What may explain a published row that is apart: one thing changed in the model's entry, the likeliest first.

What is known to differ comes first (the source or the user says so, or mteb's own entry of the model), then what people
get wrong most often. A change that the encoder kind cannot make, or that changes nothing, is no trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.published.rows import PublishedRow
from harness.reproduction.pooling import MODES, pooling_of
from harness.results.facts import Facts
from harness.suite.model_entries import EncoderOptions
from harness.tasks.catalogue import TaskInfo
from harness.tasks.prompts import roles_of, selector
from harness.tasks.types import NO_ROLE
from harness.wording import short

WINDOWS = (512, 256, 128)
"""Tokens that models are commonly cut at."""
DTYPES = ("float16", "bfloat16", "float32")
KNOWN_PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("query: ", "passage: ", "E5"),
    ("passage: ", "passage: ", "E5, everything a passage"),
    ("search_query: ", "search_document: ", "Nomic"),
    ("Represent this sentence for searching relevant passages: ", "", "BGE"),
)
"""Before queries (and texts that have no role), before documents, and whose they are."""
INSTRUCTED = "Instruct: {instruction}\nQuery: "
"""Of E5-mistral, Qwen3-Embedding and their kin."""
OF_NO_ROLE = ("query", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One thing changed."""

    factor: str
    """prompt, pooling, window, dtype, batch, similarity; of a user's own, the key it changes."""
    says: str
    """In words: `pooling cls`."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Over the model's entry; a value of None takes the key out."""
    pooling: str | None = None
    """Another pooling, for which a folder is made."""
    split: str | None = None
    """Another split, on which the model is scored as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a task that has rows apart."""

    spec: EncoderOptions
    """The model's entry, that of a candidate directory with what the directory says."""
    has_own_entry: bool
    """Whether the entry can be changed; False for a candidate directory."""
    info: TaskInfo
    facts: Facts
    """Of the cell that was scored here."""
    rows: tuple[PublishedRow, ...]
    """That are apart."""
    model: str
    """As the source calls it."""
    folder: Path | None = None
    """The model's files; None where they are in no folder of this machine."""


def trials(about: About, own: Sequence[Trial] = ()) -> list[Trial]:
    """Return what to try, each once, what the user asks for (`own`) first."""
    found: dict[str, Trial] = {}
    for one in (*own, *_of_entry(about)):
        if one.pooling is not None or one.split is not None or _has_effect(one, about):
            found.setdefault(repr((sorted(one.overrides.items(), key=str), one.pooling, one.split)), one)
    return list(found.values())


def _of_entry(about: About) -> Iterator[Trial]:
    if not about.has_own_entry:
        yield from _splits(about)
        return
    yield from _said(about)
    yield from _registered(about)
    yield from _no_prompt(about)
    poolings = list(_poolings(about))
    yield from poolings[:3]
    yield from _windows(about)
    yield from _splits(about)
    yield from _prompts(about)
    yield from poolings[3:]
    used = getattr(about.spec, "dtype", None)
    for dtype in (one for one in DTYPES if used is not None and one != used):
        yield Trial(factor="dtype", says=f"dtype {dtype}", overrides={"dtype": dtype})
    yield Trial(factor="batch", says="batch: one text at a time", overrides={"batch_tokens": 1})
    other = "dot" if about.facts.encoder.get("similarity", "cosine") == "cosine" else "cosine"
    yield Trial(factor="similarity", says=f"similarity {other}", overrides={"similarity": other})


def _has_effect(trial: Trial, about: About) -> bool:
    """Whether the entry has these keys, and another value of them."""
    fields = type(about.spec).model_fields
    if not all(name.partition(".")[0] in fields for name in trial.overrides):
        return False
    return any(getattr(about.spec, name, None) != value for name, value in trial.overrides.items())


def _said(about: About) -> Iterator[Trial]:
    """Yield what the source says of its own run, where that is another thing than here."""
    for name, factor in (("dtype", "dtype"), ("max_text_tokens", "window"), ("similarity", "similarity")):
        for value in dict.fromkeys(row.settings.get(name) for row in about.rows):
            if value is not None and value != about.facts.encoder.get(name, getattr(about.spec, name, None)):
                yield Trial(factor=factor, says=f"{factor} {value}, as the source says", overrides={name: value})
    for row in about.rows:
        prompts = row.settings.get("prompts")
        if isinstance(prompts, Mapping) and dict(prompts) != about.facts.prompts:
            literal = {_key(role, about.info): text or "" for role, text in prompts.items()}
            yield _prompt(f"{short(literal)}, as the source says", literal)


def _registered(about: About) -> Iterator[Trial]:
    """Yield how mteb's own entry of the published model has its texts begin and be cut."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(about.model)
    if meta is None:
        return
    known = meta.loader_kwargs
    prompts = known.get("model_prompts") or known.get("prompts_dict")
    if isinstance(prompts, Mapping):
        literal = {str(getattr(key, "value", key)): str(text) for key, text in prompts.items()}
        if _applies(literal, about):
            yield _prompt(f"those of mteb's own entry of {about.model}", literal)
    template = known.get("instruction_template")
    if isinstance(template, str) and "{instruction}" in template and about.info.prompt:
        yield Trial(
            factor="prompt",
            says=f"prompt {short(template)}, of mteb's own entry of {about.model}",
            overrides={"instruction": template, "prompts": {}},
        )
    window = known.get("max_seq_length")
    if isinstance(window, int) and window != about.facts.encoder.get("max_text_tokens"):
        yield Trial(
            factor="window",
            says=f"window {window} tokens, of mteb's own entry of {about.model}",
            overrides={"max_text_tokens": window},
        )


def _no_prompt(about: About) -> Iterator[Trial]:
    if any(about.facts.prompts.values()):
        yield _prompt("none", {_key(role, about.info): "" for role in about.facts.prompts})


def _prompts(about: About) -> Iterator[Trial]:
    """Yield the model's own prompts that were not used, the engine's instruction, and prefixes of known families."""
    for name, text in _own_prompts(about.folder).items():
        if text:
            yield _for_all(f"{text!r}, the model's own {name!r}", text, text, about)
    if about.info.prompt:
        yield Trial(
            factor="prompt",
            says=f"prompt {INSTRUCTED!r} with mteb's instruction",
            overrides={"instruction": INSTRUCTED, "prompts": {}},
        )
    for query, document, whose in KNOWN_PREFIXES:
        both = f"{query!r}" if roles_of(about.info.type) == (None,) else f"{query!r} / {document!r}"
        yield _for_all(f"{both} ({whose})", query, document, about)


def _for_all(says: str, query: str, document: str, about: About) -> Trial:
    literal = {_key(role, about.info): document if role == "document" else query for role in roles_of(about.info.type)}
    return _prompt(says, literal)


def _prompt(says: str, literal: Mapping[str, str]) -> Trial:
    overrides: dict[str, Any] = {"prompts": dict(literal), "instruction": None}
    return Trial(factor="prompt", says=f"prompt {says}", overrides=overrides)


def _key(role: str | None, info: TaskInfo) -> str:
    """Return how an entry's `prompts` names the texts of a role in one task, before which nothing else can come."""
    return info.name if role in (None, NO_ROLE) else f"{info.name}-{role}"


def _applies(prompts: Mapping[str, str], about: About) -> bool:
    info = about.info
    return any(selector(prompts, info.name, info.type, role) is not None for role in roles_of(info.type))


def _poolings(about: About) -> Iterator[Trial]:
    used = pooling_of(about.folder) if about.folder is not None else None
    if used is None:
        return
    for mode in MODES:
        if mode != used:
            yield Trial(factor="pooling", says=f"pooling {mode} (here: {used})", pooling=mode)


def _windows(about: About) -> Iterator[Trial]:
    """Yield other lengths to cut at: longer ones only where texts were cut."""
    used = about.facts.encoder.get("max_text_tokens")
    if not isinstance(used, int):
        return
    was_cut = about.facts.counts.get("truncated_texts", 0) > 0
    for window in WINDOWS:
        if window < used or (window > used and was_cut):
            yield Trial(
                factor="window",
                says=f"window {window} tokens (here: {used})",
                overrides={"max_text_tokens": window},
            )


def _splits(about: About) -> Iterator[Trial]:
    """Yield the other splits that the task is known to have."""
    for split in dict.fromkeys((*about.info.splits, *about.info.counts)):
        if split not in (*about.facts.splits, "train"):  # nobody publishes that
            yield Trial(factor="split or subset", says=f"split {split}", split=split)


def _own_prompts(folder: Path | None) -> dict[str, str]:
    """Return the prompts of a model's own configuration."""
    import json

    file = folder / "config_sentence_transformers.json" if folder is not None else None
    if file is None or not file.is_file():
        return {}
    prompts = json.loads(file.read_text(encoding="utf-8")).get("prompts") or {}
    return {name: text for name, text in prompts.items() if isinstance(text, str)}
