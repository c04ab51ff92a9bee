"""Sampled answers that depend on the seed, the prompt, the number of the answer and the position, on nothing else.

transformers draws from one stream for a whole batch, so that an answer would change with its neighbours and with
`batch_tokens`, which no key holds. Here each row's draw is its own: `SampleByRow` leaves one token to choose from. The
filters (temperature, top-k, top-p, min-p) are transformers' own, in its order. What a model's generation_config.json
says of them no longer matters: where one token is left, `generate` has nothing to filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch  # noqa: TID253 - imported only where a cell of the ability axis runs
from transformers import (  # noqa: TID253
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from harness.encoders.rationale import pick, uniforms
from harness.errors import HarnessError

FILTERS = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}
"""In the order in which transformers applies them."""


class SampleByRow(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row with the row's own random numbers, and leaves no other to choose from."""

    def __init__(self, arguments: Mapping[str, Any], draws: np.ndarray, prompt_tokens: int) -> None:
        """Watch rows of `prompt_tokens` ids.

        Args:
            arguments: generation arguments of the suite, do_sample among them.
            draws: (b, max_gen_toks) in [0, 1).
            prompt_tokens: padded length of the prompts.
        """
        self._filters = [FILTERS[name](arguments[name]) for name in FILTERS if _applies(name, arguments)]
        self._draws = draws
        self._prompt_tokens = prompt_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return (b, vocabulary) with 0 for the drawn token of each row and -inf for all others."""
        for one in self._filters:
            scores = one(input_ids, scores)
        chosen = pick(scores, 1.0, self._draws[:, input_ids.shape[1] - self._prompt_tokens])
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen[:, None], 0.0)


def check(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of sampling that are not known here; raises HarnessError with those that are."""
    unknown = sorted(set(arguments) - {"do_sample", *FILTERS})
    if unknown:
        raise HarnessError(f"sampled answers take {', '.join(FILTERS)} under `generation`, not {', '.join(unknown)}")


def draws_of(seed: int, prompts: Sequence[str], answers: Sequence[int], tokens: int) -> np.ndarray:
    """Return (b, tokens) random numbers in [0, 1).

    Args:
        seed: of the suite.
        prompts: the text of each row's prompt.
        answers: the number of each row's answer among those to its prompt, from 0.
        tokens: most that an answer may have.
    """
    return np.stack([uniforms(seed, text, number, tokens) for text, number in zip(prompts, answers, strict=True)])


def _applies(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether an argument is given and filters anything: the values that filter nothing are errors to the filters."""
    value = arguments.get(name)
    return value is not None and value != {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}[name]
