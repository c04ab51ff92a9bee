"""How many sampled rationales depend on what else is encoded: the same texts, shuffled and in other batch sizes.

    python benchmarks/rationale_invariance.py --hub HUB [--texts 500] [--new-tokens 48]

SmolLM2-135M-Instruct (from Q4_1), temperature 1, float32, sentences of STSBenchmark. A rationale can differ only where
rounding moves a cumulated probability across the draw. Exit 1 where more than one in a thousand differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rationale_speed import MODEL, SHA256, sentences

from harness.encoders.rationale.encoder import RationaleEncoder
from harness.sources.locate import locate_model
from harness.sources.places import Located, Sources
from harness.suite.model_entries import RationaleSpec

ALLOWED = 0.001
BATCHES = (32768, 3000)
"""Padded tokens a batch: everything at once, and some tens of texts."""


def main() -> int:
    """Write the rationales of both orders, compare, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, required=True, help="a local hub with mteb/stsbenchmark-sts")
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--new-tokens", type=int, default=48)
    options = parser.parse_args()
    texts = sentences(options.hub, options.texts)
    order = np.random.default_rng(0).permutation(len(texts))
    found = []
    for budget, places in zip(BATCHES, (np.arange(len(texts)), order), strict=True):
        entries = encoder(budget, options.new_tokens).write([texts[place] for place in places], prompt=None)
        back = np.argsort(places)
        found.append([entries[place] for place in back])
    different = [text for text, a, b in zip(texts, *found, strict=True) if a.about["ids"] != b.about["ids"]]
    same = [(a, b) for a, b in zip(*found, strict=True) if a.about["ids"] == b.about["ids"]]
    apart = max(float(np.abs(unit(a.vector) - unit(b.vector)).max()) for a, b in same)
    print(f"{len(different)} of {len(texts)} rationales differ; vectors of the others by at most {apart:.1e}")
    return int(len(different) > ALLOWED * len(texts) or apart > 1e-5)


def encoder(budget: int, new: int) -> RationaleEncoder:
    """Return an encoder without a cache, with batches of `budget` padded tokens."""
    spec = RationaleSpec.model_validate(
        {
            "name": "x",
            "encoder": "rationale",
            "model": MODEL,
            "sha256": SHA256,
            "device": "cpu",
            "batch_tokens": budget,
            "generation": {"max_new_tokens": new, "temperature": 1.0},
        }
    )
    place = locate_model(Sources(), MODEL, None, SHA256)
    assert isinstance(place, Located), place
    return RationaleEncoder(spec, place, None, fingerprint="x", seed=0, cache=None)


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector at length one, in double."""
    return vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))


if __name__ == "__main__":
    sys.exit(main())
