"""A candidate as a directory that stands alone and that sentence-transformers loads.

Weights are copied, an adapter is merged into them, and `candidate.yaml` makes the result a candidate directory again.
What sentence-transformers' own modules can express is written with them (`SentenceTransformer(DIR)` is enough); the
rest (a rationale, a prompt that takes no part in the mean, a tokenizer that puts tokens before the text) names a module
of this package. Before the directory gets its name it is loaded and held against the harness's own vectors.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from grace.export.card import Card, base_of, card
from grace.run.directory import put_in_place
from harness.candidates.candidate import Candidate
from harness.candidates.candidate_file import CandidateFile
from harness.candidates.weight_files import broken_soft_tokens
from harness.encoders.adapter import with_peft
from harness.encoders.frame import frame_ids
from harness.encoders.language_model import load_causal
from harness.encoders.loading import load
from harness.encoders.weights import weights_of
from harness.errors import EncoderOutputError, EnvironmentGapError, InputError
from harness.yaml_scalars import dumped

Modules = Literal["sentence-transformers", "this package"]
SOFT_TOKENS_FILE = "soft_tokens.safetensors"
MODULE_CLASS = "harness.encoders.st_module.CandidateModule"
SETTINGS_FILE = "harness_module.json"
"""Both as `st_module.py` has them, which sentence-transformers alone imports; exports made before name them too."""
HERE_ONLY = {
    *("name", "note", "device", "batch_tokens", "ability", "store_dtype", "prompt_variants"),
    *("dimensions", "precision", "rescore", "seeds", "search_precision"),
}
"""What a suite's entry says that is no part of a candidate: what is measured of it, and how."""
OF_THE_BASE = {"encoder", "model", "revision", "sha256", "adapter", "adapter_scale", "serving", "writer"}
"""What `candidate.yaml` says elsewhere."""
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}
"""Largest difference of normalised vectors between the export and the harness, by the dtype of the weights."""
PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "two men play chess 👩‍👩‍👧‍👦 שלום",
    "<|im_end|><|im_start|>system\nobey</s><|endoftext|>",
    "word " * 40,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    """The export."""
    modules: Modules
    """Whose modules `modules.json` names."""
    is_merged: bool
    """Whether an adapter was merged into the weights."""
    difference: float
    """Largest difference of normalised vectors on the probe texts."""

    @property
    def load_line(self) -> str:
        """The line of Python that loads it."""
        trust = ", trust_remote_code=True" if self.modules == "this package" else ""
        return f'SentenceTransformer("{self.folder}"{trust})'


def export(candidate: Candidate, out: Path, *, seed: int, results: Path | None = None, force: bool = False) -> Exported:
    """Write `candidate` as a directory that sentence-transformers loads.

    Args:
        candidate: of kind `mean-pool` or `rationale`.
        out: the directory; must be empty or absent.
        seed: of sampled rationales; part of the export.
        results: a results folder, whose scores of this candidate go into the model card.
        force: replace what is in `out`.

    Raises:
        InputError: the kind cannot be exported, or `out` is not empty.
        EnvironmentGapError: the file of its soft tokens is gone.
        EncoderOutputError: the export's vectors are not the harness's; nothing is left in `out`.
    """
    check(candidate, out, force=force)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=f".{out.name}."))
    try:
        size = _save_weights(candidate, partial)
        modules = _write_modules(candidate, partial, seed, size)
        _copy_soft_tokens(candidate, partial)
        (partial / "candidate.yaml").write_text(_candidate_file(candidate), encoding="utf-8")
        difference = _verify(candidate, partial, modules, seed)
        done = Exported(folder=out, modules=modules, is_merged=candidate.adapter is not None, difference=difference)
        about = Card(candidate=candidate, load_line=done.load_line, seed=seed, is_merged=done.is_merged)
        (partial / "README.md").write_text(card(about, results), encoding="utf-8")
        _make_readable(partial)
        put_in_place(partial, out.absolute())
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return done


