"""Two cheap encoders, and the same vectors spoken straight to mteb, without a line of the harness.

Vectors of signs are compared exactly, in whatever order a product is summed: two texts of the same words are as like to
any third one to the last digit, and scores must be equal. Those of TF-IDF are compared with rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Vectors = np.ndarray
DIMENSION = 64
"""Of length 8: cosines are whole multiples of 1/32, which every float holds."""
NAME = "hashed-words"
"""Under which `install` has the encoder registered."""


@cache
def _vector(word: str) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=DIMENSION)


def hashed(texts: Sequence[str]) -> Vectors:
    """Return the signs of the sum of a random vector for each word, (n, d) float32."""
    rows = [sum((_vector(word) for word in text.lower().split()), np.full(DIMENSION, 1e-3)) for text in texts]
    signs = np.where(np.array(rows).reshape(len(rows), DIMENSION) > 0, 1.0, -1.0)
    return signs.astype(np.float32)


class Hashed:
    """`hashed` as an encoder of another package: `harness.encoders.base.Encoder`."""

    similarity = "cosine"
    own_prompts: Mapping[str, str] = {}

    def __init__(self) -> None:
        from harness.encoders.base import Counters

        self.counters = Counters()

    def encode(self, texts: Sequence[str], *, role: str | None, prompt: str | None) -> Vectors:
        """Return the vectors of prompt and text."""
        return hashed([f"{prompt or ''}{text}" for text in texts])

    def causal_lm(self) -> None:
        """None."""

    def describe(self) -> dict[str, Any]:
        """Return the dimension."""
        return {"device": "cpu", "dtype": "float32", "dimension": DIMENSION}


def make(options: Mapping[str, Any], *, device: str, seed: int) -> Hashed:
    """Return the encoder, as an entry point's factory does."""
    return Hashed()


def install(site: Path) -> None:
    """Write the metadata of a package that registers the encoder into `site`, a folder on `sys.path`."""
    info = site / "small_hub_encoders-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small-hub-encoders\nVersion: 1.0\n", encoding="utf-8")
    lines = f"[harness.encoders]\n{NAME} = small_hub.encoders:make\n"
    (info / "entry_points.txt").write_text(lines, encoding="utf-8")


def tf_idf(fitted_on: Sequence[str], *, dimension: int) -> Callable[[Sequence[str]], Vectors]:
    """Return scikit-learn's TF-IDF over signed hashes of words, with a last feature of 1e-4 for texts without words."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counting = HashingVectorizer(n_features=dimension, norm=None, alternate_sign=True, dtype=np.float32)
    weighting = TfidfTransformer().fit(abs(counting.transform(fitted_on)))

    def vectors(texts: Sequence[str]) -> Vectors:
        weighted = weighting.transform(counting.transform(texts)).toarray()
        return np.hstack([weighted, np.full((len(texts), 1), 1e-4)]).astype(np.float32)

    return vectors


class PlainModel:
    """Vectors spoken straight to mteb."""

    def __init__(self, vectors: Callable[[Sequence[str]], Vectors]) -> None:
        from mteb.models import ModelMeta

        self.vectors = vectors
        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "plain/vectors", "revision": "1"})

    def encode(self, inputs: Any, **_: Any) -> Vectors:
        """Batch by batch, as mteb's own wrappers do."""
        return np.concatenate([self.vectors(batch["text"]) for batch in inputs])

    def similarity(self, left: Any, right: Any) -> Any:
        """Cosine."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        """Cosine of rows with like index."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(left, right)
