"""lm-eval's HFLM over a model in memory: prefixes shared, rows stopped one by one, gold answers scored on the way.

What it changes against `lm_eval/models/huggingface.py` (0.4.13), and what it must not change, the answers:
1. Rows that begin alike (few-shot examples) share one forward pass over the beginning.
2. Logits are computed where a continuation is scored only, not for every position of the prompt.
3. A generated row ends at its own first stop string; HFLM goes on until one and the same string ended every row.
4. The prompt's keys and values also score the gold answer, so that the continuous measure costs the answer alone.
5. How many tokens were generated, and whether the limit cut them, is kept.
One thing does change answers: what a tokenizer puts behind a text (Qwen3-Embedding) is left out. HFLM has it between
prompt and answer, in the place of the answer's first token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from harness.backends.lm_eval.answers import KeptAnswers, key_of
from harness.backends.lm_eval.generation import generate
from harness.backends.lm_eval.past import Trace, Work
from harness.backends.lm_eval.probe import take_the_way_that_holds
from harness.backends.lm_eval.scoring import SharedPrefixScorer


class SharedPrefixLM(SharedPrefixScorer):
    """What lm-eval is given: the scorer, which can also write."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Return the answer to each request, cut before its first stop string, as HFLM does."""
        self.questions.expect(requests)
        return generate(self, requests)


class AskedError(Exception):
    """lm-eval has put together what it asks of a model; nothing is answered."""


class QuestionsLM(SharedPrefixLM):
    """Stops lm-eval where it asks: by then its tasks hold every request of the cell, prompts included."""

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> NoReturn:  # noqa: ARG002
        """Raise AskedError."""
        raise AskedError

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> NoReturn:  # noqa: ARG002
        """Raise AskedError."""
        raise AskedError


class LookingUpLM(SharedPrefixLM):
    """Answers from shards; the model is asked for what is in none, and its way is probed only then."""

    _kept: KeptAnswers
    _own_batch_tokens: int

    def look_into(self, kept: KeptAnswers) -> None:
        """Take answers and traces from `kept`, and count what it took to make them as done."""
        self._kept = kept
        self._own_batch_tokens = self.batch_tokens
        self.batch_tokens = kept.batch_tokens or self.batch_tokens
        self.work = Work(**kept.work)

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:  # noqa: ARG002
        """Return what is kept of each request, else what the model says."""
        return self._answered(requests, super().loglikelihood)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Return what is kept of each request, else what the model says."""
        return self._answered(requests, super().generate_until)

    def _answered(self, requests: list[Any], ask: Callable[[list[Any]], list[Any]]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        missing: list[int] = []
        repeats: Counter[tuple[str, int, int]] = Counter()
        for place, request in enumerate(requests):
            kept = self._kept.found.get(key_of(request, self.gold_of))
            if kept is None:
                missing.append(place)
                continue
            own = (request.task_name, request.doc_id, request.idx)
            answers[place] = kept.answers[repeats[own]]
            repeats[own] += 1
            self.traces.setdefault(own, Trace(**kept.trace))
        if missing:
            self._prepare()
            for place, answer in zip(missing, ask([requests[place] for place in missing]), strict=True):
                answers[place] = answer
        return answers

    def _prepare(self) -> None:
        """Get ready to ask the model."""
        self.batch_tokens = min(self.batch_tokens, self._own_batch_tokens)
        take_the_way_that_holds(self)
