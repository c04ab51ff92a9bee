"""Which items of a task are kept to be read: pairs and queries with their texts, a bounded, seeded sample.

Chosen while the data is loaded, and by items and seed alone (but for those with the largest error), so that every model
shows the same ones. What a model wrote about them is added by `harness.evaluation.rationale_samples`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.backends.interface import Example
from harness.backends.mteb.by_type import shown_file_of
from harness.backends.mteb.draw import generator
from harness.backends.mteb.items import SubsetItems
from harness.backends.mteb.loaded import Loaded
from harness.statistics.conventions import Floats
from harness.statistics.item_errors import ITEM_ERRORS
from harness.tasks.types import EMBEDDING_TYPES

KNOWN_TEXTS = 200
"""Items whose texts are kept, so that a report can show those that differ between models."""


def choose(task: Any, found: Sequence[SubsetItems], *, seed: int, prompts: Mapping[str, str | None]) -> list[Example]:
    """Return examples of a loaded and evaluated mteb task; none for types whose items are not shown one by one.

    Args:
        task: of mteb, with its data.
        found: its per-item results.
        seed: of the suite.
        prompts: role -> prefix that was used.
    """
    kind = task.metadata.type
    file, judged = shown_file_of(kind), EMBEDDING_TYPES[kind].item_error
    if file is None or judged is None:
        return []
    examples: list[Example] = []
    for one in found:
        if not one.columns or one.missing:
            continue
        loaded = Loaded(task=task, split=one.split, subset=one.subset)
        make = file.examples(loaded, one, prompts)
        rng = generator(seed, loaded.part, one.split, one.subset, "examples")
        rows = _rows(ITEM_ERRORS[judged].of(one.columns), file.SHOWN, rng)
        examples += [make(row, why, error) for row, why, error in rows]
    return examples


def _rows(errors: Floats, counts: tuple[int, int], rng: np.random.Generator) -> Iterator[tuple[int, str, float]]:
    """Yield (row, why, error): random ones, then those of the largest error, then those whose texts alone are kept."""
    order = [int(row) for row in rng.permutation(len(errors))]
    random, rest = order[: counts[0]], order[counts[0] :]
    worst = sorted(rest, key=lambda row: (-errors[row], row))[: counts[1]]
    taken = {*random, *worst}
    others = [row for row in rest if row not in taken][: KNOWN_TEXTS - len(taken)]
    for rows, why in ((random, "random"), (worst, "largest error"), (others, "text only")):
        for row in sorted(rows):
            yield row, why, float(errors[row])
