"""From lm-eval's samples to our items, metrics, interval and warning signs: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.backends.interface import NotRecomputedError
from harness.results.records import Metric, Unit
from harness.statistics.conventions import POINTS
from harness.statistics.intervals import interval_of
from harness.statistics.items import of_scores
from harness.statistics.resampling import Interval

POINT_METRICS = frozenset({"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc", "contains"})
"""Metrics from 0 to 1 (mcc from -1), shown in points; others keep lm-eval's unit."""
EXTRACTION_FAILED = "[invalid]"
"""What lm-eval's regex filters give where nothing matched."""
BELOW_CHANCE_LEVEL = 0.01
RECOMPUTED_WITHIN = 1e-9
QUESTION_CHARACTERS = 600
"""Longest question kept to be read."""
ALL = "all"
"""The subset that a group's own figures are for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartItems:
    """The items of one part, a column each; all columns have one value an item."""

    part: str
    columns: dict[str, list[Any]]
    metrics: dict[str, float]
    """lm-eval's own figures for the part, by `metric,filter`."""
    unit_of: dict[str, Unit] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.columns["item"])


def part_items(
    part: str, task: Any, samples: Sequence[Mapping[str, Any]], results: Mapping[str, Any], *, traces: Mapping[Any, Any]
) -> PartItems:
    """Return one part's items from lm-eval's samples (one a document and filter).

    Args:
        part: its name.
        task: the lm-eval task.
        samples: as `evaluate(log_samples=True)` gives them.
        results: lm-eval's figures for the task.
        traces: (task, document, request) -> Trace.

    Raises:
        NotRecomputedError: the mean over items is not lm-eval's figure.
    """
    by_doc: dict[int, dict[str, Mapping[str, Any]]] = {}
    for sample in samples:
        by_doc.setdefault(int(sample["doc_id"]), {})[str(sample["filter"])] = sample
    rows = [_row(task, doc, by_filter, traces) for doc, by_filter in sorted(by_doc.items())]
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    # lm-eval's keys are `metric,filter`; aggregates that are no mean over items are taken as they are
    metrics = {
        key: float(value)
        for key, value in results.items()
        if "," in key and "_stderr," not in key and isinstance(value, int | float)
    }
    means = task.aggregation()
    for key, value in metrics.items():
        name = key.rpartition(",")[0]
        if key in columns and getattr(means.get(name), "__name__", "") == "mean":
            mean = float(np.asarray(columns[key], dtype=np.float64).mean())
            if not abs(mean - value) <= RECOMPUTED_WITHIN:
                raise NotRecomputedError(f"{part} {key}: the items give {mean!r}, lm-eval says {value!r}")
    return PartItems(part=part, columns=columns, metrics=metrics)


def _row(task: Any, doc: int, by_filter: Mapping[str, Mapping[str, Any]], traces: Mapping[Any, Any]) -> dict[str, Any]:
    first = next(iter(by_filter.values()))
    is_choice = task.OUTPUT_TYPE == "multiple_choice"
    row: dict[str, Any] = {"item": doc, "prompt_hash": first["prompt_hash"], "target": str(first["target"])}
    row["question"] = question_of(task, first)
    if is_choice:
        row |= _choice_columns(
            task, first, [traces.get((task.task_name, doc, index)) for index in range(len(first["resps"]))]
        )
    else:
        row |= _answer_columns(first, traces.get((task.task_name, doc, 0)))
        labels = fixed_labels(task)
        if labels:
            target = first["target"]
            row |= {"choices": len(labels), "target": labels[target] if isinstance(target, int) else str(target)}
    for name, sample in by_filter.items():
        if not is_choice:
            filtered = sample["filtered_resps"][0]
            row[f"filtered,{name}"] = filtered if isinstance(filtered, str) else str(filtered)
            row[f"extraction_failed,{name}"] = filtered == EXTRACTION_FAILED
        for metric in sample["metrics"]:
            value = sample[metric]
            if isinstance(value, int | float | np.number):
                row[f"{metric},{name}"] = float(value)
    return row


