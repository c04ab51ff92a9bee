"""The model card of an export: how to load it, what it was made from and with, and what it scored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.candidates.candidate import Candidate
from harness.candidates.candidate_file import read_candidate_file
from harness.encoders.rationale.template import SYSTEM_PROMPT
from harness.errors import InputError
from harness.suite.model_entries import RationaleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card says beside the candidate's own facts."""

    candidate: Candidate
    """As it was before the export."""
    load_line: str
    """The line of Python that loads the export."""
    seed: int
    """Of sampled rationales."""
    is_merged: bool
    """Whether an adapter was merged into the weights."""


def card(about: Card, results: Path | None) -> str:
    """Return the card as Markdown; `results` is a results folder, or None for no scores."""
    found = about.candidate
    head = {"library_name": "sentence-transformers", "pipeline_tag": "sentence-similarity"}
    sections = [_usage(about), _what(about), _prompts(found), _training(found)]
    if results is not None:
        sections.append(_scores(found, results))
    front = yaml.safe_dump(head | {"tags": ["sentence-transformers", f"encoder-verdict-{found.kind}"]}, sort_keys=False)
    return f"---\n{front}---\n\n# {found.name}\n\n" + "\n".join(section for section in sections if section)


def scores_of(fingerprint: str | None, results: Path) -> list[dict[str, Any]]:
    """Return the records of finished cells of a candidate, in the order of axis, type and task.

    Raises:
        InputError: there is no such folder, or a record cannot be read.
    """
    if not results.is_dir():
        raise InputError([f"--results {results}: no such folder"])
    found = []
    for path in sorted(results.rglob("*.json")):
        if path.name.endswith(".failure.json"):
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError([f"{path}: cannot be read: {error}"]) from error
        if not isinstance(record, dict) or record.get("status") != "ok":
            continue
        if fingerprint is not None and record.get("provenance", {}).get("fingerprint") == fingerprint:
            found.append(record)
    return sorted(found, key=lambda record: (record["axis"], record["type"], record["task"], str(record["limit"])))


def base_of(candidate: Candidate) -> dict[str, str]:
    """Return model, revision and sha256 of the base, those that are known: of training, or the entry's own."""
    if candidate.directory is not None:
        found = read_candidate_file(candidate.directory / "candidate.yaml").base.model_dump()
    else:
        found = candidate.spec.model_dump(include={"model", "revision", "sha256"})
    return {name: value for name, value in found.items() if value is not None}


def _usage(about: Card) -> str:
    needs = (
        "A text without a token (an empty one) leaves sentence-transformers' modules nothing to average: alone it is "
        "an error, beside others its vector is zero. The harness reads it as one end-of-text token.\n\n"
    )
    if "trust_remote_code" in about.load_line:
        needs = (
            "The module is a class of the package `encoder-verdict`, which must be installed; sentence-transformers 6 "
            "imports classes of other packages only where it is told to.\n\n"
        )
    return (
        f"{needs}```python\nfrom sentence_transformers import SentenceTransformer\n\nmodel = {about.load_line}\n"
        f'vectors = model.encode(["a text", "another"])\n```\n'
    )


def _what(about: Card) -> str:
    found, spec = about.candidate, about.candidate.spec
    base = base_of(found)
    facts: list[tuple[str, Any]] = [
        ("base model", base["model"]),
        ("revision", base.get("revision")),
        ("sha256 of the wheel or its joined parts", base.get("sha256")),
        ("note", found.note),
        ("encoder", found.kind),
        ("adapter", _merged(found) if about.is_merged else None),
        ("dtype", getattr(spec, "dtype", None)),
        ("longest text, tokens", getattr(spec, "max_text_tokens", None) or "the model's context"),
        ("fingerprint of the candidate", found.fingerprint()),
    ]
    if isinstance(spec, RationaleSpec):
        if spec.fixed_rationale is None:
            facts.append(("generation", json.dumps(spec.generation.model_dump(mode="json"))))
            facts.append(("seed of sampled rationales", about.seed))
        facts.append(("in the place of every rationale", spec.fixed_rationale))
        facts.append(("ablation", spec.ablation))
    rows = "".join(f"| {name} | {_cell(value)} |\n" for name, value in facts if value is not None)
    return f"## What it is\n\n| | |\n|---|---|\n{rows}"


def _merged(found: Candidate) -> str:
    """Return what was merged: how much of the adapter's change, and that it is no longer switched off for answers."""
    scale = "" if found.adapter_scale == 1.0 else f" at adapter_scale {found.adapter_scale:g}"
    kept = ", for answers too: `serving: switched` cannot be kept in one set of weights"
    return f"merged into the weights{scale}{kept if found.serving == 'switched' else ''}"


def _prompts(found: Candidate) -> str:
    parts = []
    if found.kind == "rationale":
        how = "The model writes a rationale under this system prompt, then text and rationale are embedded:"
        parts.append(f"{how}\n\n> {SYSTEM_PROMPT}\n")
    prompts = getattr(found.spec, "prompts", {})
    if prompts:
        rows = "".join(f"| {name} | {_cell(repr(text))} |\n" for name, text in prompts.items())
        parts.append(f"Prefixes (they take no part in the mean):\n\n| for | prefix |\n|---|---|\n{rows}")
    instruction = getattr(found.spec, "instruction", None)
    if instruction:
        parts.append(f"Queries were given this instruction, filled in for each task: {_cell(repr(instruction))}\n")
    return "## Prompt\n\n" + "\n".join(parts) if parts else ""


def _training(found: Candidate) -> str:
    chosen = f"Settings and checkpoint were selected on: {found.selected_on}\n\n" if found.selected_on else ""
    if not found.training:
        return (
            f"## Training\n\n{chosen}None: these are the base model's own weights.\n" if not found.adapter else chosen
        )
    described = yaml.safe_dump(found.training, sort_keys=False, allow_unicode=True)
    return f"## Training\n\n{chosen}```yaml\n{described}```\n"


def _scores(found: Candidate, results: Path) -> str:
    records = scores_of(found.fingerprint(), results)
    if not records:
        return f"## Scores\n\nThe results folder `{results.name}` holds none of this candidate.\n"
    rows = "".join(_score_row(record) for record in records)
    return (
        "## Scores\n\nOf the candidate before the export, by the harness; 95 % intervals by resampling items.\n\n"
        f"| axis | type | task | metric | score | interval | items | limit |\n|---|---|---|---|---|---|---|---|\n{rows}"
    )


def _score_row(record: dict[str, Any]) -> str:
    low, high = record["ci_low"], record["ci_high"]
    interval = f"{low:.2f} to {high:.2f}" if isinstance(low, float) and isinstance(high, float) else ""
    score = f"{record['score']:.2f}" if isinstance(record["score"], int | float) else "not a number"
    unit = "" if record["unit"] == "points" else f" {record['unit']}"
    cells = (record["axis"], record["type"], record["task"], record["metric"], score + unit, interval, record["n"])
    return "| " + " | ".join(_cell(value) for value in (*cells, record["limit"] or "all")) + " |\n"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
