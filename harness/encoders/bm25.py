"""The `bm25` encoder: mteb's own lexical baseline over bm25s; it ranks documents and gives no vectors.

Words are counted where documents are ranked (`harness.backends.mteb.lexical`), by mteb's tokenizer, which goes by the
language of a task. Here stands what is known of it beforehand: settings, packages, and that nothing can be encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.candidates.candidate import Candidate
from harness.encoders.base import CausalLM, Counters, Vectors
from harness.errors import EncoderOutputError, EnvironmentGapError
from harness.suite.encoder_kinds import KINDS
from harness.suite.fields import Similarity
from harness.suite.model_entries import Bm25Spec
from harness.tasks.types import Role

METHOD = "lucene"
"""Which of the formulas called BM25 (bm25s' name): idf log(1 + (N - n + 0.5) / (n + 0.5)), as mteb's baseline."""


class Bm25Encoder:
    """BM25 as an encoder that has no vectors."""

    def __init__(self, spec: Bm25Spec) -> None:
        """Keep the settings.

        Raises:
            EnvironmentGapError: a package of the extra `bm25` is not installed.
        """
        self.spec = spec
        self.counters = Counters()
        """Texts and seconds; there are no tokens of a model."""
        kind = KINDS["bm25"]
        if lacking := kind.lacking_packages():
            raise EnvironmentGapError([f"package {one} is not installed: {kind.install}" for one in lacking])

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> Bm25Encoder:
        """Return the encoder of a candidate; nothing is loaded, drawn or kept."""
        spec: Any = candidate.spec
        return cls(spec)

    @property
    def similarity(self) -> Similarity:
        """Sums of weights of words, an inner product."""
        return "dot"

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """None: a prompt's words would be searched for."""
        return {}

    def causal_lm(self) -> CausalLM | None:
        """None."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return formula, constants and the releases that count."""
        packages = {name: _version(name) for name in KINDS["bm25"].packages}
        return {"device": "cpu", "dtype": "float32", "method": METHOD, "k1": self.spec.k1, "b": self.spec.b, **packages}

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Raise EncoderOutputError: there are no vectors."""
        raise EncoderOutputError("bm25 gives no vectors: it ranks documents, and nothing else can be measured of it")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of no known release"
