"""Whether rationales earn their cost: a model against its own ablations, on the tasks that both have. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.candidates.rule import writer_said
from harness.report.numbers import between, signed
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.statistics.difference import Difference, mean_difference
from harness.summary.views import Comparer, Summary

ABLATIONS = {
    "none": "text and its own rationale",
    "shuffled-rationale": "text and another text's rationale",
    "fixed-rationale": "text and as many tokens of a fixed text",
    "text-only": "text alone, the same prompt",
    "rationale-only": "rationale alone",
    "mean-pool": "text alone, no prompt",
}
"""What the vector of each variant is made of."""
OF_A_VARIANT = ("kind", "options", "scoring_version", "writer", "seed_index")
"""In an identity, what variants of one model differ in, or what is compared by itself; all else is another encoder."""
PROMPTED = ("prompts", "instruction")
"""Of an entry; they stand in no identity, since they go into the key of each cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of making the vector, compared with text and own rationale."""

    ablation: str
    model: str
    made_of: str
    n: int
    """Tasks that both have."""
    mean: float | None
    """Over these, in points."""
    own_mean: float | None
    """Of `none` over the same tasks."""
    gain: Difference | None
    """`none` minus this one; None for `none` itself or without common tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Whether the rationales of one model earn their cost."""

    model: str
    sentence: str
    is_earned: bool | None
    """None: not decided, or not measured."""
    variants: tuple[Variant, ...]


def credits_of(summary: Summary, compare: Comparer) -> list[Credit]:
    """Return a verdict for every model that writes rationales, each variant compared on the tasks both have."""
    found = []
    identities = {model: _identity(summary, model) for model in summary.models}
    for model, identity in identities.items():
        if identity is None or identity["kind"] != "rationale" or identity["options"].get("ablation") != "none":
            continue
        if "fixed_rationale" in identity:
            continue  # it writes none
        candidate = summary.candidates.get(model)
        family = _family(model, identities)
        chosen = {ablation: _most_compared(summary, model, others) for ablation, others in family.items()}
        variants = [_variant(summary, model, one, ablation=kind, compare=compare) for kind, one in chosen.items()]
        credit = _credit(model, variants)
        further = [_doubled(family[ablation], one) for ablation, one in chosen.items() if len(family[ablation]) > 1]
        if candidate is not None and candidate.writer is not None:
            further.insert(0, f"They are written by {writer_said(candidate.writer)}.")
        found.append(replace(credit, sentence=" ".join((credit.sentence, *further))))
    return found


def _family(model: str, identities: Mapping[str, Mapping[str, Any] | None]) -> dict[str, list[str]]:
    """Return ablation -> the models that are this one's, in the order of `ABLATIONS`; `none` is the model itself."""
    own = identities[model]
    assert own is not None  # noqa: S101 - asked before
    found: dict[str, list[str]] = {one: [] for one in ABLATIONS}
    for other, its in identities.items():
        ablation = None if its is None else _variant_of(own, its)
        if ablation in ABLATIONS:
            found[str(ablation)].append(other)
    return {ablation: others for ablation, others in (found | {"none": [model]}).items() if others}


def _most_compared(summary: Summary, model: str, others: Sequence[str]) -> str:
    """Return of models that are one variant the one with most tasks in common, of several the first of the suite."""
    return max(others, key=lambda other: len(_pairs(summary, model, other)))


def _doubled(others: Sequence[str], compared: str) -> str:
    *most, last = others
    return f"{', '.join(most)} and {last} are the same variant; {compared} is compared."


