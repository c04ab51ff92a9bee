"""The `tf-idf` encoder: weighted words over scikit-learn, the floor any embedding model must beat.

It is fitted on each task's own texts, which trained encoders never see: a generous floor. Words are hashed into signed
features of a fixed number, so that vectors stay dense and inner products stay unbiased; one further feature with a tiny
constant keeps a text without words from being a zero vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.base import CausalLM, Counters, Vectors
from harness.suite.fields import Similarity
from harness.suite.model_entries import TfIdfSpec
from harness.tasks.types import Role

CONSTANT_FEATURE = 1e-4


class TfIdfEncoder:
    """TF-IDF over lower-cased words, L2-normalised."""

    def __init__(self, spec: TfIdfSpec) -> None:
        """Set up hashing; nothing is fitted yet."""
        from sklearn.feature_extraction.text import HashingVectorizer

        self.spec = spec
        self.counters = Counters()
        """Texts and seconds; there are no tokens of a model."""
        self._hashing = HashingVectorizer(n_features=spec.dimension, norm=None, alternate_sign=True, dtype=np.float32)
        self._weighting: Any = None

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> TfIdfEncoder:
        """Return the encoder of a candidate, to be fitted on each task; nothing is loaded, drawn or kept."""
        spec: Any = candidate.spec
        return cls(spec)

    @property
    def similarity(self) -> Similarity:
        """Cosine."""
        return "cosine"

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """None."""
        return {}

    def causal_lm(self) -> CausalLM | None:
        """None."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the number of features."""
        return {"device": "cpu", "dtype": "float32", "dimension": self.spec.dimension + 1, "fitted_on": "each task"}

    def fit(self, texts: Iterable[str]) -> None:
        """Take document frequencies from `texts`."""
        from sklearn.feature_extraction.text import TfidfTransformer

        self._weighting = TfidfTransformer().fit(abs(self._hashing.transform(texts)))

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return (n, dimension + 1) float32, rows of length about 1; raises RuntimeError before `fit`."""
        if self._weighting is None:
            raise RuntimeError("tf-idf is fitted on a task's texts, and no task was given")
        if not texts:
            return np.zeros((0, self.spec.dimension + 1), dtype=np.float32)
        weighted = self._weighting.transform(self._hashing.transform([f"{prompt or ''}{text}" for text in texts]))
        constant = np.full((len(texts), 1), CONSTANT_FEATURE, dtype=np.float32)
        return np.hstack([weighted.toarray().astype(np.float32), constant])
