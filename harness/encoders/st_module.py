"""A candidate directory as a module of sentence-transformers: what exports name in their `modules.json`.

    SentenceTransformer("DIR", trust_remote_code=True)    # with this package installed

sentence-transformers' own modules cannot write a rationale, and their mean takes in what a tokenizer puts in front;
this module hands the texts to the harness's own encoder, so the vectors are the harness's by construction. This file is
imported by sentence-transformers alone, and is the one place where torch stands at the top: a module must be a class.
Its place is written into exports, so neither it nor the class may move.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from sentence_transformers.base.modules import InputModule  # noqa: TID253

from harness.candidates.candidate import MissingCandidate
from harness.candidates.candidate_file import read_candidate_file
from harness.candidates.identify import identify
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources
from harness.suite.model_entries import CandidateSpec

SETTINGS_FILE = "harness_module.json"
"""Beside the candidate: the seed of sampled rationales."""


class CandidateModule(InputModule):  # type: ignore[misc]
    """Texts in, sentence embeddings out; prompts that sentence-transformers is given stand before the text."""

    def __init__(self, folder: Path, encoder: CheckedEncoder) -> None:
        """Wrap the encoder of a candidate directory."""
        super().__init__()
        self._folder, self._encoder = folder, encoder
        inner: Any = encoder.inner
        self.auto_model = inner.model
        self.tokenizer = inner.tokenizer

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        *_: Any,
        model_kwargs: dict[str, Any] | None = None,
        trust_remote_code: bool = False,
        **__: Any,
    ) -> Any:
        """Load the candidate directory `model_name_or_path`.

        Args:
            model_name_or_path: a folder on this machine.
            model_kwargs: `dtype` and `attn_implementation` over the candidate's own; others are refused.
            trust_remote_code: whether a candidate that wants to may run its own Python.

        Raises:
            InputError: it is no folder, or `model_kwargs` holds something else.
        """
        folder = Path(model_name_or_path)
        if not folder.is_dir():
            raise InputError(
                [f"{model_name_or_path!r} is no folder: download the repository first, with all its files"]
            )
        may_run_code = trust_remote_code and read_candidate_file(folder / "candidate.yaml").wants_to_run_code
        spec = CandidateSpec(name="exported", candidate=str(folder), device="cpu", trust_remote_code=may_run_code)
        found = identify(spec, Sources())
        if isinstance(found, MissingCandidate):
            raise EnvironmentGapError([str(gap) for gap in found.gaps])
        changes = _changes(model_kwargs or {})
        found_spec = found.spec.model_copy(update=changes)
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        # Without the cache of rationales: a model that is used elsewhere leaves nothing behind on its machine.
        encoder = loading.load(replace(found, spec=found_spec), seed=settings["seed"], use_cache=False)
        return cls(folder, encoder)

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text; the prompt around it and the rationale come on top."""
        inner: Any = self._encoder.inner
        return int(inner.max_text_tokens)

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        inner: Any = self._encoder.inner
        inner.max_text_tokens = value

    def get_embedding_dimension(self) -> int:
        """Return the model's hidden size."""
        return int(self.auto_model.config.get_text_config().hidden_size)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Pass the texts on: the encoder tokenises them, and a rationale's random numbers hang on the text itself."""
        return {"texts": [str(text) for text in inputs], "prompt": prompt or None}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return `features` with `sentence_embedding`, (b, d) float32."""
        device = next(self.auto_model.parameters()).device
        inner: Any = self._encoder.inner
        if str(device) != inner.device:
            inner.follow(str(device))
        vectors = self._encoder.encode(features["texts"], role=None, prompt=features["prompt"])
        return features | {"sentence_embedding": torch.from_numpy(vectors).to(device)}

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Copy the directory's files."""
        shutil.copytree(self._folder, output_path, dirs_exist_ok=True)


def _changes(model_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what `model_kwargs` change in the candidate's spec."""
    unknown = sorted(set(model_kwargs) - {"dtype", "torch_dtype", "attn_implementation"})
    if unknown:
        raise InputError([f"model_kwargs {unknown!r}: an exported candidate takes dtype and attn_implementation"])
    changes = {"dtype" if "dtype" in name else name: value for name, value in model_kwargs.items() if value is not None}
    if "dtype" in changes:
        changes["dtype"] = str(changes["dtype"]).removeprefix("torch.")
    return {name: value for name, value in changes.items() if value != "auto"}
