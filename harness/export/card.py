"""A model card: README.md whose `model-index` has every embedding score, its interval in the metric's `args`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.export.chosen import LEVEL, TOOL, Chosen, Exported
from harness.published.card import INDEX, place_of
from harness.results.facts import Facts, facts_of, off_count_said
from harness.results.records import Score
from harness.tasks.catalogue import catalogue

README = Path("README.md")
MTEB = "https://github.com/embeddings-benchmark/mteb"


def card(chosen: Chosen, existing: str | None = None) -> Exported:
    """Return the card.

    Args:
        chosen: the scores; points of both axes go in; limited ones, those over other data than the benchmark's or a
            part of a group, and those in another unit do not.
        existing: a card that is there already: its text, the rest of its head and its results of other tasks stay.

    Raises:
        InputError: the existing card cannot be read.
    """
    from huggingface_hub import ModelCardData

    left = tuple(f"{label}: {why}" for label, one in chosen.scores.items() if (why := _why_not(label, one)))
    scores = {label: one for label, one in chosen.scores.items() if not _why_not(label, one)}
    results = [found for one in scores.values() for found in _results(one)]
    if not results:
        return Exported({}, left)
    if existing is not None:
        content, said = _into(existing, chosen.name, results)
        return Exported({README: content.encode("utf-8")}, left, said)
    data = ModelCardData(tags=["mteb"]) if any(map(_is_of_mteb, scores.values())) else ModelCardData()
    data[INDEX] = [{"name": chosen.name, "results": results}]
    content = f"---\n{data.to_yaml()}\n---\n\n{_text(chosen, scores)}"
    return Exported({README: content.encode("utf-8")}, left)


def _into(existing: str, name: str, results: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Return a card with results put into it, and what became of those it has."""
    import yaml
    from huggingface_hub import ModelCard

    try:
        held = ModelCard(existing, ignore_metadata_errors=False)
        index = (yaml.safe_load(_head_of(existing)) or {}).get(INDEX) or []
    except (
        ValueError,
        TypeError,
        AttributeError,
        yaml.YAMLError,
    ) as error:  # of a head that the hub's client cannot take
        raise unreadable(error) from error
    mine = _own_entry(index, name)
    there = list(mine["results"]) if mine else []
    places = {place_of(one) for one in results}
    kept = [one for one in there if place_of(one) not in places]
    entry = {**(mine or {}), "name": name, "results": [*kept, *results]}
    held.data.eval_results = held.data.model_name = None  # of which the client would make an index of its own
    held.data[INDEX] = [entry if one is mine else one for one in index] + ([] if mine else [entry])
    said = f"{README}: {len(kept)} result(s) of other tasks kept, {len(there) - len(kept)} replaced"
    return str(held), (said,) if there else ()


def unreadable(error: Exception) -> InputError:
    """Return the error of a card that is there and cannot be read."""
    return InputError([f"{README}: the card that is there cannot be read ({error}); mend or move it"])


def _head_of(card: str) -> str:
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    found = REGEX_YAML_BLOCK.search(card)
    return found[2] if found else ""


def _own_entry(index: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Return the entry of a model: the only one, whatever it is called, or of several the one of its name."""
    return next((one for one in index if len(index) == 1 or one["name"] == name), None)


def _why_not(label: str, score: Score) -> str | None:
    if score.limit:
        return f"limited to {score.limit} items"
    if others := off_count_said(facts_of(score)):
        return others[0]
    if score.axis == "ability" and label != score.task:
        return f"a part of {score.task}, which a reader would take for the whole"
    return None if score.unit == "points" else f"in {score.unit}, and a card has points"


def _is_of_mteb(score: Score) -> bool:
    """Whether it is on one of mteb's tasks, which a user's own is not, though mteb has scored it."""
    info = catalogue().tasks.get(score.task)
    return info is not None and info.engine == "mteb"


def _results(score: Score) -> list[dict[str, Any]]:
    """Return one entry for the cell's score, and one for each subset where it has several.

    The hub's client makes each by itself: given several, it joins those of one repository, type and split, whichever
    task they are of.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

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
    title = f"MTEB {score.task}" if _is_of_mteb(score) else score.task
    found = [
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
    return [eval_results_to_model_index(TOOL, [one])[0]["results"][0] for one in found]


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
