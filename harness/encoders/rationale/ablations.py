"""The other ways of reading a rationale, which say what it is worth; pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np

from harness.digests import sha256_text
from harness.encoders.cache import Entry
from harness.errors import HarnessError

FIXED = "What this text says is said here once more, in other words and for another reader. "
"""What `fixed-rationale` reads behind every text: the same for all, so that it carries nothing but more tokens."""


def filled(fixed: Sequence[int], count: int) -> list[int]:
    """Return `count` tokens of `fixed` (ids, not empty), from its beginning, again and again."""
    return list(islice(cycle(fixed), count))


def partners(texts: Sequence[str], prompt: str | None, seed: int) -> list[int]:
    """Return whose rationale each text gets under `shuffled-rationale`: what is left when only the length is right.

    The partner is the next text in the order of a seeded hash, so it depends on the set of texts, not their order.

    Raises:
        HarnessError: there is no other text.
    """
    if len(texts) < 2:
        raise HarnessError("ablation shuffled-rationale needs two texts at least: there is no other rationale")
    hashes = [sha256_text(f"{seed}\0{prompt or ''}{text}") for text in texts]
    order = sorted(range(len(texts)), key=hashes.__getitem__)
    partner = {index: order[(place + 1) % len(order)] for place, index in enumerate(order)}
    return [partner[index] for index in range(len(texts))]


def rationale_alone(whole: Entry, bare: Entry, before: int) -> Entry:
    """Return `whole` with the mean over the rationale's own tokens: the text's share is taken out of the mean.

    Args:
        whole: of text and rationale, which is not empty.
        bare: of the text alone.
        before: tokens of text and header.
    """
    after = len(whole.about["ids"])
    total = whole.vector.astype(np.float64) * (before + after)
    vector = (total - bare.vector.astype(np.float64) * before) / after
    return Entry(vector.astype(np.float32), whole.about)
