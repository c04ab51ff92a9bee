"""What a reader must know before believing the scores: unvouched sources, what the data are like, texts cut; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from harness.plan.cells import Plan
from harness.results.damage import AGAIN
from harness.results.facts import PlaceFacts, facts_of, left_out_said, off_count_said
from harness.results.records import SeededScore
from harness.summary.views import CellView


def unverified(views: Iterable[CellView]) -> tuple[str, ...]:
    """Return a line for every place of data or weights that nothing vouches for."""
    found: dict[str, None] = {}
    for view in views:
        if view.score is None:
            continue
        facts = facts_of(view.score)
        for name, place in facts.data.items():
            if place["vouched"] is None:
                found[f"{name}: {place['source']} (local, unverified)"] = None
        for what, files in (("weights", facts.weights), ("adapter", facts.adapter)):
            if files and files["vouched"] is None:
                why = "local, unverified" if _is_local(files) else "unpinned"
                found[f"{view.cell.model}: {what} from {files['source']} ({why})"] = None
    return tuple(found)


def _is_local(place: PlaceFacts) -> bool:
    """Whether files were a folder of this machine; records of early releases say it in the words of their source."""
    return place.get("kind", place["source"]).startswith(("folder", "local hub"))


def off_count(views: Iterable[CellView]) -> tuple[str, ...]:
    """Return the tasks whose data have another number of items or documents than the benchmark's own."""
    scored = [view for view in views if view.score is not None]
    found = {view.cell.task.name: None for view in scored if view.score and facts_of(view.score).is_off_count}
    return tuple(found)


def warnings(plan: Plan, views: Iterable[CellView]) -> tuple[str, ...]:
    """Return a line for all that must be known of a task's data, and of every cell what was cut, halved or left out."""
    lines: dict[str, None] = {}
    for task in plan.tasks:
        lines |= {f"{task.name}: {said}": None for said in task.remarks}
        if not task.is_official_split:
            lines[f"{task.name} is run on {', '.join(task.splits)}, which MTEB does not evaluate on"] = None
    held = list(views)
    lines |= dict.fromkeys(_not_applicable(held))
    for view in held:
        if view.score is None:
            continue
        for one in view.score.parts if isinstance(view.score, SeededScore) else (view.score,):
            if lost := facts_of(one).lost:
                lines[f"{one.model}/{view.cell.task.label}: {lost}; {AGAIN}"] = None
        facts = facts_of(view.score)
        lines |= {f"{view.cell.task.name}: {said}": None for said in facts.data_remarks}
        lines |= {f"{view.cell.task.name}: {said}": None for said in off_count_said(facts)}
        lines |= {f"{view.cell}: {said}": None for said in left_out_said(facts)}
        counts = facts.counts
        for what, said in (
            ("truncated_texts", "text(s) were cut at the length limit"),
            ("empty_texts", "text(s) had no token and were embedded as the end-of-text token or special tokens"),
            ("out_of_memory", "time(s) the batch was halved for lack of GPU memory"),
        ):
            if counts.get(what):
                shares = cut_shares(counts) if what == "truncated_texts" else ""
                lines[f"{view.cell}: {int(counts[what])} {said}{shares}"] = None
    return tuple(lines)


def _not_applicable(views: Iterable[CellView]) -> Iterator[str]:
    """Yield a line for each model with scores on an axis that is not applicable to the whole of it."""
    told: dict[tuple[str, str], list[CellView]] = {}
    for view in views:
        told.setdefault((view.cell.model, view.cell.task.axis), []).append(view)
    for (model, axis), own in told.items():
        apart = [view for view in own if view.status == "n/a"]
        if apart and len(apart) < len(own):
            yield (
                f"{model}: n/a for {len(apart)} of {len(own)} {axis} task(s), since {apart[0].reason}; "
                "no mean over tasks has it"
            )


def cut_shares(counts: Mapping[str, float]) -> str:
    """Return which share of a cell's texts was cut and of their tokens lost, in brackets; empty where not counted."""
    texts, lost = counts.get("unique_texts", 0), counts.get("cut_tokens", 0)
    if not texts:
        return ""
    said = f"{100 * counts['truncated_texts'] / texts:.1f}% of the texts"
    if lost:
        said += f", {100 * lost / (counts.get('tokens', 0) + lost):.1f}% of the tokens"
    return f" ({said})"
