"""The `sentence-transformers` encoder: anything that library loads, with its own modules, prompts and similarity.

Texts go through the model's own `encode_query`, `encode_document` or, where a task has no roles, `encode`: they choose
the route of a `Router`, the task of modules that have tasks, and the prompt where none is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.base import CausalLM, Counters, Vectors
from harness.encoders.batching import default_budget, for_each_batch
from harness.encoders.fit import refuse_misfits, watched
from harness.encoders.input_modules import (
    count_cut,
    count_empty,
    cut_in,
    lengths_of,
    routers,
    settle_limits,
)
from harness.encoders.own_code import refused_by_name
from harness.encoders.rope import apart, forget_longer_texts, rope_limit
from harness.encoders.weights import choose_device, loadable, weights_of
from harness.errors import EncoderOutputError, InputError
from harness.sources.places import Located
from harness.suite.fields import Similarity
from harness.suite.model_entries import SentenceTransformersSpec
from harness.tasks.types import Role
from harness.wording import listing

BATCHING_CHARACTERS_PER_TOKEN = 3.5
"""Only sizes batches, so few enough that memory holds: exact lengths would cost a second tokenisation."""
OWN_PROMPT_NAMES: Mapping[Role | None, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
    None: (),
}
"""Which prompts of a model `encode_query` and `encode_document` look for, before its default prompt."""
PAST_THE_END = ("out of range", "out of bounds", "must match the existing size", "must match the size of tensor")
"""What torch says where a text is longer than a model's table of positions."""
PROBE_TEXT = "The quick brown fox jumps over the lazy dog."
"""Encoded once for each role before anything is scored."""


class _NotTogetherError(Exception):
    """Texts of a batch would be read otherwise than each alone."""