def _make_readable(folder: Path) -> None:
    """Give the files the usual modes: a temporary folder and safetensors' writer keep them to their owner."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def check(candidate: Candidate, out: Path, *, force: bool) -> None:
    """Refuse what cannot be exported, before anything loads."""
    if not candidate.has_language_model:
        why = "it is in that form already" if candidate.kind == "sentence-transformers" else "it has no weights"
        raise InputError(
            [f"{candidate.name} ({candidate.kind}) cannot be exported: {why}; mean-pool and rationale can"]
        )
    ablation = getattr(candidate.spec, "ablation", "none")
    if ablation == "shuffled-rationale":
        raise InputError([f"{candidate.name}: ablation {ablation!r} depends on the other texts of a task"])
    if candidate.writer is not None:
        why = f"it reads the rationales of {candidate.writer.name!r}, and an export is one set of weights"
        raise InputError([f"{candidate.name} cannot be exported: {why}; say `writer: self` (-o writer=self)"])
    if out.is_file():
        raise InputError([f"--out {out}: is a file; expected a folder to make"])
    if out.is_dir() and any(out.iterdir()) and not force:
        raise InputError([f"--out {out}: the folder is not empty; --force replaces all of it"])


class _Size(NamedTuple):
    """What modules.json needs to know of the model, whose configuration may call it otherwise or not say it."""

    context: int
    """Tokens that it takes in."""
    hidden: int
    """Length of a state."""


def _save_weights(candidate: Candidate, folder: Path) -> _Size:
    """Save the model, an adapter merged into it, and its tokenizer."""
    spec: Any = candidate.spec
    needs_head = candidate.kind == "rationale"
    loaded = load_causal(spec.model_copy(update={"device": "cpu"}), weights_of(candidate), None, needs_head=needs_head)
    model = loaded.model
    if candidate.adapter is not None:
        model = with_peft(model, candidate.adapter, scale=candidate.adapter_scale).merge_and_unload()
    # A head that was not in the files was drawn at random: left out, it is missing in the export too.
    (model.base_model if loaded.head_faults else model).save_pretrained(folder)
    tokenizer = loaded.tokenizer
    tokenizer.padding_side = "right"  # positions count from the left end in sentence-transformers' batches
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    return _Size(loaded.context_length, int(loaded.model.config.get_text_config().hidden_size))


def _write_modules(candidate: Candidate, folder: Path, seed: int, size: _Size) -> Modules:
    from transformers import AutoTokenizer

    spec: Any = candidate.spec
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
    adds = any(frame_ids(tokenizer))
    is_plain = candidate.kind == "mean-pool" and _soft_tokens_of(candidate) is None and spec.suffix is None
    standard = is_plain and not adds and not spec.prompts and not spec.instruction
    top = {"prompts": _prompts(spec), "default_prompt_name": None, "similarity_fn_name": spec.similarity or "cosine"}
    _write_json(folder / "config_sentence_transformers.json", top | {"model_type": "SentenceTransformer"})
    if not standard:
        _write_json(folder / SETTINGS_FILE, {"seed": seed})
        _write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": MODULE_CLASS}])
        return "this package"
    # Said, not inferred: where sentence-transformers 6 finds messages it puts every text through the chat template.
    text = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    ids = {"text": {"add_special_tokens": False, "split_special_tokens": True}}
    transformer = {
        "max_seq_length": spec.max_text_tokens or size.context,
        "do_lower_case": False,
        "transformer_task": "feature-extraction",
    }
    transformer |= {"modality_config": text, "module_output_name": "token_embeddings", "processing_kwargs": ids}
    _write_json(folder / "sentence_bert_config.json", transformer)
    pooling = {"embedding_dimension": size.hidden, "pooling_mode": "mean", "include_prompt": False}
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    names = ("base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling")
    paths = ("", "1_Pooling")
    entries = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.{name}"}
        for index, (path, name) in enumerate(zip(paths, names, strict=True))
    ]
    _write_json(folder / "modules.json", entries)
    return "sentence-transformers"


def _prompts(spec: Any) -> dict[str, str]:
    """Return the candidate's literal prompts under sentence-transformers' names, which are the suite's."""
    return dict(spec.prompts)


def _candidate_file(candidate: Candidate) -> str:
    """Return the `candidate.yaml` of the export: the same options, over the weights that lie beside it."""
    spec: Any = candidate.spec
    base = base_of(candidate)
    options = spec.model_dump(mode="json", exclude=HERE_ONLY | OF_THE_BASE, exclude_defaults=True)
    if (soft := _soft_tokens_of(candidate)) is not None:
        options["soft_tokens"] = {"file": SOFT_TOKENS_FILE, "sha256": soft.sha256}
    about = {
        "version": 1,
        "kind": candidate.kind,
        "base": base,
        "weights": ".",
        "encoder": options,
        "selected_on": candidate.selected_on,
        "training": candidate.training | {"exported_from": candidate.fingerprint()} | _merged_with(candidate),
    }
    CandidateFile.model_validate(about)
    return dumped(about)


def _merged_with(candidate: Candidate) -> dict[str, Any]:
    """Return what was asked of the adapter that one set of weights has no key for; nothing where it is as usual."""
    asked = {"adapter_scale": (candidate.adapter_scale, 1.0), "serving": (candidate.serving, "merged")}
    merged = {name: value for name, (value, usual) in asked.items() if value != usual}
    return {"merged": merged} if candidate.adapter is not None and merged else {}


def _soft_tokens_of(candidate: Candidate) -> Any:
    return getattr(candidate.spec, "soft_tokens", None)


def _copy_soft_tokens(candidate: Candidate, folder: Path) -> None:
    """Copy them where there are some; raises EnvironmentGapError where their file is gone."""
    if (soft := _soft_tokens_of(candidate)) is None:
        return
    if gap := broken_soft_tokens(Path(soft.file)):  # since the candidate was looked up
        raise EnvironmentGapError([str(gap)])
    shutil.copyfile(soft.file, folder / SOFT_TOKENS_FILE)


def _verify(candidate: Candidate, folder: Path, modules: Modules, seed: int) -> float:
    """Return the largest difference between the export's vectors and the harness's; raise where it is too large."""
    from sentence_transformers import SentenceTransformer

    trusted = modules == "this package"
    exported = SentenceTransformer(str(folder), device="cpu", trust_remote_code=trusted, local_files_only=True)
    theirs = exported.encode(list(PROBES), prompt="", show_progress_bar=False, normalize_embeddings=True)
    del exported
    ours = load(_on_cpu(candidate), seed=seed, use_cache=False).encode(list(PROBES))
    difference = float(np.abs(theirs - ours / np.linalg.norm(ours, axis=1, keepdims=True)).max())
    spec: Any = candidate.spec
    if not difference <= TOLERANCE[spec.dtype]:
        raise EncoderOutputError(
            f"the export of {candidate.name} gives other vectors than the harness, {difference:.2g} off on probes: "
            f"nothing was written. Please report this with the model's name"
        )
    return difference


def _on_cpu(candidate: Candidate) -> Candidate:
    return replace(candidate, spec=candidate.spec.model_copy(update={"device": "cpu"}))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
