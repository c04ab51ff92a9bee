"""From texts to the ids that are embedded: exactly those of the encoder that will evaluate the candidate."""

from __future__ import annotations

from collections.abc import Sequence

from grace.config.schema import TrainConfig
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch
from grace.training.contrastive.best_of import BestOfInputs
from grace.training.contrastive.plain import PlainInputs
from grace.training.contrastive.pool import PoolInputs
from grace.training.contrastive.teacher import TaughtInputs
from grace.training.contrastive.writing import Inputs, Stateless, Writing, rationale_facts
from harness.encoders.base import Counters
from harness.encoders.dense import suffix_ids
from harness.encoders.rationale.template import render_template, tokenise
from harness.errors import InputError


class RationaleInputs(Stateless):
    """Text, header, and a rationale that the base model writes in the step."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Run the template's prefix through the base once; raises as `Writing`."""
        self._writing = Writing(config, trained)
        self.prefix, self.counters = self._writing.template.prefix, self._writing.counters
        self._temperature = config.rationale.temperature
        with trained.base() as base:
            self._prompted = self._writing.prompted(base)
        self._facts: dict[str, float] = {}

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Write a rationale for each text: one more each epoch."""
        return self.rows(batch.texts, batch.epoch)

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:
        """Write a rationale for each text with the base model: rollout `epoch` of (seed, text)."""
        writing = self._writing
        ids = writing.ids(texts)
        with writing.trained.base():
            found = writing.write(self._prompted, texts, [epoch] * len(texts), temperature=self._temperature)
        lengths = [len(one.ids) for one in found]
        self._facts = rationale_facts(ids, lengths, sum(one.is_truncated for one in found))
        self._facts["generated_tokens"] = sum(lengths)
        return [writing.row(own, one.ids) for own, one in zip(ids, found, strict=True)]

    def facts(self) -> dict[str, float]:
        """Return mean lengths, and the share of rationales that the limit ended."""
        return self._facts


class FixedInputs(Stateless):
    """Text, header, and one text in the place of every rationale."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Render the template; raises HarnessError without one, InputError where no text fits beside the fixed one."""
        self._template = render_template(trained.tokenizer)
        self.prefix, self.counters = self._template.prefix, Counters()
        self._tokenizer = trained.tokenizer
        self._fixed = suffix_ids(trained.tokenizer, config.rationale.fixed, key="rationale.fixed")
        around = len(self._template.prefix) + len(self._template.suffix) + len(self._fixed)
        self._most = min(config.max_text_tokens, trained.context_length - around)
        if self._most < 1:
            fault = f"it and the prompt take {around} of {trained.context_length} tokens: no room for a text"
            raise InputError([f"rationale.fixed: {fault}; shorten it"])
        self._facts: dict[str, float] = {}

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return each text's ids, cut to the limit, header and fixed text."""
        whole = tokenise(self._tokenizer, batch.texts)
        self.counters.truncated_texts += sum(len(ids) > self._most for ids in whole)
        own = [ids[: self._most] for ids in whole]
        self._facts = rationale_facts(own, [len(self._fixed)] * len(own), 0)
        return [[*ids, *self._template.suffix, *self._fixed] for ids in own]

    def facts(self) -> dict[str, float]:
        """Return mean lengths."""
        return self._facts


def make_inputs(config: TrainConfig, trained: Trainable) -> Inputs:
    """Return the inputs of a contrastive objective."""
    if config.objective == "best-of-n":
        return BestOfInputs(config, trained)
    if config.objective == "distil":
        return TaughtInputs(config, trained)
    if not config.uses_rationales:
        return PlainInputs(config, trained, trained.soft_ids())
    if config.rationale.fixed is not None:
        return FixedInputs(config, trained)
    return PoolInputs(config, trained) if config.rationale.pool is not None else RationaleInputs(config, trained)
