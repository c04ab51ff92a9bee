"""`seeds: n`: a model that draws random numbers is run n times, and shown once.

Planned and run, it is n candidates `name@seed-0`, `name@seed-1`, ..., each with cells and keys of its own; the first
has the keys of the same model without `seeds`, so that what was run is not run again. The seed that draws a subsample
(`limit`) stays the suite's: all are scored on the same items. Reports see one model (`fold`): its score is the mean
over the seeds, its interval is over items, and the spread between the seeds stands beside it. General ability does not
hang on how rationales are drawn: it is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from statistics import fmean

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.digests import sha256_text
from harness.plan.cells import Cell, Plan
from harness.results.records import Failure, ItemsFile, Metric, Result, Score, SeededScore
from harness.results.resampled import values_of
from harness.results.store import Store
from harness.results.stored_items import OpenItems
from harness.statistics.conventions import POINTS
from harness.statistics.resampling import averaged, interval_of_values


def fold(plan: Plan, results: Mapping[str, Result], store: Store) -> tuple[Plan, dict[str, Result]]:
    """Return the plan and results with each model's seeds as one model; both as they are where none has seeds.

    A cell with a seed that failed has failed; one with a seed that is not there is missing: never a mean over fewer.
    """
    groups = _groups(plan.candidates)
    if not groups:
        return plan, dict(results)
    cells: list[Cell] = []
    kept = dict(results)
    first_of = {members[0].name: name for name, members in groups.items()}
    others = {one.name for members in groups.values() for one in members[1:]}
    by_place = {(cell.model, cell.task.name): cell for cell in plan.cells}
    for cell in plan.cells:
        if cell.model in others:
            continue
        name = first_of.get(cell.model)
        if name is None:
            cells.append(cell)
            continue
        members = [by_place[one.name, cell.task.name] for one in groups[name]]
        merged, result = _merge(name, members, [kept.pop(str(one), None) for one in members], store)
        cells.append(merged)
        if result is not None:
            kept[str(merged)] = result
    candidates = tuple(
        replace(one, name=first_of[one.name]) if one.name in first_of else one
        for one in plan.candidates
        if one.name not in others
    )
    return replace(plan, cells=tuple(cells), candidates=candidates), kept


def _groups(candidates: Sequence[Candidate | MissingCandidate]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for one in candidates:
        if isinstance(one, Candidate) and one.seed_of is not None:
            found.setdefault(one.seed_of, []).append(one)
    return found


def _merge(
    name: str, cells: Sequence[Cell], results: Sequence[Result | None], store: Store
) -> tuple[Cell, Result | None]:
    first = cells[0]
    keys = list(dict.fromkeys(cell.key for cell in cells))
    key = None if None in keys else "+".join(map(str, keys))
    cell = replace(first, model=name, key=key)
    failed = next(((at, one) for at, one in enumerate(results) if isinstance(one, Failure)), None)
    if failed is not None:
        at, one = failed
        return cell, replace(one, model=name, message=f"{cells[at].model}: {one.message}")
    scores = [one for one in results if isinstance(one, Score)]
    if len(scores) < len(cells):
        lacking = f"{len(cells) - len(scores)} of {len(cells)} seeds not run yet"
        return replace(cell, reason=cell.reason or lacking), None
    if len(keys) == 1:  # one measurement, whatever the seed
        return cell, replace(scores[0], model=name)
    return cell, mean_over_seeds(name, scores, store)


def mean_over_seeds(name: str, scores: Sequence[Score], store: Store) -> SeededScore:
    """Return the score of model `name` from those of its seeds: mean, interval over items."""
    first = scores[0]
    files = [one.items for one in scores if one.items is not None]
    items = None
    if len(files) == len(scores):
        digest = sha256_text("\n".join(file.sha256 for file in files))
        items = ItemsFile(name=files[0].name, sha256=digest, rows=files[0].rows, unit=files[0].unit)
    plain = {one.name: getattr(first, one.name) for one in fields(Score) if one.init}
    said = {"n": len(scores), "scores": [one.score for one in scores]}
    plain |= {
        "model": name,
        "score": fmean(one.score for one in scores),
        "items": items,
        "metrics": _mean_metrics(scores),
        "provenance": first.provenance | {"seeds": said},
        "parts": tuple(scores),
    }
    mean = SeededScore(**plain)
    (values,) = values_of([mean], OpenItems(store)) if items else (None,)
    found = None if values is None else interval_of_values(averaged(values))
    scale = POINTS if first.unit == "points" else 1.0
    return replace(
        mean,
        stderr=found.stderr * scale if found else None,
        ci_low=found.low * scale if found else None,
        ci_high=found.high * scale if found else None,
    )


def _mean_metrics(scores: Sequence[Score]) -> tuple[Metric, ...]:
    """Return the means of the metrics that every seed has."""
    by_name = [{replace(one, value=0.0): one.value for one in score.metrics} for score in scores]
    common = [name for name in by_name[0] if all(name in one for one in by_name)]
    return tuple(replace(name, value=fmean(one[name] for one in by_name)) for name in common)
