"""The Every Eval Ever schema (evaleval/every_eval_ever, release 0.3.0): one log a model, a result a cell.

`data/encoder-verdict/ORG/MODEL/UUID.json`: the uuid is made of what is exported, so that the same scores give the same
file. Per-item rows of that schema are questions with an answer that is right or wrong, which those of embedding tasks
are not: the aggregate log alone is written.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.digests import digest
from harness.environment import versions
from harness.export.chosen import LEVEL, TOOL, Chosen, Exported
from harness.results.facts import Facts, facts_of, off_count_said
from harness.results.records import Score
from harness.tasks.catalogue import catalogue

SCHEMA_VERSION = "0.3.0"
RANGES: dict[str, tuple[float | str, float | str]] = {"points": (0.0, 100.0), "nats": (0.0, "Infinity")}
"""Of scores by unit; a correlation goes down to -100."""
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")


def every_eval_ever(chosen: Chosen, *, organization: str = "unknown", relationship: str = "other") -> Exported:
    """Return the log.

    Args:
        chosen: the scores; limited ones and those over other data than the benchmark's go in, and say so.
        organization: who provides the data.
        relationship: of the evaluator to the model, one of `RELATIONSHIPS`.
    """
    if not chosen.scores:
        return Exported({}, ())
    results = [_result(label, one) for label, one in chosen.scores.items()]
    name = uuid.UUID(bytes=bytes.fromhex(digest([chosen.name, chosen.revision, results]))[:16], version=4)
    now = str(int(time.time()))
    log = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{TOOL}/{chosen.name.replace('/', '_')}/{now}",
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": TOOL,
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": relationship,
        },
        "eval_library": {"name": TOOL, "version": versions().get(TOOL, "unknown")},
        "model_info": _model(chosen),
        "evaluation_results": results,
    }
    developer, _, model = chosen.name.rpartition("/")
    path = Path("data") / TOOL / (developer or "unknown") / model / f"{name}.json"
    return Exported({path: (json.dumps(log, indent=2, ensure_ascii=False) + "\n").encode("utf-8")}, ())


def _model(chosen: Chosen) -> dict[str, Any]:
    facts = facts_of(next(iter(chosen.scores.values())))
    said = {
        "revision": chosen.revision,
        "name_in_suite": chosen.model,
        "fingerprint": facts.fingerprint,
        "encoder": facts.spec.get("encoder"),
        "weights": (facts.weights or {}).get("source"),
        "dimension": chosen.dimension,
        **{name: facts.encoder.get(name) for name in ("dtype", "max_text_tokens", "similarity")},
    }
    return {
        "name": chosen.name,
        "id": chosen.name,
        "developer": chosen.name.rpartition("/")[0] or "unknown",
        "additional_details": {
            "deployment_type": "self_deployed",
            "model_availability": "unknown",
            **{name: str(value) for name, value in said.items() if value is not None},
        },
    }


def _result(label: str, score: Score) -> dict[str, Any]:
    facts = facts_of(score)
    low, high = RANGES.get(score.unit, (None, None))
    if score.unit == "points" and ("spearman" in score.metric or "pearson" in score.metric):
        low = -100.0
    others = next(iter(off_count_said(facts)), None)
    details = {"type": score.type, "axis": score.axis, "key": score.key, "limit": score.limit, "data": others}
    details |= _versions(facts)
    found: dict[str, Any] = {
        "evaluation_result_id": f"{label}/{score.metric}",
        "evaluation_name": label,
        "source_data": _data(score, facts),
        "metric_config": {
            "evaluation_description": f"{score.type} on {label}",
            "metric_id": score.metric,
            "metric_name": score.metric,
            "metric_unit": score.unit,
            "lower_is_better": score.lower_is_better,
            "score_type": "continuous",
            **({} if low is None else {"min_score": low}),
            **({} if high is None else {"max_score": high}),
        },
        "score_details": {
            "score": score.score,
            "details": {name: str(value) for name, value in details.items() if value is not None},
            "uncertainty": _uncertainty(score, facts),
        },
    }
    if facts.began:
        found["evaluation_timestamp"] = datetime.fromisoformat(facts.began).astimezone(UTC).isoformat()
    return found


def _versions(facts: Facts) -> dict[str, str]:
    return {
        f"version_{name}": one for name in ("mteb", "lm-eval", "lm_eval", "torch") if (one := facts.versions.get(name))
    }


def _data(score: Score, facts: Facts) -> dict[str, Any]:
    info = catalogue().tasks.get(score.task)
    splits = {"splits": ",".join(facts.splits), "subsets": ",".join(facts.subsets)}
    revision = next((place.get("revision") for place in facts.data.values()), None)
    details = {name: text for name, text in (splits | {"revision": revision or ""}).items() if text}
    if info is None or info.dataset is None or facts.is_off_count:  # other data than that repository's
        return {"dataset_name": score.task, "source_type": "other", "additional_details": details}
    split = {"hf_split": facts.splits[0]} if facts.splits else {}
    return {
        "dataset_name": score.task,
        "source_type": "hf_dataset",
        "hf_repo": info.dataset,
        "samples_number": score.n,
        "additional_details": details,
    } | split


def _uncertainty(score: Score, facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {"num_samples": score.n}
    method = f"bootstrap over items, {facts.resamples} resamples, or exact where the metric has a formula"
    if score.stderr is not None:
        found["standard_error"] = {"value": score.stderr, "method": method}
    if score.ci_low is not None and score.ci_high is not None:
        found["confidence_interval"] = {
            "lower": score.ci_low,
            "upper": score.ci_high,
            "confidence_level": LEVEL,
            "method": method,
        }
    return found
