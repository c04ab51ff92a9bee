"""`report.md` from a `Report`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.cells import PlannedTask
from harness.report.numbers import NOT_THERE, UNIT_NAMES, figure, interval_text, points, seeds_note, signed
from harness.report.sections import ability, differences, retention
from harness.report.tables import table
from harness.results.facts import facts_of
from harness.summary.views import AxisSummary, CellView, Mean, Standing, Summary, ordered_types
from harness.tasks.types import UNITS


def render(report: Summary, *, beside: Sequence[str] = ()) -> str:
    """Return the report as Markdown; `beside` holds further sections, which stand after the axes."""
    axes = [_axis(report, axis) for axis in report.axes]
    parts = [_head(report), *axes, *beside, _models(report), _problems(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: Summary) -> str:
    limited = f" - LIMITED to {', '.join(map(str, report.limits))} items a task" if report.limits else ""
    lines = [f"# {report.title}{limited}"]
    if report.description:
        lines += ["", report.description]
    if report.limits:
        lines += ["", "Limited scores are comparable with each other only, never with full or published ones."]
    if report.baseline:
        lines += ["", f"Differences are to **{report.baseline}**, over the tasks that both models have."]
    return "\n".join(lines)


def _axis(report: Summary, axis: AxisSummary) -> str:
    name = "Embedding" if axis.axis == "embedding" else "General ability"
    if not axis.models:
        return f"## {name}\n\nNo scores yet: {len(axis.tasks)} task(s) to run."
    left_out = len(axis.tasks) - len(axis.common)
    over = f"Means over the {len(axis.common)} of {len(axis.tasks)} tasks that every model with scores has."
    if left_out:
        missing = [task for task in axis.tasks if task not in axis.common and task not in axis.apart]
        if missing:
            over += f" Left out: {', '.join(missing[:10])}{', ...' if len(missing) > 10 else ''}."
    if axis.apart:
        over += f" In no mean: {'; '.join(f'{task} ({why})' for task, why in axis.apart.items())}."
    parts = [f"## {name}", *(retention.sentences(report) if axis.axis == "ability" else ())]
    parts += [_verdict(report, axis), _standings(report, axis), over]
    parts += [_summary(report, axis), "### By task", _by_task(report, axis)]
    parts += differences.section(report, axis)
    if axis.axis == "ability":
        parts += retention.section(report)
        parts += ["### Beside the scores", table(ability.HEADER, ability.rows(report)), *ability.notes(report)]
    return "\n\n".join(parts)


def _verdict(report: Summary, axis: AxisSummary) -> str:
    """Return the sentences a reader came for: which model, and how sure that is."""
    if not axis.standings:
        return "No task has a score from every model: nothing can be compared."
    leader, *others = axis.standings
    if not others:
        return f"Only **{leader.model}** has scores; there is nothing to compare it with."
    same = [one for one in others if one.to_leader is not None and one.to_leader.is_same_record]
    others = [one for one in others if one not in same]
    best = _names([leader, *same]) + (" (the same record)" if same else "")
    if not others:
        return f"{_names([leader, *same])} share their records: one measurement, nothing to compare."
    unknown = [one for one in others if one.to_leader is not None and one.to_leader.low is None]
    tied = [one for one in others if one.is_tied_with_leader and one not in unknown]
    tasks = f"{len(axis.common)} task(s)"
    if unknown and others[0] in unknown:
        first = f"{best} {'have' if same else 'has'} the highest mean over {tasks}; how sure that is cannot be said, "
        first += "since not every task has items to resample."
    elif tied:
        first = f"{best} and {_names(tied)} cannot be told apart on these {tasks}: the difference of their means may "
        first += "be chance."
    else:
        first = f"{best} {'are' if same else 'is'} the best of these {len(axis.standings)} models over {tasks}"
        first += f", {interval_text(others[0].to_leader, flip=True)} points ahead of the next, {others[0].model}."
    if report.limits:
        first += " That is on a LIMITED sample of each task."
    return first


def _names(standings: Sequence[Standing]) -> str:
    return " and ".join(f"**{one.model}**" for one in standings)


def _standings(report: Summary, axis: AxisSummary) -> str:
    rows = []
    for place, one in enumerate(axis.standings, 1):
        tied = one.to_leader is not None and one.to_leader.low is not None and one.is_tied_with_leader
        base = "baseline" if one.model == report.baseline else interval_text(one.to_baseline)
        is_same = one.model == report.baseline or (one.to_baseline is not None and one.to_baseline.is_same_record)
        counts = "" if is_same else f"{one.ahead} / {one.behind} / {one.undecided}"
        lead = "leader" if one.to_leader is None else interval_text(one.to_leader)
        within = NOT_THERE if one.best_rank is None else f"{one.best_rank} to {one.worst_rank}"
        rows.append([f"{'1=' if tied else place}", within, one.model, points(one.mean), lead, base, counts])
    if not rows:
        return ""
    to_base = f"to {report.baseline}" if report.baseline else "to the baseline"
    header = ["rank", "95% interval", "model", "mean", "to the leader", to_base, "tasks ahead / behind / undecided"]
    note = (
        "Differences in points [95% interval]. Tasks are fixed; within each, items are resampled, the same for both "
        "models. A task counts as ahead or behind when its own interval lies on one side of 0 (each at 95%, not "
        "corrected for the number of tasks). The interval of a rank counts the models that are clearly better or worse "
        "(5% for all comparisons of a model together); models whose intervals overlap are not told apart."
    )
    return f"{table(header, rows)}\n\n{note}"


def _summary(report: Summary, axis: AxisSummary) -> str:
    types = list(axis.by_type)
    header = ["model", "mean over tasks", "mean over types", "difference", *types]
    rows = []
    for model in axis.models:
        delta = axis.delta[model]
        difference = NOT_THERE if model == report.baseline or delta.value is None else _with_n(delta, signed)
        rows.append(
            [
                f"**{model}**" if model == report.baseline else model,
                _with_n(axis.over_tasks[model], points),
                _with_n(axis.over_types[model], points),
                difference,
                *(_with_n(axis.by_type[kind][model], points) for kind in types),
            ]
        )
    return table(header, rows)


def _with_n(mean: Mean, show: object) -> str:
    return f"{show(mean.value)} (n={mean.n})"  # type: ignore[operator]


def _by_task(report: Summary, axis: AxisSummary) -> str:
    tasks = [task for task in report.tasks if task.axis == axis.axis]
    header = ["type", "task", "metric", *report.models]
    rows = []
    for kind in ordered_types(tasks):
        for task in (one for one in tasks if one.type == kind):
            views = [report.cells[model, task.name] for model in report.models]
            rows.append([kind, _named(task), _metric_name(views), *(_cell(report, view) for view in views)])
    units = "; ".join(f"{kind}: {UNITS[kind]}" for kind in ordered_types(tasks) if kind in UNITS)
    legend = "Score in points [95% interval] (paired difference to the baseline [95% interval]); - missing; n/a."
    if units:
        legend += f" Intervals: over items, which are for {units}."
    return f"{table(header, rows)}\n\n{legend}"


def _named(task: PlannedTask) -> str:
    return f"{task.label} (limit {task.limit})" if task.limit else task.label


def _cell(report: Summary, view: CellView) -> str:
    if view.status == "error":
        return "error"
    if view.score is None:
        return "n/a" if view.status == "n/a" else NOT_THERE
    score = view.score
    text = figure(score.score, score.unit)
    if score.ci_low is not None:
        text += f" [{figure(score.ci_low, score.unit)}, {figure(score.ci_high, score.unit)}]"
    text += ability.chance_note(score) + seeds_note(score)
    difference = report.differences.get((view.cell.model, view.cell.task.name))
    return f"{text} ({interval_text(difference, unit=score.unit)})" if difference else text


def _metric_name(views: Sequence[CellView]) -> str:
    """Return what a task is scored by, with its unit where that is not points."""
    name = views[0].cell.task.info.main_score if views else ""
    units = {UNIT_NAMES[view.score.unit] for view in views if view.score} - {""}
    return f"{name} ({', '.join(sorted(units))})" if units else name


def _models(report: Summary) -> str:
    rows = []
    for name in report.models:
        candidate = report.candidates[name]
        if candidate is None:
            rows.append([name, "not there", NOT_THERE, NOT_THERE, NOT_THERE])
            continue
        source = candidate.weights.source if candidate.weights else "its own package"
        if candidate.adapter:
            source += f" + adapter {candidate.adapter.source}"
        fingerprint = candidate.fingerprint()
        selected = candidate.selected_on or ("nothing: stock" if not candidate.directory else "not said")
        note = candidate.note or ""
        rows.append([name, candidate.kind, source, (fingerprint or "unknown")[:12], f"{selected}; {note}".strip("; ")])
    header = ["model", "encoder", "weights", "fingerprint", "selected on; note"]
    return "\n\n".join(["## Models", table(header, rows), _provenance(report)])


def _provenance(report: Summary) -> str:
    made = [facts_of(view.score) for view in report.cells.values() if view.score]
    if not made:
        return ""
    lines = []
    for title, values in (
        ("Versions", {_versions(one.versions) for one in made}),
        ("Source", {one.git or "installed wheel" for one in made}),
        ("Dtype", {str(one.encoder.get("dtype", "its own")) for one in made}),
        ("Prompts", {_prompts(one.prompts) for one in made}),
    ):
        lines.append(f"- {title}: {'; or '.join(sorted(values))}")
    return "## What the scores were made with\n\n" + "\n".join(lines)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items() if number != "absent")


def _prompts(prompts: dict[str, str | None]) -> str:
    said = [f"{role}: {prompt!r}" if prompt else f"{role}: none" for role, prompt in prompts.items()]
    return ", ".join(said) or "none"


def _problems(report: Summary) -> str:
    views = report.cells.values()
    errors = [f"- {v.cell}: {v.failure.error}: {_first_line(v.failure.message)}" for v in views if v.failure]
    missing = _grouped([(str(v.cell), v.reason or "") for v in views if v.status == "missing"])
    parts = []
    if errors:
        parts.append("## Errors\n\n" + "\n".join(errors) + "\n\n`harness inspect CELL` shows the traceback.")
    if missing:
        parts.append("## Missing\n\n" + "\n".join(missing))
    if report.unverified:
        parts.append("## Unverified sources\n\n" + "\n".join(f"- {line}" for line in report.unverified))
    if report.warnings:
        parts.append("## Remarks\n\n" + "\n".join(f"- {line}" for line in report.warnings))
    return "\n\n".join(parts)


def _grouped(pairs: Sequence[tuple[str, str]]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for cell, reason in pairs:
        by_reason.setdefault(reason, []).append(cell)
    return [
        f"- {', '.join(cells[:6])}{f' and {len(cells) - 6} more' if len(cells) > 6 else ''}: {reason}"
        for reason, cells in by_reason.items()
    ]


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
