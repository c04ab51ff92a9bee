"""The `mean-pool` encoder: a language model, mean over the last layer of the text's own tokens.

ids = special tokens the tokenizer puts in front + prompt + text + suffix; the mean runs over text and suffix alone, so
prompt and beginning-of-text are masked by their known length (the latter is an attention sink whose state would drown
the rest). Prompt, text and suffix are tokenised apart, so that the borders between them are exact; special tokens
inside a text are split, so that `<|im_end|>` in a text is text. A suffix (mostly there is none) is never cut: the text
gives way to it. Its tokens see the whole text, which the text's own do not where the model is causal.

A causal model is read with padding on the right and no attention mask: no position sees what stands after it, so what
the tokenizer puts behind a text is left out as well. A model that sees both ways (BERT, a bidirectional Gemma) reads
what it read in training, the closing tokens behind the text too, with a mask over the padding; they take no part in the
mean either. Which of the two a model is, is found out by a probe, and so is whether rows can be read together at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.bare import is_switched
from harness.encoders.base import CausalLM, Counters, Vectors
from harness.encoders.batching import default_budget, for_each_batch
from harness.encoders.frame import frame_ids, stand_in_id
from harness.encoders.language_model import LanguageModelEncoder, load_causal
from harness.encoders.pooling import mean_pool
from harness.encoders.probe import is_causal, not_causal, reading_of
from harness.encoders.reading import read
from harness.encoders.rope import rope_limit
from harness.encoders.weights import weights_of
from harness.errors import EnvironmentGapError, HarnessError
from harness.sources.places import Located
from harness.suite.model_entries import MeanPoolSpec
from harness.tasks.types import Role


def prefix_ids(tokenizer: Any, prompt: str | None) -> list[int]:
    """Return the ids in front of every text: the tokenizer's own beginning, then the prompt.

    Raises:
        HarnessError: the tokenizer's beginning cannot be told from a text.
    """
    front = frame_ids(tokenizer).front
    return [*front, *tokenizer(prompt, add_special_tokens=False)["input_ids"]] if prompt else list(front)


def suffix_ids(tokenizer: Any, suffix: str | None, *, key: str = "suffix") -> list[int]:
    """Return the ids behind every text that take part in its mean; special tokens in them are themselves.

    Args:
        tokenizer: of the model.
        suffix: None, or empty: nothing.
        key: as what entries name it.

    Raises:
        HarnessError: the tokenizer sees nothing in the suffix.
    """
    if not suffix:
        return []
    found = list(tokenizer(suffix, add_special_tokens=False)["input_ids"])
    if not found:
        raise HarnessError(f"{key}: {suffix!r} has no token for this model: nothing would be read; take it out")
    return found


def refuse_no_room(room: int, around: int, suffix: Sequence[int]) -> None:
    """Raise HarnessError where a suffix and what else stands around a text leave no place for the text.

    Args:
        room: tokens of a row.
        around: tokens in front of every text, and closing ones.
        suffix: its ids.
    """
    if suffix and room - around - len(suffix) < 1:
        raise HarnessError(
            f"suffix: {len(suffix)} tokens, with {around} around each text, leave no place for a text in "
            f"max_text_tokens: {room}; shorten it, or raise max_text_tokens as far as the model goes"
        )


def text_ids(tokenizer: Any, texts: Sequence[str], most: int, counters: Counters) -> list[list[int]]:
    """Return each text's ids; a text without tokens becomes one end-of-text token (`stand_in_id`).

    Args:
        tokenizer: of the model.
        texts: special tokens in them are split, lone surrogates replaced.
        most: longer texts are cut.
        counters: where cut and empty texts are counted.
    """
    if not texts:
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates
    encoded = tokenizer(clean, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    counters.truncated_texts += sum(len(ids) > most for ids in encoded)
    counters.cut_tokens += sum(max(0, len(ids) - most) for ids in encoded)
    counters.empty_texts += sum(not ids for ids in encoded)
    return [ids[:most] or [stand_in_id(tokenizer)] for ids in encoded]


class MeanPoolEncoder(LanguageModelEncoder):
    """A causal language model as an encoder, with or without a PEFT adapter."""

    def __init__(self, spec: MeanPoolSpec, weights: Located, adapter: Located | None) -> None:
        """Load model, tokenizer and adapter onto the device.

        Raises:
            AdapterHasNoEffectError: states of a probe text are the same with and without the adapter.
            EnvironmentGapError: the model gives other states each time.
            HarnessError: the suffix leaves no place for a text.
        """
        loaded = load_causal(spec, weights, adapter, needs_head=False, keeps_base=is_switched(spec))
        context, budget = loaded.context_length, default_budget(loaded.device)
        super().__init__(spec, loaded, max_text_tokens=context, batch_tokens=budget)
        self.is_causal = is_causal(self.model, self.tokenizer)
        self.reading = reading_of(self.model, self.tokenizer, is_causal=self.is_causal)
        self._rope = rope_limit(self.model)
        self.behind = () if self.is_causal else frame_ids(self.tokenizer).behind
        self._suffix, self.suffix = spec.suffix, suffix_ids(self.tokenizer, spec.suffix)
        self._check_room(len(prefix_ids(self.tokenizer, None)))

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> MeanPoolEncoder:
        """Load a candidate; nothing is drawn at random or kept."""
        spec: Any = candidate.spec
        return cls(spec, weights_of(candidate), candidate.adapter)

    def describe(self) -> dict[str, Any]:
        """Return what every language model says, how it reads, and the pooling."""
        return super().describe() | {
            "is_causal": self.is_causal,
            "reading": self.reading,
            "pooling": f"mean over the text's tokens{' and the suffix' * bool(self.suffix)}, "
            "last layer after the final norm",
            **({"suffix": self._suffix, "suffix_tokens": len(self.suffix)} if self.suffix else {}),
        }

    def causal_lm(self) -> CausalLM:
        """Return the model that answers and its tokenizer; raises EnvironmentGapError where it sees both ways."""
        if not self.is_causal:
            raise EnvironmentGapError([not_causal(self.model, "the ability axis")])
        return super().causal_lm()

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the mean last-layer state of each text's own tokens, and of the suffix, (n, d) float32."""
        prefix = self.prefix_ids(prompt)
        ids = self.text_ids(texts, len(prefix))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)

        def encode_batch(batch: list[int]) -> None:
            vectors[batch] = self._pooled(prefix, [ids[index] for index in batch])

        lengths = [len(prefix) + len(one) + len(self.behind) for one in ids]
        if self.reading == "alone":
            for_each_batch(lengths, 1, encode_batch, self.counters, rope=self._rope)
        else:
            self._budget = for_each_batch(lengths, self._budget, encode_batch, self.counters, rope=self._rope)
        self.counters.tokens += sum(lengths)
        return vectors

    def prefix_ids(self, prompt: str | None) -> list[int]:
        """Return the ids in front of every text: the tokenizer's own beginning, then the prompt."""
        return prefix_ids(self.tokenizer, prompt)

    def text_ids(self, texts: Sequence[str], prefix_length: int) -> list[list[int]]:
        """Return each text's ids, cut to the limit, and the suffix: what the mean runs over.

        A text without tokens becomes one end-of-text token, counted. Raises HarnessError where a prompt and the suffix
        leave no place for a text.
        """
        self._check_room(prefix_length)
        own = text_ids(self.tokenizer, texts, self.room(prefix_length), self.counters)
        return [[*ids, *self.suffix] for ids in own]

    def _check_room(self, prefix_length: int) -> None:
        refuse_no_room(self.max_text_tokens, prefix_length + len(self.behind), self.suffix)

    def room(self, prefix_length: int) -> int:
        """Return how many tokens of a text are read behind so many in front of it."""
        return max(self.max_text_tokens - prefix_length - len(self.suffix) - len(self.behind), 1)

    def states(self, prefix: list[int], texts: list[list[int]]) -> Any:
        """Return the last states of texts (`text_ids`) after `prefix`, (b, t, h); a text's begin at `len(prefix)`."""
        rows = [[*prefix, *one, *self.behind] for one in texts]
        return read(self.model, rows, self.reading)

    def _pooled(self, prefix: list[int], texts: list[list[int]]) -> Vectors:
        import torch

        starts = torch.full((len(texts),), len(prefix), device=self.device)
        ends = torch.tensor([len(prefix) + len(one) for one in texts], device=self.device)
        with torch.inference_mode():
            pooled = mean_pool(self.states(prefix, texts), starts, ends)
        result: Vectors = pooled.cpu().numpy()
        return result
