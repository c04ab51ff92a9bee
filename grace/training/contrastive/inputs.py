"""From texts to the ids that are embedded: exactly those of the encoder that will evaluate the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from grace.config.schema import TrainConfig
from grace.run.trainable import Trainable
from harness.encoders.base import Counters
from harness.encoders.batching import default_budget, plan_batches
from harness.encoders.dense import prefix_ids, text_ids
from harness.encoders.rationale.generate import Sampling, forward_on, generate, with_prompt
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.errors import InputError


class Inputs(Protocol):
    """How texts become ids."""

    prefix: tuple[int, ...]
    """In front of every text, and no part of the mean."""
    counters: Counters
    """Cut and empty texts so far."""

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:
        """Return the ids of each text whose states are averaged; one or more each."""

    def facts(self) -> dict[str, float]:
        """Return metrics of the last rows."""


class PlainInputs:
    """Of the mean-pool encoder: the text itself."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Take tokenizer and limits."""
        self.prefix = tuple(prefix_ids(trained.tokenizer, None))
        self.counters = Counters()
        self._tokenizer = trained.tokenizer
        self._most = max(min(config.max_text_tokens, trained.context_length) - len(self.prefix), 1)
        self._mean = 0.0

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:  # noqa: ARG002 - the same each epoch
        """Return each text's ids, cut to the limit."""
        found = text_ids(self._tokenizer, texts, self._most, self.counters)
        self._mean = sum(map(len, found)) / len(found)
        return found

    def facts(self) -> dict[str, float]:
        """Return the mean length of the last texts."""
        return {"tokens_per_text": self._mean}


class RationaleInputs:
    """Of the rationale encoder: text, assistant header, and a rationale that the base model wrote."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Render the template and run its prefix through the base once; raises HarnessError without a template."""
        assert config.max_new_tokens is not None  # noqa: S101 - checked with the configuration
        self._trained = trained
        self._template = render_template(trained.tokenizer)
        self.prefix = self._template.prefix
        self.counters = Counters()
        ends = end_tokens(trained.model, trained.tokenizer, self._template)
        around = len(self.prefix) + len(self._template.suffix) + config.max_new_tokens
        self._most = min(config.max_text_tokens, trained.context_length - around)
        if self._most < 1:
            raise InputError(
                [f"max_new_tokens: prompt and rationale take {around} of {trained.context_length} tokens: no room"]
            )
        self._sampling = Sampling(
            max_new_tokens=config.max_new_tokens, temperature=config.rationale.temperature, seed=config.seed
        )
        self._budget = config.batch_tokens or default_budget(trained.device)
        with trained.base() as base, forward_on(base, trained.writing):
            self._prompted = with_prompt(base, self._template, ends, forward=trained.writing)
        self._facts: dict[str, float] = {}

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:
        """Write a rationale for each text with the base model: rollout `epoch` of (seed, text)."""
        ids = tokenise(self._trained.tokenizer, texts)
        self.counters.truncated_texts += sum(len(one) > self._most for one in ids)
        ids = [one[: self._most] for one in ids]
        lengths = [len(one) + len(self._template.suffix) + self._sampling.max_new_tokens for one in ids]
        written: dict[int, Any] = {}
        with self._trained.base() as base, forward_on(base, self._trained.writing):
            for batch in plan_batches(lengths, self._budget):
                rollouts = generate(
                    self._prompted,
                    [(texts[index], ids[index]) for index in batch],
                    self._sampling,
                    rollouts=[epoch] * len(batch),
                )
                written.update(zip(batch, rollouts, strict=True))
        found = [written[index] for index in range(len(texts))]
        self._facts = {
            "tokens_per_text": sum(map(len, ids)) / len(ids),
            "tokens_per_rationale": sum(len(one.ids) for one in found) / len(found),
            "truncated": sum(one.is_truncated for one in found) / len(found),
        }
        return [[*own, *self._template.suffix, *one.ids] for own, one in zip(ids, found, strict=True)]

    def facts(self) -> dict[str, float]:
        """Return mean lengths, and the share of rationales that the limit ended."""
        return self._facts


def make_inputs(config: TrainConfig, trained: Trainable) -> Inputs:
    """Return the inputs of a contrastive objective."""
    return RationaleInputs(config, trained) if config.uses_rationales else PlainInputs(config, trained)
