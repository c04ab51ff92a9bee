"""Classification: items, limit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from harness.backends.mteb.draw import stratified


def limit_classification(task: Any, data: Any, split: str, limit: int, rng: np.random.Generator) -> dict[str, int]:
    column = task.label_column_name
    before = len(data[split])
    data[split] = data[split].select(stratified(data[split][column], limit, rng))
    kept = {"of": before, "kept": len(data[split])}
    if task.train_split != split:
        train = data[task.train_split]
        per_class = max(task.samples_per_label, limit // max(len(set(map(str, train[column]))), 1))
        places = rng.permutation(len(train))
        seen: Counter[str] = Counter()
        labels = train[column]
        chosen = []
        for place in places:
            label = str(labels[int(place)])
            if seen[label] < per_class:
                seen[label] += 1
                chosen.append(int(place))
        data[task.train_split] = train.select(sorted(chosen))
        kept |= {"training_of": len(train), "training_kept": len(chosen)}
    return kept
