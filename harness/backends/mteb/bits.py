"""Cosines of bits: the product of the signs, a whole number, divided once.

mteb makes both vectors of length one in float32 and sums products that are no whole numbers then: pairs with equal
Hamming distances come out a few units in the last place apart, and a rank correlation or an average precision takes
their order for one. Its other measures (product, Manhattan, Euclidean) are exact for +1 and -1 as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np


@contextmanager
def exact_cosines() -> Iterator[None]:
    """Have mteb's evaluators of pairs and summaries take the cosines of this file; for vectors of +1 and -1 alone."""
    from mteb._evaluators import any_sts_evaluator, pair_classification_evaluator
    from mteb._evaluators.text import summarization_evaluator

    with ExitStack() as stack:
        for module in (any_sts_evaluator, pair_classification_evaluator):
            stack.enter_context(patch.object(module, "paired_cosine_distances", _paired_distances))
        stack.enter_context(patch.object(summarization_evaluator, "cos_sim", cosines))
        yield


def cosines(one: Any, other: Any) -> Any:
    """Return the (n, m) float64 tensor of cosines; of (n, d) and (m, d) of +1 and -1, or a row alone."""
    left, right = _as_doubles(one), _as_doubles(other)
    return (left @ right.T) / left.shape[1]


def paired_cosines(one: Any, other: Any) -> Any:
    """Return the (n,) float64 tensor of cosines of rows with like index, (n, d) of +1 and -1 each."""
    left, right = _as_doubles(one), _as_doubles(other)
    return (left * right).sum(dim=1) / left.shape[1]


def _as_doubles(vectors: Any) -> Any:
    import torch

    found = torch.as_tensor(vectors).double()
    return found.reshape(-1, found.shape[-1])


def _paired_distances(one: Any, other: Any) -> Any:
    return np.asarray(1 - paired_cosines(one, other))