class SentenceTransformerEncoder:
    """A SentenceTransformer with batches by length."""

    def __init__(self, spec: SentenceTransformersSpec, weights: Located) -> None:
        """Load the model onto the device.

        Raises:
            InputError: the model cannot do with the suite's `max_text_tokens` or `attn_implementation`.
        """
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers import PreTrainedModel

        self.spec = spec
        self.device = choose_device(spec.device)
        self.counters = Counters()
        """Tokens, cut and empty texts; 0 where the first module's features do not tell."""
        source, revision = loadable(weights, spec.sha256)
        try:
            with watched() as seen, refused_by_name(spec.name):
                self.model = SentenceTransformer(
                    source,
                    device=self.device,
                    trust_remote_code=spec.trust_remote_code,
                    model_kwargs={"dtype": getattr(torch, spec.dtype), "attn_implementation": spec.attn_implementation},
                    **revision,
                )
        except ValueError as error:
            if "attention implementation" not in str(error):
                raise
            asked = spec.attn_implementation
            raise InputError(
                [f"attn_implementation: {asked}: the model has no such attention; set `attn_implementation: eager`"]
            ) from error
        if seen or any(isinstance(module, PreTrainedModel) for module in self.model.modules()):
            refuse_misfits(seen, repr(source), needs_head=False)
        self.model.eval()
        forget_longer_texts(self.model)
        self._rope = rope_limit(self.model)
        self.max_text_tokens = settle_limits(self.model, spec.max_text_tokens)
        """Longer texts are cut; None: a module reads texts whole."""
        self._budget = spec.batch_tokens or default_budget(self.device)
        self._read: list[Any] = []
        """Features that the model was given since the last batch."""
        self.model[0].register_forward_pre_hook(self._take_features)
        self._checked_roles: set[Role | None] = set()

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
        """The prompts of the model's configuration; an empty one says that there is none for its selector."""
        return {name: prompt or "" for name, prompt in self.model.prompts.items()}

    def own_prompt(self, role: Role | None) -> str:
        """Return the prompt that the model's own method of `role` puts before a text; empty for none."""
        prompts = self.own_prompts
        names = (*OWN_PROMPT_NAMES[role], self.model.default_prompt_name)
        return next((prompts[name] for name in names if name in prompts), "")

    def check_role(self, role: Role | None) -> None:
        """Encode a probe text once; raise EncoderOutputError where the model has no way for texts of `role`."""
        if role in self._checked_roles:
            return
        try:
            self._own_method(role)([PROBE_TEXT], show_progress_bar=False)
        except (ValueError, KeyError) as error:
            raise EncoderOutputError(_no_way(self.model, role, error)) from error
        finally:
            self._read.clear()
        self._checked_roles.add(role)

    def causal_lm(self) -> CausalLM | None:
        """None: only the encoder body is there."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return device, dtype, dimension, length limit and number of parameters."""
        return {
            "device": self.device,
            "dtype": self.spec.dtype,
            "dimension": self.model.get_embedding_dimension(),
            "max_text_tokens": self.max_text_tokens,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "batch_tokens": self._budget,
            "modules": [type(module).__name__ for module in self.model],
        }

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the model's own embedding of each text, (n, d) float32.

        Args:
            texts: any Unicode; lone surrogates are replaced.
            role: query or document go through the model's method of that name.
            prompt: stands before every text, as the library puts it there; empty for none; None takes the model's own.
        """
        most = self.max_text_tokens or 10**9
        extra = len(self.own_prompt(role) if prompt is None else prompt) / BATCHING_CHARACTERS_PER_TOKEN + 2
        lengths = [min(int(len(text) / BATCHING_CHARACTERS_PER_TOKEN + extra), most) for text in texts]
        parts: dict[int, Any] = {}

        def encode_batch(batch: list[int]) -> None:
            clean = [texts[index].encode("utf-8", "replace").decode("utf-8") for index in batch]  # lone surrogates
            parts.update(zip(batch, self._encode_batch(clean, role, prompt), strict=True))

        self._budget = for_each_batch(lengths, self._budget, encode_batch, self.counters)
        if not parts:
            return np.zeros((0, int(self.model.get_embedding_dimension() or 0)), dtype=np.float32)
        return np.stack([parts[index] for index in range(len(texts))]).astype(np.float32, copy=False)

    def _own_method(self, role: Role | None) -> Any:
        methods = {"query": self.model.encode_query, "document": self.model.encode_document}
        return methods[role] if role else self.model.encode

    def _encode_batch(self, texts: list[str], role: Role | None, prompt: str | None) -> Any:
        try:
            return self._encode_together(texts, role, prompt)
        except _NotTogetherError:
            return np.concatenate([self._encode_together([text], role, prompt) for text in texts])

    def _encode_together(self, texts: list[str], role: Role | None, prompt: str | None) -> Any:
        self._read.clear()  # what a batch left that ran out of memory
        try:
            encoded = self._own_method(role)(
                texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
            )
        except (IndexError, RuntimeError) as error:
            if not any(words in str(error) for words in PAST_THE_END):
                raise
            longest = max((length for lengths, _ in self._read for length in lengths), default=0)
            raise EncoderOutputError(
                f"a text of {longest} tokens is longer than the model can read ({error}): set `max_text_tokens`"
            ) from error
        self._count(texts, role, prompt)
        return encoded

    def _take_features(self, _module: Any, arguments: tuple[Any, ...]) -> None:
        """Keep what the model is given; refuse a text that leaves it nothing to read.

        Only here are lengths in tokens known: of texts that its rotary positions keep apart, none is read yet.
        """
        features = arguments[0] if arguments else None
        if not isinstance(features, Mapping):
            return
        lengths = lengths_of(features)
        nothing = lengths.count(0)
        if nothing:
            raise EncoderOutputError(
                f"{nothing} text(s) have no token, and the model's tokenizer puts none around a text: there is nothing "
                f"to read. Leave empty texts out, or give the model a prompt"
            )
        if sum(map(bool, apart(self._rope, lengths))) > 1:
            raise _NotTogetherError
        self._read.append((lengths, cut_in(features)))

    def _count(self, texts: list[str], role: Role | None, prompt: str | None) -> None:
        """Count the tokens of the batch that was just read, and its texts that were cut or have no token."""
        how = {"prompt": self.own_prompt(role) if prompt is None else prompt} | ({"task": role} if role else {})
        for lengths, cut in self._read:
            self.counters.tokens += sum(lengths)
            found = count_cut(self.model, texts, lengths, **how) if cut is None else cut
            self.counters.truncated_texts += found.texts
            self.counters.cut_tokens += found.tokens
        self._read.clear()
        self.counters.empty_texts += count_empty(self.model, texts)


def _no_way(model: Any, role: Role | None, error: Exception) -> str:
    """Return why `model` cannot encode texts of `role`, with the routes it has."""
    what = f"texts of the role {role!r}" if role else "texts without a role (neither queries nor documents)"
    found = routers(model)
    if not found:
        return f"the model cannot encode {what}: {error}"
    routes = "; ".join(f"{listing(router.sub_modules)} (default: {router.default_route or 'none'})" for router in found)
    return (
        f"the model cannot encode {what}: its Router has the routes {routes}. Leave tasks with such texts out, or set "
        f"`default_route` in router_config.json. sentence-transformers says: {error}"
    )
