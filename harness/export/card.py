"""A model card: README.md whose `model-index` has every embedding score, its interval in the metric's `args`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.export.chosen import LEVEL, TOOL, Chosen, Exported
from harness.results.facts import Facts, facts_of
from harness.results.records import Score
from harness.tasks.catalogue import catalogue

README = Path("README.md")
MTEB = "https://github.com/embeddings-benchmark/mteb"


def card(chosen: Chosen, existing: str | None = None) -> Exported:
    """Return the card.

    Args:
        chosen: the scores; points of both axes go in, limited ones and those in another unit do not.
        existing: a card that is there already: its text and the rest of its head stay.

    Raises:
        InputError: the existing card cannot be read.
    """
    from huggingface_hub import ModelCard, ModelCardData

    left = [f"{label}: {why}" for label, one in chosen.scores.items() if (why := _why_not(one))]
    scores = {label: one for label, one in chosen.scores.items() if not _why_not(one)}
    results = [found for one in scores.values() for found in _results(one)]
    if not results:
        return Exported({}, tuple(left))
    if existing is None:
        data = ModelCardData(model_name=chosen.name, eval_results=results, tags=["mteb"])
        content = f"---\n{data.to_yaml()}\n---\n\n{_text(chosen, scores)}"
    else:
        try:
            held = ModelCard(existing, ignore_metadata_errors=False)
        except ValueError as error:
            raise InputError([f"{README}: the card that is there cannot be read ({error}); mend or move it"]) from error
        held.data.model_name, held.data.eval_results = chosen.name, results
        content = str(held)
    return Exported({README: content.encode("utf-8")}, tuple(left))


def _why_not(score: Score) -> str | None:
    if score.limit:
        return f"limited to {score.limit} items"
    return None if score.unit == "points" else f"in {score.unit}, and a card has points"


def _results(score: Score) -> list[Any]:
    """Return one entry for the cell's score, and one for each subset where it has several."""
    from huggingface_hub import EvalResult

    facts = facts_of(score)
    info = catalogue().tasks.get(score.task)
    versions = facts.versions
    engine = "mteb" if score.axis == "embedding" else "lm-eval"
    version = versions.get(engine) or "of an unknown version"
    common: dict[str, Any] = {
        "task_type": score.type,
        "dataset_type": (info.dataset if info else None) or "other",
        "dataset_revision": next((place.get("revision") for place in facts.data.values()), None),
        "metric_type": score.metric,
        "source_name": f"{engine} {version}, run by {TOOL}",
        "source_url": MTEB if engine == "mteb" else "https://github.com/EleutherAI/lm-evaluation-harness",
    }
    places = {
        (one.split, one.subset): one.value for one in score.metrics if one.name == "main_score" and one.part is None
    } or {(facts.splits[0] if facts.splits else "test", "default"): score.score}
    title = f"MTEB {score.task}" if engine == "mteb" else score.task
    return [
        EvalResult(
            **common,
            dataset_name=title if subset == "default" else f"{title} ({subset})",
            dataset_config=subset,
            dataset_split=split,
            metric_value=round(value, 4),
            metric_args=_interval(score, facts) if len(places) == 1 else None,
        )
        for (split, subset), value in places.items()
    ]


def _interval(score: Score, facts: Facts) -> Mapping[str, Any] | None:
    """Return the interval of a cell in one piece; that of several subsets is of their mean, and of none of them."""
    if score.ci_low is None or score.ci_high is None:
        return None
    found: dict[str, Any] = {"ci_low": round(score.ci_low, 4), "ci_high": round(score.ci_high, 4), "level": LEVEL}
    found |= {} if score.stderr is None else {"stderr": round(score.stderr, 4)}
    return found | {"items": score.n, "resamples": facts.resamples}


def _text(chosen: Chosen, scores: Mapping[str, Score]) -> str:
    lines = [
        f"# {chosen.name}",
        "",
        "| task | metric | score | 95 % interval | items |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, one in scores.items():
        within = "" if one.ci_low is None or one.ci_high is None else f"{one.ci_low:.2f} to {one.ci_high:.2f}"
        lines.append(f"| {label} | {one.metric} | {one.score:.2f} | {within} | {one.n} |")
    return "\n".join(lines) + "\n"
