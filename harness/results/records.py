"""What a cell comes to: a `Score` or a `Failure`, and their JSON; imports nothing.

JSON has no NaN: a number that is not finite is written as {"float": "nan"}, so that it survives the round trip and is
never read as 0 or null.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

RECORD_VERSION = 1
Unit = Literal["points", "nats", "raw"]
"""Points: 0 to 100 (or -100 to 100), more is better. Nats (per token): less is better. Raw: as the engine gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a cell."""

    name: str
    """As the engine calls it: ndcg_at_10, cosine_spearman, exact_match."""
    value: float
    """Points where the engine's range is 0 to 1 (or -1 to 1), its own unit otherwise."""
    split: str
    subset: str
    part: str | None = None
    """The part of an aggregate or group; None for the whole."""
    filter: str | None = None
    """The answer filter of an ability task; None elsewhere."""
    unit: Unit = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsFile:
    """The per-item results that recompute the score."""

    name: str
    """File beside the cell's JSON."""
    sha256: str
    rows: int
    unit: str
    """What a row's item is: pair, query, test text, text to cluster, document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A finished cell."""

    key: str
    model: str
    """The name the suite gave the model when the cell was run."""
    axis: str
    type: str
    task: str
    metric: str
    """Name of the main metric."""
    score: float
    """Main metric in `unit`, recomputed from the per-item results where there are any."""
    stderr: float | None
    """Bootstrap standard error over items, in `unit`; None where the metric has none."""
    ci_low: float | None
    """2.5 % bootstrap quantile, in `unit`."""
    ci_high: float | None
    n: int
    """Items the score is made of."""
    limit: int | None
    """Items were limited to so many; None: all."""
    unit: Unit = "points"
    """Only points are averaged over tasks."""
    lower_is_better: bool = False
    metrics: tuple[Metric, ...] = ()
    items: ItemsFile | None = None
    """None where `items_missing` says why."""
    items_missing: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    """How it was made: spec, prompts, data, versions, hardware, time, memory; `facts.py` says what each key is."""

    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededScore(Score):
    """The mean over the seeds of one model; made when results are read, never stored."""

    parts: tuple[Score, ...]
    """The seeds' own scores, at least two, over the same items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptedScore(Score):
    """The score under a model's own prompts, and what it is under others; made when results are read, never stored."""

    variants: tuple[Score, ...]
    """Under each other setting that has a score; no mean is made of them."""
    wanted: int
    """Settings that the suite names beside the model's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A cell that could not be scored; retried at the next run; shown as "error", never as 0."""

    key: str
    model: str
    axis: str
    type: str
    task: str
    error: str
    """Type of the exception."""
    message: str
    traceback: str
    provenance: dict[str, Any] = field(default_factory=dict)

    status: Literal["error"] = "error"


Result = Score | Failure


def to_json(result: Result) -> str:
    """Return the record as JSON text, one field a line at the top level."""
    record = {"record_version": RECORD_VERSION, **asdict(result)}
    return json.dumps(_pack(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Result:
    """Read a record; raises ValueError where it is none of ours or of another version."""
    record = _unpack(json.loads(text))
    if not isinstance(record, dict) or record.pop("record_version", None) != RECORD_VERSION:
        raise ValueError(f"not a result record of version {RECORD_VERSION}")
    kind = {"ok": Score, "error": Failure}.get(record.get("status", ""))
    if kind is Score:
        record = {"unit": "points", "lower_is_better": False} | record  # records from before the ability axis
    if kind is None or set(record) != {one.name for one in fields(kind)}:
        raise ValueError("not a result record: status or fields differ")
    wrong = [name for name, kinds in _KINDS.items() if name in record and type(record[name]) not in kinds]
    if wrong:
        raise ValueError(f"not a result record: {', '.join(wrong)} cannot be {record[wrong[0]]!r}")
    if kind is Score:
        record["metrics"] = tuple(Metric(**metric) for metric in record["metrics"])
        record["items"] = ItemsFile(**record["items"]) if record["items"] else None
    result: Result = kind(**record)
    return result


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("key", "model", "axis", "type", "task", "metric", "error", "message", "traceback"), (str,)),
    "score": (float, int),
    **dict.fromkeys(("stderr", "ci_low", "ci_high"), (float, int, type(None))),
    "n": (int,),
    "limit": (int, type(None)),
    "metrics": (list,),
    "items": (dict, type(None)),
    "provenance": (dict,),
}
"""Field -> what a record may hold there."""


def _pack(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {str(key): _pack(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(one) for one in value]
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"float"} and value["float"] in ("nan", "inf", "-inf"):
            return float(value["float"])
        return {key: _unpack(one) for key, one in value.items()}
    return [_unpack(one) for one in value] if isinstance(value, list) else value
