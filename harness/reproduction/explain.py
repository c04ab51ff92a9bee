"""Why a row is apart: what is seen without running anything, then one change after another until one explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.published.rows import MAIN, Published, PublishedRow
from harness.reproduction.trials import About, Trial
from harness.reproduction.verdict import Rule, Verdict, value_here, values_of
from harness.results.facts import Facts, facts_of
from harness.results.records import Result, Score
from harness.tasks.types import ranks_documents

FACTORS = (
    "version", "revision", "split or subset", "metric", "prompt", "window", "batch", "dtype", "pooling", "similarity",
    "ties",
)  # fmt: skip
"""All that is looked at; what was not tried of it is said with why."""
RunTrial = Callable[[Trial], Result | None]
"""Scores one task with one thing changed; None where it could not be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One change, and what a row came to with it."""

    factor: str
    says: str
    here: float | None
    """In points; None where it could not be run."""
    verdict: Verdict
    """As of the row; `failed` where it could not be run."""
    why: str | None = None
    """Why it could not be run."""

    @property
    def explains(self) -> bool:
        """Whether the row is no longer apart."""
        return self.verdict in ("equal", "within")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What was found out about a row that is apart."""

    row: PublishedRow
    differs: tuple[str, ...]
    """What the source says of itself that is another thing here."""
    tried: tuple[Tried, ...]
    """In order; the last one explains it, where one does."""
    not_tried: tuple[str, ...]
    """`factor: why`."""

    @property
    def found(self) -> Tried | None:
        """The change that brings the row within the tolerance; None where none was found."""
        return self.tried[-1] if self.tried and self.tried[-1].explains else None


def at_no_cost(row: PublishedRow, score: Score, rule: Rule) -> Tried | None:
    """Return another figure of the same cell that is the published one to its printed digits; None where none is."""
    others = values_of(score, row.split, row.subset)
    for name, value in others.items():
        if name not in (MAIN, row.metric, score.metric) and rule.is_equal(row.value, value):
            return Tried(factor="metric", says=f"it is {name} here, not {score.metric}", here=value, verdict="equal")
    for split, subset in dict.fromkeys((one.split, one.subset) for one in score.metrics):
        elsewhere = values_of(score, split, subset).get(row.metric)
        if (split, subset) == (row.split, row.subset) or elsewhere is None:
            continue
        if rule.is_equal(row.value, elsewhere):
            says = f"it is {split}/{subset} here, not {row.split}/{row.subset}"
            return Tried(factor="split or subset", says=says, here=elsewhere, verdict="equal")
    return None


def explained(
    about: About,
    score: Score,
    rule: Rule,
    published: Published,
    *,
    trials: Sequence[Trial],
    run: RunTrial,
    most: int,
) -> list[Explanation]:
    """Return an explanation of each row of a task that is apart; the rows share the trials.

    Args:
        about: the task, its rows and its model.
        score: of the task, as it is here.
        rule: when two figures are the same.
        published: where the rows are from.
        trials: what may be tried, in order.
        run: scores the task with one thing changed.
        most: so many trials at most.
    """
    found: dict[str, list[Tried]] = {}
    for row in about.rows:
        free = at_no_cost(row, score, rule)
        found[str(row)] = [free] if free else []
    made = 0
    for trial in trials[:most]:
        open_rows = [row for row in about.rows if not _is_found(found[str(row)])]
        if not open_rows:
            break
        result = run(trial)
        made += 1
        for row in open_rows:
            found[str(row)].append(_tried(trial, row, result, rule))
    return [
        Explanation(
            row=row,
            differs=tuple(_differs(row, published, facts_of(score))),
            tried=tuple(found[str(row)]),
            not_tried=()
            if _is_found(found[str(row)])
            else tuple(_not_tried(about, row, trials[made:], found[str(row)])),
        )
        for row in about.rows
    ]


def _is_found(tried: Sequence[Tried]) -> bool:
    return bool(tried) and tried[-1].explains


def _tried(trial: Trial, row: PublishedRow, result: Result | None, rule: Rule) -> Tried:
    at = replace(row, split=trial.split) if trial.split else row
    here = value_here(at, result) if isinstance(result, Score) else None
    if here is None:
        why = "it could not be run" if result is None or isinstance(result, Score) else result.message.split("\n")[0]
        return Tried(factor=trial.factor, says=trial.says, here=None, verdict="failed", why=why)
    return Tried(factor=trial.factor, says=trial.says, here=here, verdict=rule.judge(row.value, here))


def _differs(row: PublishedRow, published: Published, facts: Facts) -> Iterator[str]:
    """Yield what is known to be another thing there than here."""
    here = facts.versions.get("mteb")
    if row.mteb_version and here and row.mteb_version != here:
        yield f"version: mteb {row.mteb_version} there, {here} here"
    own = (facts.weights or {}).get("revision")
    if published.revision and own and published.revision != own:
        yield f"revision: of the model {published.revision} there, {own} here"
    data = {place.get("revision") for place in facts.data.values()} - {None}
    if row.data_revision and data and row.data_revision not in data:
        yield f"revision: of the data {row.data_revision} there, {', '.join(sorted(map(str, data)))} here"
    for name in ("batch_tokens", "dtype", "max_text_tokens", "similarity"):
        there, now = row.settings.get(name), facts.encoder.get(name)
        if there is not None and now is not None and there != now:
            yield f"{name}: {there} there, {now} here"


def _not_tried(about: About, row: PublishedRow, left: Sequence[Trial], tried: Sequence[Tried]) -> Iterator[str]:
    """Yield each factor that was not tried to the end, and why."""
    why = {
        "version": _of_version(row.mteb_version, about.facts.versions.get("mteb", "another")),
        "revision": f"of the data {row.data_revision or 'not said'}: what is read is what is here",
        **_why_none(about),
    }
    waiting: dict[str, list[str]] = {}
    for trial in left:
        waiting.setdefault(trial.factor, []).append(trial.says)
    done = {one.factor for one in tried}
    for factor in FACTORS:
        if factor in waiting:
            yield f"{factor}: {len(waiting[factor])} more within --explain ({waiting[factor][0]}, ...)"
        elif factor in why and factor not in done:
            yield f"{factor}: {why[factor]}"


def _of_version(there: str | None, here: str) -> str:
    if there is None:
        return f"the source does not say which mteb wrote the row; {here} scored it here"
    if there == here:
        return f"mteb {there} wrote the row and scored it here"
    return f"mteb {there} is not the one installed; run the row in an environment of its own that has it"


def _why_none(about: About) -> Mapping[str, str]:
    """Return why there may be no trial of a factor."""
    if not about.has_own_entry:
        same = "a candidate directory is read as its candidate.yaml says; give its entry in braces to change it"
        return dict.fromkeys(("prompt", "window", "batch", "dtype", "pooling", "similarity"), same) | _ties(about)
    has = type(about.spec).model_fields
    has_none = {
        factor: f"the encoder's entry has no `{name}`"
        for factor, name in (("prompt", "prompts"), ("dtype", "dtype"), ("similarity", "similarity"))
        if name not in has
    }
    return {
        "split or subset": "the task has no other split that is published",
        "pooling": "the encoder's only way, or its files are not in a folder with one pooling module",
        "window": "texts are read whole, or none was cut and no shorter length is common",
        **has_none,
        **_ties(about),
    }


def _ties(about: About) -> dict[str, str]:
    if not ranks_documents(about.info.type):
        return {}
    rule = about.facts.search.get("ties", "by id")
    return {"ties": f"which of equal scores comes first is {rule} here, and mteb's own order is another"}
