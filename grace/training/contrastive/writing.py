"""What all ways from texts to ids share: the protocol, and writing rationales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from grace.config.schema import TrainConfig
from grace.run.parts import Cost
from grace.run.session import Session
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch
from harness.encoders.base import Counters
from harness.encoders.batching import default_budget, plan_batches
from harness.encoders.rationale.generate import Prompted, Rollout, Sampling, forward_on, generate, with_prompt
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.errors import InputError


class Prepared(NamedTuple):
    """What had to be made before a step."""

    cost: Cost = Cost()
    """What that took in this process."""
    generated_tokens: int = 0
    """Tokens of rationales, of all processes."""
    is_whole: bool = True
    """False: the making was stopped, and the step cannot be made."""


class Inputs(Protocol):
    """How texts become ids."""

    prefix: tuple[int, ...]
    """In front of every text, and no part of the mean."""
    counters: Counters
    """Cut and empty texts so far."""

    def prepare(self, session: Session, step: int, stops: Callable[[Cost], bool]) -> Prepared:
        """Make what the steps from `step` on need; `stops` is asked now and then, with what was spent on it."""

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return the ids of each text of a step whose states are averaged; one or more each."""

    def facts(self) -> dict[str, float]:
        """Return metrics of the last rows."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to say of what was made for the steps to come."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""


class Stateless:
    """Inputs for which nothing is made before a step."""

    def prepare(self, session: Session, step: int, stops: Callable[[Cost], bool]) -> Prepared:  # noqa: ARG002
        """Make nothing."""
        return Prepared()

    def state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing goes on."""


class Writing:
    """Of the rationale encoder: text, assistant header, and a rationale; and what it takes to write one."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Render the template; raises HarnessError without one, InputError where it leaves no room for a text."""
        assert config.max_new_tokens is not None  # noqa: S101 - checked with the configuration
        self.trained = trained
        self.template = render_template(trained.tokenizer)
        self.ends = end_tokens(trained.model, trained.tokenizer, self.template)
        self.counters = Counters()
        around = len(self.template.prefix) + len(self.template.suffix) + config.max_new_tokens
        self.most = min(config.max_text_tokens, trained.context_length - around)
        if self.most < 1:
            raise InputError(
                [f"max_new_tokens: prompt and rationale take {around} of {trained.context_length} tokens: no room"]
            )
        self.max_new_tokens = config.max_new_tokens
        self._seed = config.seed
        self._budget = config.batch_tokens or default_budget(trained.device)

    def prompted(self, model: Any) -> Prompted:
        """Return the prompt ready for `model` as it is now."""
        with forward_on(model, self.trained.writing):
            return with_prompt(model, self.template, self.ends, forward=self.trained.writing)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's ids, cut to the limit and counted."""
        ids = tokenise(self.trained.tokenizer, texts)
        self.counters.truncated_texts += sum(len(one) > self.most for one in ids)
        return [one[: self.most] for one in ids]

    def write(
        self, prompted: Prompted, texts: Sequence[str], numbers: Sequence[int], *, temperature: float
    ) -> list[Rollout]:
        """Write one rationale for each text: rollout `number` of (seed, text).

        Args:
            prompted: of the model that writes, which is in eval mode.
            texts: may repeat.
            numbers: a rollout index each.
            temperature: 0 decodes greedily.
        """
        ids = [one[: self.most] for one in tokenise(self.trained.tokenizer, texts)]
        sampling = Sampling(max_new_tokens=self.max_new_tokens, temperature=temperature, seed=self._seed)
        lengths = [len(one) + len(self.template.suffix) + self.max_new_tokens for one in ids]
        written: dict[int, Rollout] = {}
        with forward_on(prompted.model, self.trained.writing):
            for batch in plan_batches(lengths, self._budget):
                rows = [(texts[index], ids[index]) for index in batch]
                found = generate(prompted, rows, sampling, rollouts=[numbers[index] for index in batch])
                written.update(zip(batch, found, strict=True))
        return [written[index] for index in range(len(texts))]

    def row(self, ids: Sequence[int], rationale: Sequence[int]) -> list[int]:
        """Return the ids of a text with its rationale."""
        return [*ids, *self.template.suffix, *rationale]


def rationale_facts(ids: Sequence[Sequence[int]], lengths: Sequence[int], cut: int) -> dict[str, float]:
    """Return metrics of a step's texts (their ids) and of the rationales read with them."""
    return {
        "tokens_per_text": sum(map(len, ids)) / len(ids),
        "tokens_per_rationale": sum(lengths) / len(lengths),
        "truncated": cut / len(lengths),
    }
