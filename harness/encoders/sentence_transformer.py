"""The `sentence-transformers` encoder: anything that library loads, with its own modules, prompts and similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.base import CausalLM, Counters, Vectors
from harness.encoders.batching import default_budget, for_each_batch
from harness.encoders.fit import refuse_misfits, watched
from harness.encoders.own_code import refused_by_name
from harness.encoders.weights import choose_device, loadable, weights_of
from harness.errors import EncoderOutputError
from harness.sources.places import Located
from harness.suite.fields import Similarity
from harness.suite.model_entries import SentenceTransformersSpec
from harness.tasks.types import Role

BATCHING_CHARACTERS_PER_TOKEN = 3.5
"""Only sizes batches, so few enough that memory holds: exact lengths would cost a second tokenisation."""


class SentenceTransformerEncoder:
    """A SentenceTransformer with batches by length."""

    def __init__(self, spec: SentenceTransformersSpec, weights: Located) -> None:
        """Load the model onto the device."""
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers import PreTrainedModel

        self.spec = spec
        self.device = choose_device(spec.device)
        self.counters = Counters()
        """Tokens where the first module takes an attention mask; cut texts are not counted by the library."""
        source, revision = loadable(weights, spec.sha256)
        with watched() as seen, refused_by_name(spec.name):
            self.model = SentenceTransformer(
                source,
                device=self.device,
                trust_remote_code=spec.trust_remote_code,
                model_kwargs={"dtype": getattr(torch, spec.dtype), "attn_implementation": spec.attn_implementation},
                **revision,
            )
        if seen or any(isinstance(module, PreTrainedModel) for module in self.model.modules()):
            refuse_misfits(seen, repr(source), needs_head=False)
        self.model.eval()
        if spec.max_text_tokens is not None:
            self.model.max_seq_length = spec.max_text_tokens
        self._budget = spec.batch_tokens or default_budget(self.device)
        self.model[0].register_forward_pre_hook(self._count_tokens)

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> SentenceTransformerEncoder:
        """Load a candidate; nothing is drawn at random or kept."""
        spec: Any = candidate.spec
        return cls(spec, weights_of(candidate))

    @property
    def similarity(self) -> Similarity:
        """The suite's word, else the model's own."""
        own = self.spec.similarity or self.model.similarity_fn_name
        if own == "cosine":
            return "cosine"
        if own == "dot":
            return "dot"
        raise EncoderOutputError(f"the model compares by {own!r}; say `similarity: cosine` or `dot` in the suite")

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """The prompts of the model's configuration."""
        return {name: prompt for name, prompt in self.model.prompts.items() if prompt}

    def causal_lm(self) -> CausalLM | None:
        """None: only the encoder body is there."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return device, dtype, dimension, length limit and number of parameters."""
        return {
            "device": self.device,
            "dtype": self.spec.dtype,
            "dimension": self.model.get_embedding_dimension(),
            "max_text_tokens": self.model.max_seq_length,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "batch_tokens": self._budget,
            "modules": [type(module).__name__ for module in self.model],
        }

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the model's own embedding of each text, (n, d) float32."""
        most = self.model.max_seq_length or 10**9
        extra = len(prompt or "") / BATCHING_CHARACTERS_PER_TOKEN + 2
        lengths = [min(int(len(text) / BATCHING_CHARACTERS_PER_TOKEN + extra), most) for text in texts]
        parts: dict[int, Any] = {}

        def encode_batch(batch: list[int]) -> None:
            encoded = self.model.encode(
                [texts[index].encode("utf-8", "replace").decode("utf-8") for index in batch],  # lone surrogates
                prompt=prompt or "",
                batch_size=len(batch),
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            parts.update(zip(batch, encoded, strict=True))

        self._budget = for_each_batch(lengths, self._budget, encode_batch, self.counters)
        if not parts:
            return np.zeros((0, int(self.model.get_embedding_dimension() or 0)), dtype=np.float32)
        return np.stack([parts[index] for index in range(len(texts))]).astype(np.float32, copy=False)

    def _count_tokens(self, _module: Any, arguments: tuple[Any, ...]) -> None:
        features = arguments[0] if arguments else {}
        mask = features.get("attention_mask") if isinstance(features, Mapping) else None
        if mask is not None:
            self.counters.tokens += int(mask.sum())
