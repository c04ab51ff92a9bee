"""`harness reproduce` as a story: the published rows, the run, how they stand, and for those apart what explains them.

The model is run as any suite's: cells that are stored already are not run again. Trials are run into folders of their
own below `reproduce/` in the results, since some of what they change is in no cell's key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.identify import identify
from harness.candidates.named import NamedEntry
from harness.digests import digest
from harness.encoders.weights import loadable
from harness.errors import ExitCode, HarnessError, InputError, worst
from harness.evaluation.events import Remark, Reporter
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run as run_suite
from harness.published.rows import Published
from harness.reproduction.asked import Asked, Selection
from harness.reproduction.explain import Explanation, explained
from harness.reproduction.pooling import with_pooling
from harness.reproduction.trials import About, Trial, trials
from harness.reproduction.verdict import Compared, Rule, compared
from harness.results.facts import facts_of
from harness.results.outcome import RunOutcome
from harness.results.records import Failure, Result, Score
from harness.suite.load import model_of
from harness.suite.model_entries import VARIANTS, SentenceTransformersSpec
from harness.suite.schema import Suite
from harness.tasks.catalogue import catalogue
from harness.wording import duration

TRIALS = "reproduce"
"""Folder of the trials' results."""
SEVERAL = ("prompt_variants", "dimensions", "precision", "rescore")
"""Keys of an entry that make further models of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of it."""

    published: Published
    rule: Rule
    rows: tuple[Compared, ...]
    """In the order of the source."""
    left: tuple[str, ...]
    """Rows that were not run again, and why."""
    explanations: tuple[Explanation, ...]
    """Of the rows that are apart."""
    exit_code: ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for."""

    model: NamedEntry
    published: Published
    selection: Selection
    rule: Rule
    most_trials: int
    """A task; 0: nothing is tried."""
    own_trials: tuple[Trial, ...] = ()
    """Of the user's."""


def as_published(model: NamedEntry) -> NamedEntry:
    """Return an entry without what makes several models of it: a published row is of whole vectors and of one prompt.

    Its variants of the prompts would be run beside it, and beside every trial, to be shown nowhere.
    """
    entry = {name: value for name, value in model.entry.items() if name not in SEVERAL}
    if isinstance(entry.get("prompts"), dict):
        entry["prompts"] = {name: text for name, text in entry["prompts"].items() if name != VARIANTS}
    return model._replace(entry=entry)


def reproduce(wanted: Wanted, options: RunOptions, reporter: Reporter) -> Reproduction:
    """Run the published rows again and say how each stands.

    Args:
        wanted: model, rows and rules.
        options: where results go and data are looked for; its models and tasks are not looked at.
        reporter: told of progress, and of what trials will cost before they begin.

    Raises:
        InputError: no row is left to be run, or the entry has problems.
        EnvironmentGapError: data or weights are lacking, and `options.available` is not set.
    """
    if not wanted.selection.asked:
        raise InputError([f"{wanted.published.where}: no row to run again", *wanted.selection.left])
    outcome = _run(wanted.model, wanted.selection.asked, options, reporter)
    results = {cell.task.name: outcome.results.get(str(cell)) for cell in outcome.plan.cells}
    lacking = {cell.task.name: cell.reason for cell in outcome.plan.cells}
    rows = tuple(
        compared(row, results[one.name], wanted.rule, lacking=lacking[one.name])
        for one in wanted.selection.asked
        for row in one.rows
    )
    explanations = _Explaining(wanted, options, reporter).of(rows, results)
    codes = [outcome.exit_code, *(ExitCode.GATE_FAILED for one in rows if one.verdict == "apart")]
    return Reproduction(
        published=wanted.published,
        rule=wanted.rule,
        rows=rows,
        left=wanted.selection.left,
        explanations=explanations,
        exit_code=worst(codes),
    )


def _run(model: NamedEntry, asked: Sequence[Asked], options: RunOptions, reporter: Reporter) -> RunOutcome:
    others = [one.model_dump(exclude_unset=True) for one in model.beside]
    suite = Suite.model_validate(
        {
            "version": 1,
            "name": "reproduce",
            "models": [model.entry, *others],
            "tasks": {"embedding": {"names": [one.reference() for one in asked]}},
        }
    )
    return run_suite(suite, replace(options, models=(str(model.entry["name"]),), tasks=(), limit=None), reporter)


