"""What is known of every task without importing an engine: type, splits, subsets, revision, main score, counts.

`catalogue.json` is package data, written by `python -m harness.backends.make_catalogue` from the installed engines and
held against them by tests. Importing mteb costs five seconds; reading this file costs a hundredth of one, so validate,
plan, ls and report use it alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from harness.errors import HarnessError
from harness.tasks.engines import ENGINES, Engine
from harness.tasks.types import Axis
from harness.wording import listing

DEFAULT_BENCHMARK = "MTEB(eng, v1)"
ENGLISH = "eng-Latn"
# Splits that datasets commonly have beside the ones a task is evaluated on: allowed when a suite names them (settings
# are chosen on validation data), and marked wherever they are shown, since no published figure compares with them.
OTHER_SPLITS = ("train", "validation", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is in one split and subset of a task."""

    items: int
    """Scored items: pairs, queries, test texts, texts to cluster, summarised documents."""
    texts: int
    """Texts to encode, repeats included, training texts apart."""
    unique_texts: int
    """Distinct texts, counted a column at a time."""
    characters: int
    """Characters over `texts`."""
    training_texts: int
    """At most so many training texts are encoded besides (classification)."""

    @property
    def documents(self) -> int:
        """Documents that are ranked, of a task whose items are queries: the texts that are none of these."""
        return self.texts - self.items

    @property
    def encoded(self) -> int:
        """Texts to encode, training texts among them."""
        return self.texts + self.training_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """One task of the catalogue."""

    name: str
    axis: Axis
    type: str
    """An embedding type, or for ability tasks the kind of skill."""
    engine: str
    """The distribution that scores it: mteb or lm-eval."""
    main_score: str
    splits: tuple[str, ...]
    """The splits the task is evaluated on, as its authors say."""
    subsets: Mapping[str, tuple[str, ...]]
    """Subset -> languages, such as {"en-en": ("eng-Latn",)}."""
    prompt: str | Mapping[str, str] | None
    """The engine's instruction for the task, or one a role."""
    dataset: str | None
    """Hub path; None for an aggregate, whose parts have theirs."""
    revision: str | None
    """Pinned revision of `dataset`; None when the engine pins none."""
    parts: tuple[str, ...]
    """Tasks that an aggregate is made of; empty otherwise."""
    counts: Mapping[str, Mapping[str, Counts]]
    """split -> subset -> counts; a missing entry means unknown."""
    configs: tuple[str, ...] = ()
    """Configs of `dataset` that the engine reads for the task, where they are not called after its subsets."""
    ability: Mapping[str, Any] | None = None
    """Ability tasks: output_type, part_prefix, fewshot_split, filters, version and the defaults; None elsewhere."""
    runs_code: bool = False
    """Whether programs that the model writes are run to score it, so that a run needs a permission and a sandbox."""

    def english_subsets(self) -> tuple[str, ...]:
        """Return the subsets whose only language is English, or all of them where none is."""
        english = tuple(name for name, languages in self.subsets.items() if set(languages) == {ENGLISH})
        return english or tuple(self.subsets)

    def default_splits(self) -> tuple[str, ...]:
        """Return ("test",) where the task has it, else every evaluation split."""
        return ("test",) if "test" in self.splits else self.splits

    def instruction(self, role: str | None) -> str | None:
        """Return the engine's instruction for `role`, or None where it has none."""
        if self.prompt is None or isinstance(self.prompt, str):
            return self.prompt
        return self.prompt.get(role) if role else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A task as a benchmark uses it."""

    name: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All tasks and benchmarks, and the engine releases they were read from."""

    engines: Mapping[str, str]
    tasks: Mapping[str, TaskInfo]
    benchmarks: Mapping[str, tuple[Member, ...]]

    def of_axis(self, axis: Axis) -> dict[str, TaskInfo]:
        """Return the tasks of one axis by name."""
        return {name: task for name, task in self.tasks.items() if task.axis == axis}

    @property
    def languages(self) -> list[str]:
        """Return the languages of all embedding tasks, as MTEB names them: `deu-Latn`."""
        embedding = self.of_axis("embedding").values()
        return sorted({one for task in embedding for languages in task.subsets.values() for one in languages})

    def default_member(self, name: str) -> Member:
        """Return the splits and subsets task `name` gets when a suite says nothing.

        Those of MTEB(eng, v1) when it is in it, otherwise the English subsets and the test split.
        """
        known = {member.name: member for member in self.benchmarks[DEFAULT_BENCHMARK]}
        if name in known:
            return known[name]
        task = self.tasks[name]
        return Member(name=name, splits=task.default_splits(), subsets=task.english_subsets())


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that ships with the package."""
    raw = json.loads(files("harness.tasks").joinpath("catalogue.json").read_text(encoding="utf-8"))
    lacking = [name for name in ENGINES if name not in raw]
    if lacking:
        raise HarnessError(f"catalogue.json lacks {listing(lacking)}: run `python -m harness.backends.make_catalogue`")
    tasks: dict[str, TaskInfo] = {}
    for engine in ENGINES.values():
        for name, entry in raw[engine.distribution]["tasks"].items():
            tasks[name] = _task(name, entry, engine)
    benchmarks = {
        name: tuple(
            Member(name=one["name"], splits=tuple(one["splits"]), subsets=tuple(one["subsets"])) for one in members
        )
        for engine in ENGINES
        for name, members in raw[engine].get("benchmarks", {}).items()
    }
    return Catalogue(engines={engine: raw[engine]["version"] for engine in ENGINES}, tasks=tasks, benchmarks=benchmarks)


def _task(name: str, entry: dict[str, Any], engine: Engine) -> TaskInfo:
    counts = {
        split: {subset: _counts(row) for subset, row in subsets.items() if row}
        for split, subsets in (entry.get("counts") or {}).items()
    }
    return TaskInfo(
        name=name,
        axis=engine.axis,
        type=entry["type"],
        engine=engine.distribution,
        main_score=entry["main_score"],
        splits=tuple(entry["splits"]),
        subsets={subset: tuple(languages) for subset, languages in entry["subsets"].items()},
        prompt=entry.get("prompt"),
        dataset=entry.get("dataset"),
        revision=entry.get("revision"),
        parts=tuple(entry.get("parts", ())),
        counts=counts,
        configs=tuple(entry.get("configs", ())),
        ability=entry.get("ability"),
        runs_code=entry.get("runs_code", False),
    )


def _counts(row: list[int]) -> Counts:
    items, texts, unique, characters, training = row
    return Counts(items=items, texts=texts, unique_texts=unique, characters=characters, training_texts=training)


def in_order(named: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return names each once, in the order of `known`, others last: how a suite sorts them makes no other cell."""
    chosen = dict.fromkeys(named)
    order = [one for one in known if one in chosen]
    return (*order, *sorted(chosen.keys() - set(order)))
