"""From the stored items of two ability cells to the evidence that `harness.comparison.retention` judges.

Kept beside the results like comparisons; it knows no margin, so another margin needs nothing new. The exact tests of
thousands of answers take seconds, so what was judged is kept too, by evidence and margin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

import numpy as np

from harness.comparison.losses import Evidence
from harness.comparison.pair import FOLDER, Pooled, paired_parts, pooled_scores
from harness.comparison.retention import Judgement, judge
from harness.digests import sha256_text
from harness.results.records import Score
from harness.results.store import Store
from harness.results.stored_items import statistics_of
from harness.statistics.conventions import POINTS
from harness.statistics.items import ItemStatistic
from harness.statistics.paired import Spread
from harness.statistics.resampling import mean_statistic
from harness.statistics.tails import shape

EVIDENCE_VERSION = 3
"""Raised when the way evidence is computed changes."""
JUDGEMENT_VERSION = 1
"""Raised when the way evidence is judged changes."""
Kept = TypeVar("Kept")
GOLD_MEASURE = "nats per token of the gold answer"


class PairEvidence(NamedTuple):
    """What two cells of one ability task say of each other."""

    main: Evidence | None
    """Of the task's own metric; None where the items do not pair up."""
    nats: Evidence | None
    """Of the gold answers; None where a model has none, or reads them in other tokens."""


def evidence(store: Store, score: Score, base: Score) -> PairEvidence:
    """Return what the items of `score` and of the baseline `base`, two cells of one task, say of retention."""
    if score.items is None or base.items is None or score.metric != base.metric or score.limit != base.limit:
        return PairEvidence(None, None)
    name = f"retention-v{EVIDENCE_VERSION}-{score.items.sha256[:20]}-{base.items.sha256[:20]}.json"
    kept = _loaded(store.kept(FOLDER, name), _pair_of)
    if kept is not None:
        return kept
    found = PairEvidence(_of_metric(store, score, base), _of_gold(store, score, base))
    store.keep(FOLDER, name, json.dumps([asdict(one) if one else None for one in found]).encode("utf-8"))
    return found


def judged(store: Store, evidence: Evidence, margin: float) -> Judgement:
    """Return `judge(evidence, margin)`, as it was kept where this was judged before."""
    name = f"judged-v{JUDGEMENT_VERSION}-{sha256_text(json.dumps([asdict(evidence), margin]))[:40]}.json"
    kept = _loaded(store.kept(FOLDER, name), lambda one: Judgement(**one | {"evidence": evidence, "margin": margin}))
    if kept is not None:
        return kept
    found = judge(evidence, margin)
    store.keep(FOLDER, name, json.dumps(asdict(found)).encode("utf-8"))
    return found


def _pair_of(each: Any) -> PairEvidence:
    return PairEvidence(*(Evidence(**one) if one else None for one in each))


def _loaded(content: bytes | None, read: Callable[[Any], Kept]) -> Kept | None:
    """Return what a kept file says; None where there is none, or it is damaged."""
    try:
        return read(json.loads(content)) if content else None
    except (ValueError, TypeError):
        return None


def _of_metric(store: Store, score: Score, base: Score) -> Evidence | None:
    parts = paired_parts(statistics_of(store, score), statistics_of(store, base), by_size=True)
    pooled = pooled_scores(parts) if parts else None
    if pooled is None or (not pooled.is_binary and pooled.spread is None):
        return None
    return _made(score, pooled, base.score)


def _made(score: Score, pooled: Pooled, base_score: float) -> Evidence:
    sign = 1 if score.lower_is_better else -1
    unit = POINTS if score.unit == "points" else 1.0
    better, worse = (pooled.own < pooled.base, pooled.own > pooled.base)[:: -1 if sign < 0 else 1]
    spread = pooled.spread
    value = float((pooled.own - pooled.base).mean()) if spread is None else spread.value
    exact = pooled.is_binary
    tail = None if exact or spread is None else shape(spread.apart, spread.freedom)
    largest = 1.0 if exact or spread is None else _largest(spread, pooled.scale)
    return Evidence(
        measure=score.metric if score.unit != "nats" else "nats per token",
        unit=score.unit,
        loss=sign * value * unit + 0.0,  # no -0.00
        base=base_score,
        n=len(pooled.own),
        wins=int(better.sum()),
        losses=int(worse.sum()),
        scale=largest * unit,
        stderr=None if exact or spread is None else spread.stderr * unit,
        freedom=tail.freedom if tail else None,
        skewness=sign * tail.skewness if tail else 0.0,
        skewness_error=tail.error if tail else 0.0,
        base_right=int(pooled.base.sum()) if exact else None,
    )


def _largest(spread: Spread, scale: float) -> float:
    """Return the largest difference of an item; `scale` where none differs."""
    return float(np.abs(spread.apart).max()) or scale


def _of_gold(store: Store, score: Score, base: Score) -> Evidence | None:
    parts = paired_parts(_gold_of(store, score), _gold_of(store, base), by_size=True)
    pooled = pooled_scores(parts) if parts else None
    if pooled is None or pooled.spread is None or parts is None:
        return None
    tokens: Sequence[Any] = [one.sizes for one, _, _ in parts]
    total = float(sum(one.sum() for one in tokens))
    better, worse = pooled.own < pooled.base, pooled.own > pooled.base
    tail = shape(pooled.spread.apart, pooled.spread.freedom)
    return Evidence(
        measure=GOLD_MEASURE,
        unit="nats",
        loss=pooled.spread.value,
        base=float(pooled.base.sum()) / total,
        n=len(pooled.own),
        wins=int(better.sum()),
        losses=int(worse.sum()),
        scale=_largest(pooled.spread, pooled.scale),
        stderr=pooled.spread.stderr,
        freedom=tail.freedom,
        skewness=tail.skewness,
        skewness_error=tail.error,
    )


def _gold_of(store: Store, score: Score) -> dict[tuple[Any, ...], ItemStatistic] | None:
    """Return the gold answers' nats and tokens as the statistics of a cell; None where an item has none."""
    table = store.items_of(score, {"part", "item", "gold_nll", "gold_tokens"}.__contains__)
    if table is None or not {"gold_nll", "gold_tokens", "item"} <= set(table.column_names):
        return None
    frame = table.select(["part", "item", "gold_nll", "gold_tokens"]).to_pandas(use_threads=False)
    frame = frame[frame["gold_nll"].notna() & (frame["gold_tokens"].fillna(0) > 0)]
    found: dict[tuple[Any, ...], ItemStatistic] = {}
    for part, rows in frame.groupby("part", observed=True, sort=True):
        nats = rows["gold_nll"].to_numpy(np.float64)
        found[(part,)] = ItemStatistic(
            items=tuple(rows["item"]),
            statistic=mean_statistic(nats),
            scores=nats,
            sizes=rows["gold_tokens"].to_numpy(np.float64),
        )
    return found or None
