"""The text, and a suffix where there is one, as the mean-pool encoder reads them."""

from __future__ import annotations

from collections.abc import Sequence

from grace.config.schema import TrainConfig
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch
from grace.training.contrastive.writing import Stateless
from harness.encoders.base import Counters
from harness.encoders.dense import prefix_ids, refuse_no_room, suffix_ids, text_ids


class PlainInputs(Stateless):
    """Of the mean-pool encoder: the text itself, and the suffix."""

    def __init__(self, config: TrainConfig, trained: Trainable, soft: Sequence[int] = ()) -> None:
        """Take tokenizer and limits.

        Args:
            config: of the run.
            trained: the model.
            soft: the ids of soft tokens, in front of every text.

        Raises:
            HarnessError: the suffix leaves no place for a text.
        """
        self.prefix = (*prefix_ids(trained.tokenizer, None), *soft)
        self.counters = Counters()
        self._tokenizer = trained.tokenizer
        self._suffix = suffix_ids(trained.tokenizer, config.suffix)
        room = min(config.max_text_tokens, trained.context_length)
        refuse_no_room(room, len(self.prefix), self._suffix)
        self._most = max(room - len(self.prefix) - len(self._suffix), 1)
        self._mean = 0.0

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return each text's ids, cut to the limit, and the suffix's."""
        return self.rows(batch.texts, batch.epoch)

    def rows(self, texts: Sequence[str], epoch: int) -> list[list[int]]:  # noqa: ARG002 - the same each epoch
        """Return each text's ids, cut to the limit, and the suffix's."""
        own = text_ids(self._tokenizer, texts, self._most, self.counters)
        found = [[*ids, *self._suffix] for ids in own]
        self._mean = sum(map(len, found)) / len(found)
        return found

    def facts(self) -> dict[str, float]:
        """Return the mean length of the last texts."""
        return {"tokens_per_text": self._mean}
