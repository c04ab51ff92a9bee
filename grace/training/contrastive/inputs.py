"""From texts to the ids that are embedded: exactly those of the encoder that will evaluate the candidate."""

from __future__ import annotations

from collections.abc import Sequence

from grace.config.schema import TrainConfig
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch
from grace.training.contrastive.pool import PoolInputs
from grace.training.contrastive.writing import Inputs, Stateless, Writing, rationale_facts
from harness.encoders.base import Counters
from harness.encoders.dense import prefix_ids, text_ids


class PlainInputs(Stateless):
    """Of the mean-pool encoder: the text itself."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Take tokenizer and limits."""
        self.prefix = tuple(prefix_ids(trained.tokenizer, None))
        self.counters = Counters()
        self._tokenizer = trained.tokenizer
        self._most = max(min(config.max_text_tokens, trained.context_length) - len(self.prefix), 1)
        self._mean = 0.0

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return each text's ids, cut to the limit."""
        return self.rows(batch.texts, batch.epoch)

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:  # noqa: ARG002 - the same each epoch
        """Return each text's ids, cut to the limit."""
        found = text_ids(self._tokenizer, texts, self._most, self.counters)
        self._mean = sum(map(len, found)) / len(found)
        return found

    def facts(self) -> dict[str, float]:
        """Return the mean length of the last texts."""
        return {"tokens_per_text": self._mean}


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


def make_inputs(config: TrainConfig, trained: Trainable) -> Inputs:
    """Return the inputs of a contrastive objective."""
    if not config.uses_rationales:
        return PlainInputs(config, trained)
    return PoolInputs(config, trained) if config.rationale.pool is not None else RationaleInputs(config, trained)