def question_of(task: Any, sample: Mapping[str, Any]) -> str:
    """Return the beginning of a question, without the examples that were put before it."""
    return whole_question(task, sample["doc"])[:QUESTION_CHARACTERS]


def whole_question(task: Any, document: Any) -> str:
    """Return a question without the examples before it.

    Where the choices are beginnings that share one end (Winogrande), it is these and that end, a line each.
    """
    asked = task.doc_to_text(document)
    if isinstance(asked, str):
        return asked
    return "\n".join(map(str, (*task.doc_to_choice(document), task.doc_to_target(document))))


def _choice_columns(task: Any, sample: Mapping[str, Any], traces: Sequence[Any]) -> dict[str, Any]:
    choices = [str(choice) for choice in task.doc_to_choice(sample["doc"])]
    logprobs = [float(answers[0][0]) for answers in sample["resps"]][: len(choices)]
    gold = task.doc_to_text(sample["doc"]) if task.multiple_input else sample["target"]
    gold = gold[0] if isinstance(gold, list) else gold
    index = gold if isinstance(gold, int) else (choices.index(gold) if gold in choices else None)
    told = traces[index] if index is not None and index < len(logprobs) else None
    return {
        "target": choices[index] if index is not None and index < len(choices) else str(gold),
        "answers": [choices[int(np.argmax(logprobs))]],
        "choice_logprobs": logprobs,
        "choices": len(choices),
        "gold_nll": -logprobs[index] if told is not None and index is not None else None,
        "gold_tokens": told.continuation_tokens if told is not None else None,
    }


def _answer_columns(sample: Mapping[str, Any], trace: Any) -> dict[str, Any]:
    return {
        "answers": [str(answer) for answer in sample["resps"][0]],
        "gold_nll": trace.gold_nll if trace else None,
        "gold_tokens": trace.gold_tokens if trace else None,
        "generated_tokens": sum(trace.generated_tokens) if trace else None,
        "truncated": any(trace.truncated) if trace else None,
    }


def fixed_labels(task: Any) -> list[str] | None:
    """Return the answers that are the same for every item, such as MMLU's letters; None where each has its own."""
    choices = task.config.doc_to_choice
    return [str(one) for one in choices] if isinstance(choices, list) else None


def label_balance(parts: Sequence[PartItems], tasks: Mapping[str, Any]) -> dict[str, int] | None:
    """Return label -> items whose right answer it is, over all parts; None where the parts have no labels in common."""
    of_parts = [fixed_labels(tasks[part.part]) for part in parts]
    labels = of_parts[0]
    if labels is None or any(one != labels for one in of_parts):
        return None
    targets = [target for part in parts for target in part.columns["target"]]
    return {label: targets.count(label) for label in labels}


def unit_of(metric: str) -> Unit:
    """Return the unit of a metric of lm-eval: points where it lies between 0 and 1, its own otherwise."""
    return "points" if metric in POINT_METRICS or metric.startswith("pass@") else "raw"


def pooled(parts: Sequence[PartItems], key: str) -> float:
    """Return a metric over all parts, weighted by their size, as lm-eval weighs its groups of mmlu and bbh."""
    return sum(part.metrics[key] * part.n for part in parts) / sum(part.n for part in parts)


def interval(parts: Sequence[PartItems], key: str) -> Interval | None:
    """Return the interval of `pooled` over the items of each part; None where items do not give it."""
    if any(key not in part.columns for part in parts):
        return None
    total = sum(part.n for part in parts)
    return interval_of(
        [
            (of_scores(part.columns["item"], np.asarray(part.columns[key], dtype=np.float64)), part.n / total)
            for part in parts
        ]
    )


def in_points(found: Interval) -> Interval:
    """Return an interval of a metric from 0 to 1 in points."""
    return replace(found, stderr=found.stderr * POINTS, low=found.low * POINTS, high=found.high * POINTS)


