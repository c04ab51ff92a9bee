"""Which published rows are run again: those that a suite would take of their tasks, or those that are named.

A task is named as every table names it: `STS12`, `STS17[en-en,es-es]`, `PawsXPairClassification@validation[en]`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.errors import InputError
from harness.published.rows import Published, PublishedRow
from harness.tasks.catalogue import OTHER_SPLITS, TaskInfo, catalogue, in_order
from harness.wording import did_you_mean, first_few, listing

_NAMED = re.compile(r"(?P<name>[^@\[\]]+)(?:@(?P<splits>[^\[\]]+))?(?:\[(?P<subsets>[^\[\]]+)\])?")


class Named(NamedTuple):
    """A task as a user named it."""

    name: str
    splits: tuple[str, ...]
    """Empty: those that a suite takes."""
    subsets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A task that is run again."""

    name: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    """Its published rows, at least one."""

    def reference(self) -> dict[str, Any]:
        """Return it as a suite's `names` has it."""
        return {"name": self.name, "splits": list(self.splits), "subsets": list(self.subsets)}


class Selection(NamedTuple):
    """What is run again, and what is not."""

    asked: tuple[Asked, ...]
    left: tuple[str, ...]
    """A line for each kind of row that is left, with what to do for it."""


def parse_tasks(text: str) -> tuple[Named, ...]:
    """Return the tasks of a comma-separated list; a comma also stands between the splits or subsets of one of them.

    Raises:
        InputError: one is no task of the embedding axis, or is not spelt as a task is.
    """
    known = catalogue().of_axis("embedding")
    found, problems = [], []
    for piece in _pieces(text, known):
        match = _NAMED.fullmatch(piece)
        if match is None:
            problems.append(f"--tasks {piece!r}: expected TASK, TASK@split[subset,...], such as STS17[en-en]")
        elif match["name"] not in known:
            near = did_you_mean(match["name"], known, most=3)
            problems.append(f"--tasks {piece!r}: no task of mteb here; `harness ls --tasks` lists {len(known)}{near}")
        else:
            found.append(Named(match["name"], _names(match["splits"]), _names(match["subsets"])))
    if problems:
        raise InputError(problems)
    return tuple(found)


def select(published: Published, named: Sequence[Named]) -> Selection:
    """Return which rows are run again.

    Args:
        published: all rows there are.
        named: tasks that are asked for; none: every task with a row of the splits and subsets that a suite takes.

    Raises:
        InputError: a task, split or subset that is asked for has no published row; all of them at once.
    """
    known = catalogue().of_axis("embedding")
    by_task: dict[str, list[PublishedRow]] = {}
    for row in published.rows:
        by_task.setdefault(row.task, []).append(row)
    if problems := _not_published(named, by_task, published.where):
        raise InputError(problems)
    wanted: dict[str, list[Named]] = {}
    for one in named or [Named(name, (), ()) for name in by_task if name in known]:
        wanted.setdefault(one.name, []).append(one)
    asked, others = [], Counter[str]()
    for name, meant in wanted.items():
        found = _asked(meant, by_task[name], known[name])
        others[name] = len(by_task[name]) - (len(found.rows) if found else 0)
        asked += [found] if found else []
    strange = sorted(name for name in by_task if name not in known)
    return Selection(tuple(asked), tuple(_left(others, strange, len(by_task) - len(wanted) - len(strange))))


def _pieces(text: str, known: Iterable[str]) -> list[str]:
    """Return the parts between commas, those between brackets and those of a list of splits left together."""
    pieces: list[str] = []
    for part in re.split(r",(?![^\[\]]*\])", text):
        name = re.split(r"[@\[]", part.strip())[0]
        goes_on = pieces and "@" in pieces[-1] and "[" not in pieces[-1] and name not in known and "@" not in part
        if goes_on:
            pieces[-1] += f",{part.strip()}"
        elif part.strip():
            pieces.append(part.strip())
    return pieces


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in (text or "").split(",") if one.strip())


def _not_published(named: Sequence[Named], by_task: dict[str, list[PublishedRow]], where: str) -> list[str]:
    problems = []
    for one in named:
        rows = by_task.get(one.name)
        if rows is None:
            problems.append(f"--tasks {one.name}: no published row in {where}; there are: {listing(by_task)}")
            continue
        for noun, wanted, there in (
            ("split", one.splits, dict.fromkeys(row.split for row in rows)),
            ("subset", one.subsets, dict.fromkeys(row.subset for row in rows)),
        ):
            problems += [
                f"--tasks {one.name}: no published row of {noun} {name!r}; there are: {listing(there)}"
                for name in wanted
                if name not in there
            ]
    return problems


def _asked(named: Sequence[Named], rows: Sequence[PublishedRow], info: TaskInfo) -> Asked | None:
    """Return the rows that are meant of a task's, each once, however often it is named; None where it has none."""
    default = catalogue().default_member(info.name)
    wanted = [(one.splits or default.splits, one.subsets or default.subsets) for one in named]
    known = {*info.splits, *OTHER_SPLITS}
    meant = [
        row
        for row in rows
        if any(row.split in splits and row.subset in subsets for splits, subsets in wanted)
        and row.split in known
        and row.subset in info.subsets
    ]
    if not meant:
        return None
    return Asked(
        name=info.name,
        splits=in_order((row.split for row in meant), info.splits),
        subsets=in_order((row.subset for row in meant), info.subsets),
        rows=tuple(meant),
    )


def _left(others: Counter[str], strange: Sequence[str], not_named: int) -> list[str]:
    said = []
    apart = {name: count for name, count in others.items() if count}
    if apart:
        few = first_few(f"{name} ({count})" for name, count in apart.items())
        total = sum(apart.values())
        said.append(f"{total} row(s) of other splits or subsets: {few}; name them as TASK@split[subset,...] in --tasks")
    if strange:
        said.append(f"{len(strange)} task(s) that this mteb does not have: {first_few(strange)}")
    if not_named > 0:
        said.append(f"{not_named} task(s) that --tasks does not name")
    return said
