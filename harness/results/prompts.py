"""`prompts: {variants: [...]}`: a model is scored under each, and shown once, with the score under its own prompts.

Planned and run, each variant is a candidate `name@prompt-1`, ... with cells and keys of its own. Reports see one model
(`under_main`), whose score, interval and items are those under its own prompts; the others stand beside it as a range,
and nothing is averaged over them. General ability asks its questions in its own way: it is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from harness.candidates.candidate import Candidate
from harness.plan.cells import Plan
from harness.results.facts import facts_of
from harness.results.records import PromptedScore, Result, Score


def under_main(plan: Plan, results: Mapping[str, Result]) -> tuple[Plan, dict[str, Result]]:
    """Return the plan and results with the variants of each model's prompts beside its own score.

    A variant without a score is missing from the range, which says of how many it is.
    """
    mains: dict[str, list[str]] = {}
    for one in plan.candidates:
        if isinstance(one, Candidate) and one.prompt_of is not None:
            mains.setdefault(one.prompt_of, []).append(one.name)
    if not mains:
        return plan, dict(results)
    others = {name for variants in mains.values() for name in variants}
    by_place = {(cell.model, cell.task.name): str(cell) for cell in plan.cells}
    kept = {str(cell): results[str(cell)] for cell in plan.cells if cell.model not in others and str(cell) in results}
    cells = tuple(cell for cell in plan.cells if cell.model not in others)
    for cell in cells:
        score = kept.get(str(cell))
        if cell.model not in mains or cell.task.axis == "ability" or not isinstance(score, Score):
            continue
        each = [(name, results.get(by_place[name, cell.task.name])) for name in mains[cell.model]]
        variants = tuple(replace(one, model=name) for name, one in each if isinstance(one, Score))
        plain = {one.name: getattr(score, one.name) for one in fields(Score) if one.init}
        kept[str(cell)] = PromptedScore(**plain, variants=variants, wanted=len(each))
    candidates = tuple(one for one in plan.candidates if one.name not in others)
    return replace(plan, cells=cells, candidates=candidates), kept


def distinct(score: PromptedScore) -> int:
    """Return how many different prompts a score was made under, the model's own among them.

    Two settings may come to one of a task: what a variant says of documents or of other tasks is not read there, and an
    empty prompt is what a model without prompts has.
    """
    return len({_used(one) for one in (score, *score.variants)})


def _used(score: Score) -> tuple[object, ...]:
    prompts = facts_of(score).prompts
    return tuple(sorted((role, text or "") for role, text in prompts.items())) or (score.key,)
