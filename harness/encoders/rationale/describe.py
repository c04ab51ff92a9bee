"""What a set of rationales looks like: collapse, copying and cut-offs show here before they show in a score. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np


def describe(
    texts: Sequence[str],
    rationales: Sequence[str],
    tokens: Sequence[int],
    cut: Sequence[bool],
    *,
    opens_thinking: bool = False,
) -> dict[str, Any]:
    """Return shares (0 to 1) and lengths of the rationales of distinct texts.

    Args:
        texts: what was written about.
        rationales: what was written, decoded.
        tokens: length of each, in tokens.
        cut: whether the length limit ended it.
        opens_thinking: whether the template has opened `<think>` before the first token.
    """
    if not texts:
        return {"rationales": 0}
    lengths = np.array(tokens)
    words = [rationale.lower().split() for rationale in rationales]
    pairs = [pair for one in words for pair in pairwise(one)]
    repeated = Counter(rationale for rationale in rationales if rationale)
    return {
        "rationales": len(texts),
        "tokens_generated": int(lengths.sum()),
        "tokens_quantiles": {str(q): float(np.quantile(lengths, q)) for q in (0, 0.25, 0.5, 0.75, 1)},
        "empty": float(np.mean([not rationale.strip() for rationale in rationales])),
        "truncated": float(np.mean(cut)),
        "without_think": float(np.mean([not opens_thinking and "<think>" not in one for one in rationales])),
        "distinct_2": len(set(pairs)) / len(pairs) if pairs else 0.0,
        "overlap_with_text": float(np.mean([_overlap(t, w) for t, w in zip(texts, words, strict=True)])),
        "duplicates": sum(count - 1 for count in repeated.values()) / len(texts),
    }


def _overlap(text: str, rationale: list[str]) -> float:
    """Return the share of the rationale's words that stand in the text; 0 for an empty one."""
    own = set(text.lower().split())
    return sum(word in own for word in rationale) / len(rationale) if rationale else 0.0
