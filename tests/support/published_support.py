"""What the tests of published scores share: two STS tasks of invented pairs, a tiny model, and what plain mteb scores.

Nothing of the harness is in it: what is published is made by mteb and sentence-transformers alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local_hub import write_repository
from st_support import WORDS, save_model, transformer

REPOSITORIES = {"BIOSSES": "mteb/biosses-sts", "SICK-R": "mteb/sickr-sts"}
MODEL, REVISION = "invented__tiny", "0123456789abcdef0123456789abcdef01234567"


def write_pairs(hub: Path) -> Path:
    """Write the data of both tasks: pairs that share some words, and how many."""
    for number, repository in enumerate(REPOSITORIES.values()):
        rng = random.Random(number)
        rows = []
        for _ in range(40):
            left = rng.sample(WORDS, 8)
            kept = rng.randrange(9)
            right = left[:kept] + rng.sample(WORDS, 8 - kept)
            rows.append({"sentence1": " ".join(left), "sentence2": " ".join(right), "score": 5 * kept / 8})
        write_repository(hub, repository, {"default/test": (".jsonl", rows)})
    return hub


def tiny_model(folder: Path, pooling: str = "mean", **options: Any) -> Path:
    """Save a tiny random model that pools by `pooling`; the same weights each time."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    def modules(bodies: Path) -> list[Any]:
        body = transformer(bodies)
        return [body, Pooling(body.get_embedding_dimension(), pooling)]

    return save_model(folder, modules, **options)


def publish(
    root: Path, hub: Path, model: Path, tasks: Sequence[str], *, prompts: Mapping[str, str] | None = None
) -> Path:
    """Score a model with plain mteb and write its results as the public repository has them; return the clone's root.

    Args:
        root: the clone.
        hub: where the data are.
        model: a sentence-transformers model.
        tasks: of `REPOSITORIES`.
        prompts: what mteb puts before texts, by its own names.
    """
    import mteb
    from mteb.models import SentenceTransformerEncoderWrapper

    encoder = SentenceTransformerEncoderWrapper(str(model), device="cpu", model_prompts=dict(prompts or {}))
    folder = root / "results" / MODEL / REVISION
    folder.mkdir(parents=True, exist_ok=True)
    for name in tasks:
        task = mteb.get_task(name)
        dataset = {**task.metadata.dataset, "path": str(hub / "datasets" / REPOSITORIES[name])}
        task.metadata = task.metadata.model_copy(update={"dataset": dataset})
        (result,) = mteb.evaluate(encoder, task, cache=None, overwrite_strategy="always", co2_tracker=False)
        result.to_disk(folder / f"{name}.json")
    return root
