"""The `mean-pool` encoder: a causal language model, mean over the last layer of the text's own tokens.

ids = special tokens the tokenizer puts in front + prompt + text; the mean runs over the text alone, so prompt and
beginning-of-text are masked by their known length (the latter is an attention sink whose state would drown the rest).
Prompt and text are tokenised apart, so that the border between them is exact; special tokens inside a text are split,
so that `<|im_end|>` in a text is text. Padding is on the right and no attention mask is passed: in a causal model no
position sees what stands after it. peft is imported here alone, and only when an adapter is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.encoders.base import CausalLM, Counters, Vectors
from harness.encoders.batching import default_budget, for_each_batch
from harness.encoders.pooling import mean_pool
from harness.encoders.weights import choose_device, loadable
from harness.errors import AdapterHasNoEffectError
from harness.sources.places import Located
from harness.suite.fields import Similarity
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec
from harness.tasks.types import Role

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCausal:
    """A causal language model on its device."""

    model: Any
    """transformers causal language model in eval mode; a PEFT adapter is injected into its layers and active."""
    tokenizer: Any
    device: str
    context_length: int


PROBE_TEXT = "The quick brown fox jumps over the lazy dog."


def load_causal(spec: MeanPoolSpec | RationaleSpec, weights: Located, adapter: Located | None) -> LoadedCausal:
    """Load a causal language model, its tokenizer and an adapter.

    Raises:
        AdapterHasNoEffectError: states of a probe text are the same with and without the adapter.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = choose_device(spec.device)
    source, revision = loadable(weights, spec.sha256)
    trust = {"trust_remote_code": True} if spec.trust_remote_code else {}
    tokenizer = AutoTokenizer.from_pretrained(source, **revision, **trust)
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=getattr(torch, spec.dtype), attn_implementation=spec.attn_implementation, **revision, **trust
    )
    model.to(device).eval()
    if adapter is not None:
        model = _with_adapter(model, tokenizer, adapter, device)
    context = int(model.config.get_text_config().max_position_embeddings)
    return LoadedCausal(model=model, tokenizer=tokenizer, device=device, context_length=context)


def _with_adapter(model: Any, tokenizer: Any, adapter: Located, device: str) -> Any:
    """Return `model` with the adapter injected into its layers and active; refuse one that changes nothing."""
    import torch
    from peft import PeftModel

    wrapped = PeftModel.from_pretrained(model, adapter.load_from).to(device).eval()
    probe = torch.tensor([tokenizer(PROBE_TEXT)["input_ids"]], device=device)
    with torch.inference_mode():
        with wrapped.disable_adapter():
            before = model.base_model(input_ids=probe).last_hidden_state
        after = model.base_model(input_ids=probe).last_hidden_state
    change = float((after - before).abs().max())
    if change == 0.0:
        raise AdapterHasNoEffectError(
            f"adapter {adapter.load_from!r} had no effect: the states of a probe text are the same with and "
            f"without it; its weights are untrained, or their names do not match the base model's modules"
        )
    logger.info("adapter %s changes a probe text's states by up to %.3g", adapter.load_from, change)
    return wrapped.get_base_model()


def prefix_ids(tokenizer: Any, prompt: str | None) -> list[int]:
    """Return the ids in front of every text: the tokenizer's own beginning, then the prompt."""
    begin = tokenizer("", add_special_tokens=True)["input_ids"]
    end = tokenizer.eos_token_id
    begin = [token for token in begin if token != end]  # some tokenizers close what they open
    if not prompt:
        return list(begin)
    return [*begin, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]


def text_ids(tokenizer: Any, texts: Sequence[str], most: int, counters: Counters) -> list[list[int]]:
    """Return each text's ids, cut to `most`; a text without tokens becomes one end-of-text token; both are counted."""
    if not texts:
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates
    encoded = tokenizer(clean, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    empty = [tokenizer.eos_token_id]
    counters.truncated_texts += sum(len(ids) > most for ids in encoded)
    counters.empty_texts += sum(not ids for ids in encoded)
    return [ids[:most] or empty for ids in encoded]


class MeanPoolEncoder:
    """A causal language model as an encoder, with or without a PEFT adapter."""

    def __init__(self, spec: MeanPoolSpec, weights: Located, adapter: Located | None) -> None:
        """Load model, tokenizer and adapter onto the device.

        Raises:
            AdapterHasNoEffectError: states of a probe text are the same with and without the adapter.
        """
        self.spec = spec
        self._counters = Counters()
        loaded = load_causal(spec, weights, adapter)
        self.model, self.tokenizer, self.device = loaded.model, loaded.tokenizer, loaded.device
        self.max_text_tokens = spec.max_text_tokens or loaded.context_length
        self._budget = spec.batch_tokens or default_budget(self.device)

    @property
    def similarity(self) -> Similarity:
        """Cosine, unless the suite says otherwise."""
        return self.spec.similarity or "cosine"

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """None: a language model brings no embedding prompts."""
        return {}

    @property
    def counters(self) -> Counters:
        """Tokens, cut and empty texts."""
        return self._counters

    def causal_lm(self) -> CausalLM:
        """Return the model, adapter active, and its tokenizer."""
        return CausalLM(self.model, self.tokenizer)

    def follow(self, device: str) -> None:
        """Go on where another has moved the model to."""
        self.device = device

    def describe(self) -> dict[str, Any]:
        """Return device, dtype, dimension, length limit and number of parameters."""
        return {
            "device": self.device,
            "dtype": self.spec.dtype,
            "dimension": int(self.model.config.get_text_config().hidden_size),
            "max_text_tokens": self.max_text_tokens,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "batch_tokens": self._budget,
            "pooling": "mean over the text's tokens, last layer after the final norm",
        }

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the mean last-layer state of each text's own tokens, (n, d) float32."""
        prefix = self.prefix_ids(prompt)
        ids = self.text_ids(texts, len(prefix))
        vectors = np.zeros((len(texts), self.model.config.get_text_config().hidden_size), dtype=np.float32)

        def encode_batch(batch: list[int]) -> None:
            vectors[batch] = self._pooled([[*prefix, *ids[index]] for index in batch], len(prefix))

        lengths = [len(prefix) + len(one) for one in ids]
        self._budget = for_each_batch(lengths, self._budget, encode_batch, self._counters)
        self._counters.tokens += sum(lengths)
        return vectors

    def prefix_ids(self, prompt: str | None) -> list[int]:
        """Return the ids in front of every text: the tokenizer's own beginning, then the prompt."""
        return prefix_ids(self.tokenizer, prompt)

    def text_ids(self, texts: Sequence[str], prefix_length: int) -> list[list[int]]:
        """Return each text's ids, cut to the limit; a text without tokens becomes one end-of-text token, counted."""
        return text_ids(self.tokenizer, texts, max(self.max_text_tokens - prefix_length, 1), self._counters)

    def _pooled(self, rows: list[list[int]], start: int) -> Vectors:
        import torch

        longest = max(len(row) for row in rows)
        padded = torch.zeros((len(rows), longest), dtype=torch.long)  # (b, t); padding is never attended to
        for index, row in enumerate(rows):
            padded[index, : len(row)] = torch.tensor(row)
        ends = torch.tensor([len(row) for row in rows], device=self.device)
        with torch.inference_mode():
            states = self._body()(input_ids=padded.to(self.device), use_cache=False).last_hidden_state  # (b, t, h)
            pooled = mean_pool(states, torch.full_like(ends, start), ends)
        result: Vectors = pooled.cpu().numpy()
        return result

    def _body(self) -> Any:
        """Return the decoder without its language-model head."""
        return self.model.base_model
