"""Texts of its own that `harness doctor --invariance` encodes: of very unlike length, and two small tasks over them.

Nothing is downloaded and nothing drawn anew: the same texts each time, from words in a fixed order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.conventions import POINTS

WORDS = tuple(
    word
    for line in (
        "harbour lantern granite orchard violin compass meadow thunder copper archive kettle glacier saddle pepper",
        "mirror canyon bishop marble ribbon engine falcon tunnel blanket cedar mustard anchor pilgrim velvet quarry",
        "beacon walnut sailor printer desert ladder ferry cotton magnet temple salmon needle chapel wagon ginger",
    )
    for word in line.split(" ")
)
PAIRS, SHARED = 18, 9
"""Pairs of texts of so many words, of which the second shares from none to all."""
DOCUMENTS, QUERIES = 12, 12
LONG = 300
"""Words of the longest text, beside which short ones are encoded."""
ODD = ("", "a", "\U0001f642", " \n", "12.5 %", "dass Äpfel süß sind; 日本語")
AT = 10
"""nDCG is taken at this rank."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTexts:
    """The texts, and which of them the two tasks are made of."""

    texts: tuple[str, ...]
    """Distinct; the longest is the last."""
    pairs: tuple[tuple[int, int], ...]
    gold: tuple[int, ...]
    """Words that the two texts of a pair share."""
    queries: tuple[int, ...]
    documents: tuple[int, ...]
    """The i-th query has its words from the i-th document."""
    odd: tuple[int, ...]
    """Texts that a model may refuse: without a token, or of one that it does not know."""

    def without(self, left_out: Sequence[int]) -> OwnTexts:
        """Return what is left when some odd texts cannot be encoded."""
        kept = [place for place in range(len(self.texts)) if place not in set(left_out)]
        new = {place: number for number, place in enumerate(kept)}
        return OwnTexts(
            texts=tuple(self.texts[place] for place in kept),
            pairs=tuple((new[a], new[b]) for a, b in self.pairs),
            gold=self.gold,
            queries=tuple(new[one] for one in self.queries),
            documents=tuple(new[one] for one in self.documents),
            odd=tuple(new[one] for one in self.odd if one in new),
        )

    def sts(self, vectors: Vectors) -> float:
        """Return Spearman's correlation of cosines with shared words, in points; NaN where all pairs are alike.

        Args:
            vectors: (n, d), a row a text.
        """
        from scipy.stats import spearmanr

        unit = normalised(vectors)
        cosines = [float(unit[a] @ unit[b]) for a, b in self.pairs]
        if np.ptp(cosines) == 0:  # a tokenizer that knows none of the words
            return math.nan
        return float(spearmanr(self.gold, cosines).statistic) * POINTS

    def retrieval(self, vectors: Vectors) -> float:
        """Return nDCG@10 of each query's own document among all texts that are no query, in points."""
        unit = normalised(vectors)
        among = [place for place in range(len(self.texts)) if place not in self.queries]
        gains = []
        for query, document in zip(self.queries, self.documents, strict=True):
            scores = unit[among] @ unit[query]
            rank = 1 + int((scores > scores[among.index(document)]).sum())
            gains.append(1 / math.log2(1 + rank) if rank <= AT else 0.0)
        return sum(gains) / len(gains) * POINTS


def own_texts() -> OwnTexts:
    """Return the texts: pairs, documents of 5 to 115 words, queries of three of their words, odd ones, a long one."""
    rng = random.Random(17)  # noqa: S311 - the same texts each time
    texts: list[str] = []
    pairs, gold = [], []
    for number in range(PAIRS):
        first = rng.sample(WORDS, SHARED)
        shared = number % (SHARED + 1)
        second = [*first[:shared], *rng.sample([one for one in WORDS if one not in first], SHARED - shared)]
        rng.shuffle(second)
        texts += [" ".join(first), " ".join(second)]
        pairs.append((len(texts) - 2, len(texts) - 1))
        gold.append(shared)
    documents = range(len(texts), len(texts) + DOCUMENTS)
    texts += [" ".join(rng.choices(WORDS, k=5 + 10 * number)) for number in range(DOCUMENTS)]
    queries = range(len(texts), len(texts) + QUERIES)
    texts += [f"{' '.join(rng.sample(texts[place].split(), 3))}?" for place in documents]
    odd = range(len(texts), len(texts) + len(ODD))
    texts += [*ODD, " ".join(rng.choices(WORDS, k=LONG))]
    return OwnTexts(
        texts=tuple(texts),
        pairs=tuple(pairs),
        gold=tuple(gold),
        queries=tuple(queries),
        documents=tuple(documents),
        odd=tuple(odd),
    )


def longer_than(tokens: int) -> str:
    """Return a text that is longer than a window of so many tokens: a word is a token at least."""
    rng = random.Random(18)  # noqa: S311
    return " ".join(rng.choices(WORDS, k=tokens + 50))


def normalised(vectors: Vectors) -> NDArray[np.float64]:
    """Return (n, d) float64 rows of length 1."""
    exact = vectors.astype(np.float64)
    unit: NDArray[np.float64] = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    return unit


def named(text: str) -> str:
    """Return how a text is called in a table."""
    if not text.strip():
        return f"{text!r}"
    return repr(text) if len(text) <= 12 else f"{len(text.split())} words"