def metrics_of(parts: Sequence[PartItems], split: str, subset: str, *, is_group: bool) -> list[Metric]:
    """Return every metric and filter of the whole, and of each part where it is a group; gold_nll among them.

    Args:
        parts: their items, with lm-eval's figures.
        split: that was scored.
        subset: that was scored, where it is no group.
        is_group: whether the task has several parts, also where only one was asked.
    """
    subset = ALL if is_group else subset
    keys = [key for key in parts[0].metrics if all(key in part.metrics for part in parts)]
    found = [_metric(key, pooled(parts, key), split, subset) for key in keys]
    nats = gold_nats(parts)
    if nats is not None:
        found.append(Metric(name="gold_nll", value=nats, split=split, subset=subset, unit="nats"))
    for part in parts if is_group else ():
        found += [_metric(key, part.metrics[key], split, part.part, part=part.part) for key in keys]
        nats = gold_nats([part])
        if nats is not None:
            found.append(
                Metric(name="gold_nll", value=nats, split=split, subset=part.part, part=part.part, unit="nats")
            )
    return found


def _metric(key: str, value: float, split: str, subset: str, *, part: str | None = None) -> Metric:
    name, _, chosen = key.rpartition(",")
    unit = unit_of(name)
    shown = value * POINTS if unit == "points" else value
    of_filter = None if chosen == "none" else chosen
    return Metric(name=name, value=shown, split=split, subset=subset, part=part, filter=of_filter, unit=unit)


def gold_nats(parts: Sequence[PartItems]) -> float | None:
    """Return nats per token of the gold answers: sum of their nats over sum of their tokens; None without any."""
    pairs = [
        (nats, tokens)
        for part in parts
        for nats, tokens in zip(part.columns["gold_nll"], part.columns["gold_tokens"], strict=True)
        if nats is not None and tokens
    ]
    return sum(nats for nats, _ in pairs) / sum(tokens for _, tokens in pairs) if pairs else None


def chance_level(parts: Sequence[PartItems]) -> float:
    """Return what guessing scores, 0 to 1: the mean of 1/choices over items, exactly; 0 for free answers."""
    shares = [1.0 / count if count else 0.0 for part in parts for count in part.columns.get("choices", [None] * part.n)]
    return float(np.mean(shares))


def below_chance(parts: Sequence[PartItems], key: str) -> float | None:
    """Return the one-sided exact binomial p-value of so few right answers by guessing; None where chance is 0.

    With differing numbers of choices the binomial at the mean chance is wider than the true distribution, so that the
    flag comes too seldom rather than too often. Source: Clopper & Pearson 1934 for the exact test.
    """
    from scipy.stats import binomtest

    values = [value for part in parts for value in part.columns.get(key, [])]
    chance = chance_level(parts)
    if not chance or not values or any(value not in (0.0, 1.0) for value in values):
        return None
    return float(binomtest(int(sum(values)), len(values), chance, alternative="less").pvalue)


def share(parts: Sequence[PartItems], column: str) -> float | None:
    """Return the share of items for which a column is true; None where the parts do not have it."""
    if any(column not in part.columns for part in parts):
        return None
    values = [bool(value) for part in parts for value in part.columns[column]]
    return sum(values) / len(values)


def table_of(parts: Sequence[PartItems], split: str, main: str, *, keeps_texts: bool = True) -> Any:
    """Return all items as a pyarrow Table; `score` is the main metric.

    Args:
        parts: their items.
        split: that was scored.
        main: `metric,filter`.
        keeps_texts: with the questions; answers are there in any case, since scores are made of them.
    """
    import pyarrow as pa

    tables = []
    for part in parts:
        named: dict[str, Any] = {
            "part": [part.part] * part.n,
            "split": [split] * part.n,
            "subset": [part.part] * part.n,
        }
        score = {"score": part.columns[main]} if main in part.columns else {}
        columns = {name: of for name, of in part.columns.items() if keeps_texts or name not in ("question", "prompt")}
        tables.append(pa.table(named | score | columns))
    return pa.concat_tables(tables, promote_options="permissive")
