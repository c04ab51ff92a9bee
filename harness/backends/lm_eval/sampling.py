"""Sampled answers whose random numbers depend on the seed, the prompt, the number of the answer and the position alone.

transformers draws from one stream for a whole batch, so that an answer would change with its neighbours and with
`batch_tokens`, which no key holds. Here each row's draw is its own: `SampleByRow` leaves one token to choose from;
rounding, which does differ with the batch, changes it only where two tokens nearly tie (`rationale.pick`). The
filters (temperature, top-k, top-p, min-p) are transformers' own, in its order. What a model's generation_config.json
says of them no longer matters: where one token is left, `generate` has nothing to filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch  # noqa: TID253 - imported only where a cell of the ability axis runs
from transformers import (  # noqa: TID253
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from harness.encoders.rationale.draws import Draws, pick
from harness.errors import HarnessError

FILTERS = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}
"""In the order in which transformers applies them."""


class Answer(NamedTuple):
    """What the random numbers of an answer hang on, the seed apart."""

    prompt: str
    number: int
    """Of the answer among those to its prompt's request, from 0."""


class SampleByRow(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row with the row's own random numbers, and leaves no other to choose from."""

    def __init__(self, arguments: Mapping[str, Any], seed: int, answers: Sequence[Answer]) -> None:
        """Watch the rows of one batch from their first token on.

        Args:
            arguments: generation arguments of the suite, do_sample among them.
            seed: of the suite.
            answers: each row's.
        """
        self._filters = [FILTERS[name](arguments[name]) for name in FILTERS if _applies(name, arguments)]
        self._seed, self._answers = seed, answers
        self._draws: Draws | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return (b, vocabulary) with 0 for the drawn token of each row and -inf for all others."""
        for one in self._filters:
            scores = one(input_ids, scores)
        if self._draws is None:
            prompts, numbers = zip(*self._answers, strict=True)
            self._draws = Draws(self._seed, prompts, numbers, vocabulary=scores.shape[1])
        chosen = pick(scores, 1.0, self._draws.next())
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen[:, None], 0.0)


def check(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of sampling that are not known here; raises HarnessError with those that are."""
    unknown = sorted(set(arguments) - {"do_sample", *FILTERS})
    if unknown:
        raise HarnessError(f"sampled answers take {', '.join(FILTERS)} under `generation`, not {', '.join(unknown)}")


def _applies(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether an argument is given and filters anything: the values that filter nothing are errors to the filters."""
    value = arguments.get(name)
    return value is not None and value != {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}[name]
