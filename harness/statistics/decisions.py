"""The discrete decisions behind a score, and how many of two runs' decisions differ: pure.

A classifier's labels, a clustering's assignments, a chosen option, an extracted answer: another processor moves the
last digits of a vector, and now and then one such decision with them. Points say little of that (one decision in 1,200
is 0.08, one in 60 is 1.67), a count of decisions says it all. Scores that are no decisions (a correlation, a ranking's
gain) have none here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from harness.statistics.items import numbered

DIGEST_CHARACTERS = 8
Kind = Literal["answers", "partition"]
"""Answers are compared one by one; a partition's cluster numbers mean nothing, so clusters are matched first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """All decisions of one cell, in the order of its items."""

    kind: Kind
    groups: tuple[tuple[str, ...], ...]
    """A group a training sample, a set of texts, or a part; each the decisions made in it, as text."""

    @property
    def n(self) -> int:
        """Number of decisions."""
        return sum(len(group) for group in self.groups)


def is_decision(column: str) -> bool:
    """Whether `decisions_of` may look at a column of that name."""
    places = ("part", "split", "subset", "set", "level", "experiment")
    return column in (*places, "cluster", "answers") or column.startswith(("prediction_", "filtered,"))


def decisions_of(columns: Mapping[str, Any]) -> Decisions | None:
    """Return the decisions in the columns of a cell's items (`Store.items_of`), or None where its type makes none.

    Args:
        columns: column name -> (n,) values, the rows of all parts, splits and subsets in the order they are stored.
    """
    places = list(zip(*(np.asarray(columns[name]).tolist() for name in ("part", "split", "subset")), strict=True))
    if "cluster" in columns:
        runs = [columns[name] for name in ("set", "level", "experiment") if name in columns]
        return Decisions(kind="partition", groups=_grouped(columns["cluster"], list(zip(places, *runs, strict=True))))
    predictions = numbered(columns, "prediction_")
    if predictions:
        return Decisions(kind="answers", groups=_together([_grouped(columns[name], places) for name in predictions]))
    filtered = sorted(name for name in columns if name.startswith("filtered,"))
    if filtered:
        answers = ["\0".join(map(str, row)) for row in zip(*(columns[name] for name in filtered), strict=True)]
        return Decisions(kind="answers", groups=_grouped(answers, places))
    if "answers" in columns:
        return Decisions(
            kind="answers", groups=_grouped(["\0".join(map(str, one)) for one in columns["answers"]], places)
        )
    return None


def flips(own: Decisions, other: Decisions) -> int | None:
    """Return how many decisions differ, or None where the two are not decisions about the same items.

    Clusters are matched so that most texts agree (the assignment problem), since their numbers are arbitrary.
    """
    if own.kind != other.kind or [len(one) for one in own.groups] != [len(one) for one in other.groups]:
        return None
    pairs = zip(own.groups, other.groups, strict=True)
    if own.kind == "partition":
        return sum(_moved(one, two) for one, two in pairs)
    return sum(one != two for group in pairs for one, two in zip(*group, strict=True))


def plain(digests: Decisions) -> dict[str, Any]:
    """Return what `as_stored` gave for a file: each distinct decision once, then which of them was made where."""
    values = sorted({one for group in digests.groups for one in group})
    place = {value: str(index) for index, value in enumerate(values)}
    made = [" ".join(place[one] for one in group) for group in digests.groups]
    return {"kind": digests.kind, "values": values, "made": made}


def read(stored: Mapping[str, Any]) -> Decisions:
    """Return what `plain` wrote, its decisions as digests; raises KeyError, ValueError, IndexError on anything else."""
    values = stored["values"]
    groups = tuple(tuple(str(values[int(one)]) for one in group.split()) for group in stored["made"])
    if stored["kind"] not in ("answers", "partition"):
        raise ValueError(f"decisions of kind {stored['kind']!r}; known: answers, partition")
    return Decisions(kind=stored["kind"], groups=groups)


def as_stored(decisions: Decisions) -> Decisions:
    """Return the decisions as digests, to be compared with what `read` gave."""
    groups = tuple(tuple(_digest(one) for one in group) for group in decisions.groups)
    return Decisions(kind=decisions.kind, groups=groups)


def _digest(value: str) -> str:
    return sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]


def _grouped(values: Sequence[Any], names: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    groups: dict[Any, list[str]] = {}
    for name, value in zip(names, values, strict=True):
        groups.setdefault(name, []).append(str(value))
    return tuple(tuple(group) for group in groups.values())


def _together(each: Sequence[tuple[tuple[str, ...], ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(group for groups in each for group in groups)


def _moved(own: Sequence[str], other: Sequence[str]) -> int:
    """Return the least number of texts whose cluster differs, over all ways to match the clusters."""
    from scipy.optimize import linear_sum_assignment

    ours, theirs = (sorted(set(one)) for one in (own, other))
    table = np.zeros((len(ours), len(theirs)), dtype=np.int64)  # (clusters here, clusters there)
    np.add.at(table, ([ours.index(one) for one in own], [theirs.index(one) for one in other]), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return len(own) - int(table[rows, columns].sum())