def _credit(model: str, variants: Sequence[Variant]) -> Credit:
    gains = {one.ablation: one for one in variants if one.gain is not None}
    shuffled = gains.get("shuffled-rationale")
    if shuffled is None:
        sentence = (
            f"Whether the rationales of {model} earn their cost is not known: no model like it with "
            "`ablation: shuffled-rationale` has scores on the same tasks."
        )
        return Credit(model=model, sentence=sentence, is_earned=None, variants=tuple(variants))
    against = f"{_size(shuffled)} against the rationale of another text"
    over = f"over {shuffled.n} task{'s' if shuffled.n != 1 else ''}"
    texts = [gains[one] for one in ("fixed-rationale", "text-only", "mean-pool") if one in gains]
    beaten = [one for one in texts if _sign(one) != 1]
    earned: bool | None = None
    if _sign(shuffled) == 1 and not beaten:
        earned = True
        sentence = f"The rationales of {model} earn their cost: {against} {over}{_listed(texts)}."
    elif _sign(shuffled) == 1:
        earned = False if any(_sign(one) == -1 for one in beaten) else None
        sentence = f"The rationales of {model} carry something ({against} {over}), but do not earn their cost"
        sentence += f"{_listed(texts)}."
    elif _sign(shuffled) == -1:
        earned = False
        sentence = f"The rationales of {model} do harm: {against} {over}{_listed(texts)}."
    else:
        sentence = f"The rationales of {model} are not shown to earn their cost: {against} {over}{_listed(texts)}."
    return Credit(model=model, sentence=sentence, is_earned=earned, variants=tuple(variants))


def _listed(texts: Sequence[Variant]) -> str:
    return "".join(f"; {_size(one)} against {one.made_of}" for one in texts)


def _size(one: Variant) -> str:
    assert one.gain is not None  # noqa: S101 - only variants with a gain are compared
    return f"{gain_text(one.gain)} points"


def gain_text(gain: Difference) -> str:
    """Return `+1.23 [0.45, 2.01]`, in points."""
    return f"{signed(gain.value)} {between(gain.low, gain.high, 'points')}".rstrip()


def _sign(one: Variant) -> int:
    """Return 1 or -1 where the interval of its gain lies on one side of 0, else 0."""
    gain = one.gain
    if gain is None or not gain.is_clear:
        return 0
    return 1 if gain.value > 0 else -1


def _variant(summary: Summary, model: str, other: str, *, ablation: str, compare: Comparer) -> Variant:
    pairs = _pairs(summary, model, other)
    gain = None if ablation == "none" else mean_difference([compare(own, its) for own, its in pairs])
    return Variant(
        ablation=ablation,
        model=other,
        made_of=ABLATIONS[ablation],
        n=len(pairs),
        mean=_mean([its.score for _, its in pairs]),
        own_mean=_mean([own.score for own, _ in pairs]),
        gain=gain,
    )


def _pairs(summary: Summary, model: str, other: str) -> list[tuple[Score, Score]]:
    """Return the scores of both on every task that both have."""
    return [
        (own, its)
        for task in summary.tasks
        if task.axis == "embedding"
        and (own := summary.cells[model, task.name].score) is not None
        and (its := summary.cells[other, task.name].score) is not None
        and own.unit == its.unit == "points"
    ]


def _identity(summary: Summary, model: str) -> dict[str, Any] | None:
    """Return what changes a model's vectors, its prompts too where it has any; None where nobody knows."""
    candidate = summary.candidates.get(model)
    if candidate is not None and (identity := candidate.identity()) is not None:
        prompts = {name: one for name in PROMPTED if (one := getattr(candidate.spec, name, None))}
        return identity | prompts
    scores = [view.score for (name, _), view in summary.cells.items() if name == model and view.score]
    return next((one for score in scores if (one := facts_of(score).identity)), None)


def _variant_of(own: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return which ablation of `own` another model is; None where it is no variant of it.

    A variant differs in what its vector is made of and in nothing else: weights, adapter, trained tokens, window, size
    and whatever else an identity may hold are the same.
    """
    if other["kind"] not in ("mean-pool", "rationale") or _encoder(own) != _encoder(other):
        return None
    if other["kind"] == "mean-pool":
        both = own["options"].keys() & other["options"].keys()  # what is said of rationales means nothing to it
        is_like = all(own["options"][name] == other["options"][name] for name in both)
        return "mean-pool" if is_like else None
    is_like = own.get("writer") == other.get("writer") and _but_ablation(own) == _but_ablation(other)
    return str(other["options"].get("ablation")) if is_like else None


def _encoder(identity: Mapping[str, Any]) -> str:
    return _plain({name: value for name, value in identity.items() if name not in OF_A_VARIANT and value is not None})


def _but_ablation(identity: Mapping[str, Any]) -> str:
    return _plain({name: value for name, value in identity["options"].items() if name != "ablation"})


def _plain(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
