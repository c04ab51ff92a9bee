"""A classification cell with its labels read once against mteb's own way: seconds, and whether all scores agree.

    python benchmarks/classification_labels.py [--texts 2048] [--labels 2]

Invented texts, random vectors, mteb's classifier and its ten experiments. Exit 1 where a
digit of any metric or prediction differs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.mteb.custom import make_custom_task
from harness.backends.mteb.labels import read_labels_at_once
from harness.suite.task_entries import CustomRef


class Noise:
    """Vectors drawn anew from one seed at each call, as many as there are texts."""

    def __init__(self) -> None:
        """Give mteb the property without which it throws a model away."""
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "invented/noise", "revision": "1"})

    def encode(self, inputs: Any, **_: Any) -> Any:
        """Return (n, 32) float32."""
        n = len(inputs.dataset)
        return np.random.default_rng(n).normal(size=(n, 32)).astype(np.float32)

    def similarity(self, a: Any, b: Any) -> Any:
        """Return the dot products."""
        return a @ b.T

    similarity_pairwise = similarity


def main() -> int:
    """Print the seconds of both and how many times faster ours is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2048, help="Scored texts.")
    parser.add_argument("--labels", type=int, default=2, help="Distinct labels.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, texts in (("train", 32 * options.labels), ("test", options.texts)):
            rows = ({"text": f"{split} {n}", "label": n % options.labels} for n in range(texts))
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        scored(folder, at_once=True)  # pays for imports
        lazy, slow = scored(folder, at_once=False)
        read, fast = scored(folder, at_once=True)
    print(f"labels row by row: {slow:.2f} s; as an array: {fast:.2f} s; {slow / fast:.1f} times faster")
    print("all scores are the same to the last digit" if lazy == read else f"scores differ: {lazy} {read}")
    return 0 if lazy == read else 1


def scored(folder: Path, *, at_once: bool) -> tuple[dict[str, Any], float]:
    """Return mteb's metrics of the task in `folder`, and how long it took, in seconds."""
    import mteb

    task = make_custom_task(CustomRef(name="invented", type="Classification", path=str(folder)))
    task.load_data()
    if at_once:
        read_labels_at_once(task)
    began = time.perf_counter()
    result = mteb.evaluate(Noise(), task, cache=None, co2_tracker=False, show_progress_bar=False)[0]
    return result.scores["test"][0], time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
