"""A finished run becomes a candidate: adapter or weights, model card, and last of all candidate.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grace.config.load import to_yaml
from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData
from grace.run.directory import CANDIDATE, RunDir, fresh_folder, room_on_disk
from grace.run.trainable import Trainable
from harness.candidates.base import FILES, IDENTITY, files_of
from harness.candidates.candidate_file import CandidateBase, CandidateFile
from harness.digests import sha256_file, sha256_text, write_atomically
from harness.encoders.soft_tokens import save_soft_tokens
from harness.environment import git_revision, versions
from harness.yaml_scalars import dumped

ADAPTER, MODEL, SOFT_TOKENS = "adapter", "model", "soft_tokens"
"""Folders of the run's directory: of an adapter, of full weights, of vectors in front of every text."""
SOFT_TOKENS_FILE = "soft_tokens.safetensors"


def write_candidate(
    run: RunDir, config: TrainConfig, trained: Trainable, data: TrainingData, *, facts: Mapping[str, Any]
) -> None:
    """Write the candidate into the run's directory; the harness loads it once candidate.yaml stands there.

    Args:
        run: of the main process; others write nothing.
        config: of the run.
        trained: with the final weights.
        data: what it was trained on.
        facts: steps, seconds, rows and the like, for provenance.
    """
    if not run.is_main:
        return
    folder = _folder(trained)
    fresh_folder(run.path / folder, lambda target: _save(target, config, trained))
    about = describe(run, config, trained, data, facts=facts)
    with room_on_disk(run.path):
        write_atomically(run.path / "README.md", model_card(config, about).encode())
        text = dumped(about.model_dump(mode="json", exclude_none=True))
        write_atomically(run.path / CANDIDATE, text.encode())


def describe(
    run: RunDir, config: TrainConfig, trained: Trainable, data: TrainingData, *, facts: Mapping[str, Any]
) -> CandidateFile:
    """Return what candidate.yaml says.

    Args:
        run: whose directory has the trained weights.
        config: of the run.
        trained: what was trained, and over which base.
        data: what it was trained on.
        facts: further provenance.
    """
    return CandidateFile(
        version=1,
        kind=config.candidate_kind,
        base=CandidateBase(model=config.model, revision=trained.weights.revision, sha256=config.sha256),
        weights=MODEL if _folder(trained) == MODEL else None,
        adapter=ADAPTER if trained.peft is not None else None,
        encoder=_encoder_options(config, trained) | _soft_tokens(run, trained),
        selected_on=config.candidate.selected_on,
        training={
            "objective": config.objective,
            "config_sha256": sha256_text(to_yaml(config)),
            "data": data.source,
            "data_identity": data.identity,
            "rows": len(data.rows),
            "rows_skipped": len(data.skipped),
            IDENTITY: trained.weights.identity,
            FILES: files_of(trained.weights),
            "git": git_revision(),
            "versions": versions(),
            **facts,
        },
    )


def _encoder_options(config: TrainConfig, trained: Trainable) -> dict[str, Any]:
    options: dict[str, Any] = {
        "dtype": trained.dtype,
        "attn_implementation": config.attn_implementation,
        "trust_remote_code": config.trust_remote_code,
        "max_text_tokens": config.max_text_tokens,
    }
    if config.suffix is not None:
        options["suffix"] = config.suffix
    if config.candidate_kind == "rationale":
        if trained.writing == "plain":
            options["forward"] = "plain"
        if config.rationale.fixed is not None:
            return options | {"fixed_rationale": config.rationale.fixed}
        options["generation"] = {
            "max_new_tokens": config.candidate.max_new_tokens or config.max_new_tokens,
            "temperature": config.candidate.temperature,
        }
    return options


def _folder(trained: Trainable) -> str:
    """Return what the folder of the trained weights is called."""
    if trained.soft_tokens is not None:
        return SOFT_TOKENS
    return ADAPTER if trained.peft is not None else MODEL


def _soft_tokens(run: RunDir, trained: Trainable) -> dict[str, Any]:
    if trained.soft_tokens is None:
        return {}
    file = f"{SOFT_TOKENS}/{SOFT_TOKENS_FILE}"
    return {"soft_tokens": {"file": file, "sha256": sha256_file(run.path / file, anew=True)}}


def _save(target: Path, config: TrainConfig, trained: Trainable) -> None:
    if trained.soft_tokens is not None:
        save_soft_tokens(trained.soft_tokens, target / SOFT_TOKENS_FILE)
        return
    if trained.peft is None:
        trained.model.save_pretrained(target)
        trained.tokenizer.save_pretrained(target)
        return
    # Not the path in this machine's cache, which is what PEFT remembers.
    for one in trained.peft.peft_config.values():
        one.base_model_name_or_path = config.model
        one.revision = trained.weights.revision
    trained.peft.save_pretrained(target)
    (target / "README.md").unlink(missing_ok=True)  # PEFT's empty form; the card is in the folder above


def model_card(config: TrainConfig, about: CandidateFile) -> str:
    """Return the model card, Markdown with a YAML head."""
    training = about.training
    head = {"base_model": config.model, "library_name": "peft" if about.adapter else "transformers", "tags": ["grace"]}
    what = f"a LoRA adapter (rank {config.adapter.r})" if about.adapter else "all weights"
    what = (
        f"{config.adapter.tokens} soft tokens; the model is its base" if config.adapter.kind == "soft-tokens" else what
    )
    selected = about.selected_on or "nothing: no setting and no checkpoint was chosen by a score"
    steps, seconds = training.get("steps"), training.get("seconds")
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).rstrip(),
        "---",
        f"# {config.name}",
        "",
        config.description or f"`{config.model}`, trained to embed texts by the objective `{config.objective}`.",
        "",
        f"- Trained: {what}, {steps} steps of {config.batch_size} rows, {seconds} s",
        f"- Data: {training['data']} ({training['rows']} rows used, {training['rows_skipped']} skipped; "
        f"{training['data_identity']})",
        f"- Embedding: `{about.kind}`, {about.encoder}",
        f"- Selected on: {selected}",
        f"- Configuration: config.yaml (sha256 {training['config_sha256']}); code {training['git'] or 'of a release'}",
        "",
        "Evaluate it as a model of a suite: `{name: NAME, candidate: THIS DIRECTORY}`, then `harness run SUITE`.",
        "What it lost as a language model is part of that question: run the ability tasks too.",
        "",
    ]
    return "\n".join(lines)