class _Explaining:
    """Looks for what explains the rows apart, a task at a time; what explained one task is tried first at the next."""

    def __init__(self, wanted: Wanted, options: RunOptions, reporter: Reporter) -> None:
        self._wanted, self._options, self._reporter = wanted, options, reporter
        self._last: Trial | None = None

    def of(self, rows: Sequence[Compared], results: Mapping[str, Result | None]) -> tuple[Explanation, ...]:
        """Return an explanation of each row that is apart."""
        found: list[Explanation] = []
        for one in self._wanted.selection.asked:
            apart = tuple(at.row for at in rows if at.verdict == "apart" and at.row.task == one.name)
            score = results[one.name]
            if apart and isinstance(score, Score):
                found += self._of_task(replace(one, rows=apart), score)
        return tuple(found)

    def _of_task(self, asked: Asked, score: Score) -> list[Explanation]:
        about = self._about(asked, score)
        choices = trials(about, self._wanted.own_trials)
        if self._last is not None:
            same = [one for one in choices if (one.factor, one.says) == (self._last.factor, self._last.says)]
            choices = [*same, *(one for one in choices if one not in same)]
        most = self._wanted.most_trials
        took = facts_of(score).seconds
        seconds = took.get("load_model", 0.0) + took.get("evaluate", 0.0)
        self._say_cost(asked.name, min(most, len(choices)), len(choices), seconds)
        found = explained(
            about,
            score,
            self._wanted.rule,
            self._wanted.published,
            trials=choices,
            run=self._runner(asked, about),
            most=most,
        )
        told = {one.found.says for one in found if one.found}
        self._last = next((one for one in choices if one.says in told), self._last)
        return found

    def _say_cost(self, task: str, most: int, of: int, seconds: float) -> None:
        if most:
            each, whole = duration(seconds), duration(most * seconds)
            text = f"{task}: at most {most} of {of} trial(s) of about {each} each, {whole} in all"
            self._reporter.report(Remark(text=f"{text}; --explain N makes it fewer"))

    def _about(self, asked: Asked, score: Score) -> About:
        model = self._wanted.model
        candidate = identify(model_of(model.entry, model.beside), self._options.sources, beside=model.beside)
        if isinstance(candidate, MissingCandidate):
            raise InputError([str(gap) for gap in candidate.gaps])
        return About(
            spec=candidate.spec,
            has_own_entry="candidate" not in model.entry,
            info=catalogue().tasks[asked.name],
            facts=facts_of(score),
            rows=asked.rows,
            model=self._wanted.published.model,
            folder=_folder(candidate),
        )

    def _runner(self, asked: Asked, about: About) -> Callable[[Trial], Result | None]:
        def run(trial: Trial) -> Result | None:
            self._reporter.report(Remark(text=f"{asked.name}: trying {trial.says}"))
            entry = _changed(self._wanted.model.entry, trial)
            results = self._options.results / TRIALS / digest([entry, trial.pooling, trial.split])[:16]
            try:
                if trial.pooling is not None and about.folder is not None:
                    to = results / "model"
                    entry = _elsewhere(entry, with_pooling(about.folder, trial.pooling, to))
                model = NamedEntry(model_of(entry).model_dump(exclude_unset=True), self._wanted.model.beside)
                at = replace(asked, splits=(trial.split,)) if trial.split else asked
                outcome = _run(model, [at], replace(self._options, results=results), self._reporter)
            except HarnessError as error:  # of the changed entry: what is tried need not fit the model
                return _failed(asked, error)
            return next(iter(outcome.results.values()), None)

        return run


def _folder(candidate: Candidate) -> Path | None:
    """Return where the files of a sentence-transformers model lie on this machine; None where nobody can tell."""
    if not isinstance(candidate.spec, SentenceTransformersSpec) or candidate.weights is None:
        return None
    source, revision = loadable(candidate.weights, candidate.spec.sha256)
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, local_files_only=True, **revision))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        return None


def _changed(entry: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    changed = {**entry, **trial.overrides}
    return {name: value for name, value in changed.items() if value is not None}


def _elsewhere(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return an entry with its weights in `folder`."""
    return {name: one for name, one in entry.items() if name not in ("revision", "sha256")} | {"model": str(folder)}


def _failed(asked: Asked, error: HarnessError) -> Failure:
    info = catalogue().tasks[asked.name]
    return Failure(
        key="", model="", axis="embedding", type=info.type, task=asked.name,
        error=type(error).__name__, message=str(error), traceback="",
    )  # fmt: skip
