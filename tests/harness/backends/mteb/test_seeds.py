"""Further k-means seeds of mteb's older clustering: every split and subset has those of its own sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.backends.mteb.capture import Capture

SHAPES = {("test", "default"): (40, 30), ("validation", "default"): (35,), ("train", "default"): (1, 45)}
"""Split and subset -> texts of each of its sets."""


class Points:
    """A model, as mteb's EncoderProtocol has it, whose texts are the numbers of their vectors."""

    mteb_model_meta = None

    def encode(self, inputs: Any, **_: Any) -> Any:
        """Return the vector of each text, (n, 4)."""
        texts = [text for batch in inputs for text in batch["text"]]
        return np.array([vector(text) for text in texts])

    def similarity(self, *_: Any) -> Any:
        """Nothing asks."""

    similarity_pairwise = similarity


def vector(text: str) -> Any:
    """Return the vector of a text."""
    return np.random.default_rng(int(text)).normal(size=4)


@pytest.fixture(scope="module")
def evaluated() -> dict[tuple[str, str], Any]:
    """Return the items of every split of one task, evaluated first and asked for later, the last split first."""
    import mteb
    from datasets import Dataset, DatasetDict
    from mteb.timing import TimingStack

    first = 0
    splits = {}
    for (split, _), sizes in SHAPES.items():
        sets = []
        for size in sizes:
            sets.append([str(first + number) for number in range(size)])
            first += size
        labels = [[str(int(text) % 3) for text in one] for one in sets]
        splits[split] = Dataset.from_dict({"sentences": sets, "labels": labels})
    task: Any = mteb.get_task("TwentyNewsgroupsClustering")
    task.dataset = DatasetDict(splits)
    capture = Capture(task, str)
    scores = {}
    for split, subset in SHAPES:
        scores[split, subset] = task._evaluate_subset(
            Points(), task.dataset[split], encode_kwargs={}, hf_split=split, hf_subset=subset,
            prediction_folder=Path("captured"), timer=TimingStack(),
        )  # fmt: skip
        task._add_main_score(scores[split, subset])
    return {place: (task.dataset[place[0]], capture.items(*place, scores[place])) for place in reversed(SHAPES)}


@pytest.mark.parametrize("place", list(SHAPES))
def test_seed_columns_are_k_means_on_the_vectors_of_this_split(evaluated, place):
    """With mteb's settings and seed 42 + 5, set by set; a set of one label is skipped and has 1."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import v_measure_score

    sets, made = evaluated[place]
    places = np.asarray(made.columns["set"])
    for number, one in enumerate(sets):
        labels, expected = one["labels"], 1.0
        if len(set(labels)) > 1:
            clusters = len(set(labels))
            model = MiniBatchKMeans(n_clusters=clusters, batch_size=500, n_init="auto", random_state=42 + 5)
            expected = v_measure_score(labels, model.fit([vector(text) for text in one["sentences"]]).labels_)
        (found,) = set(np.asarray(made.columns["v_measure_seed_5"])[places == number])
        assert found == pytest.approx(expected)
