"""Seeded draws, in proportion of labels where there are some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.backends.mteb.loaded import Loaded
from harness.digests import sha256_text


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on `seed` and `names` alone."""
    return np.random.default_rng([seed, int(sha256_text("\0".join(names))[:16], 16)])


def stratified(labels: Sequence[Any], limit: int, rng: np.random.Generator) -> list[int]:
    """Return `limit` places (or all), labels in their proportion and each at least once, in rising order.

    Where there are more labels than `limit`, each still keeps one place: the result is then longer than `limit`.
    """
    if limit >= len(labels):
        return list(range(len(labels)))
    places: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[str(label)].append(place)
    quota = _quotas({label: len(of) for label, of in places.items()}, limit)
    chosen = [place for label, of in sorted(places.items()) for place in rng.permutation(of)[: quota[label]]]
    return sorted(int(place) for place in chosen)


def _quotas(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Return how many of each label: at least one, then by largest remainder."""
    total = sum(sizes.values())
    exact = {label: limit * size / total for label, size in sizes.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    spare = limit - sum(quota.values())
    for label in sorted(sizes, key=lambda one: (quota[one] - exact[one], one)):
        if spare <= 0:
            break
        if quota[label] < sizes[label]:
            quota[label] += 1
            spare -= 1
    return quota


def draw_rows(rng: np.random.Generator, n: int, limit: int) -> list[int]:
    """Return `limit` of n places (or all), in the order they were drawn."""
    return [int(place) for place in rng.permutation(n)[:limit]]


def limit_rows(loaded: Loaded, limit: int, rng: np.random.Generator) -> dict[str, int]:
    """Keep `limit` rows of a split, in their order; returns what there was and what was kept."""
    rows = loaded.rows
    loaded.put(rows.select(sorted(draw_rows(rng, len(rows), limit))))
    return {"of": len(rows), "kept": len(loaded.rows)}


def as_rows(pairs: Any) -> Any:
    """Return pairs a row each: version 1 kept a whole split in one row."""
    from datasets import Dataset

    return Dataset.from_dict(pairs[0]) if len(pairs) == 1 else pairs
