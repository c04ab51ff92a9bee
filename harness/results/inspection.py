"""Which stored records a user means by `model/task` or the beginning of a key; `harness inspect` shows them."""

from __future__ import annotations

from typing import NamedTuple

from harness.errors import InputError
from harness.results.facts import name_of
from harness.results.records import Result
from harness.results.store import Store
from harness.wording import did_you_mean, listing


class Inspected(NamedTuple):
    """A record, and every cell that it is."""

    result: Result
    cells: tuple[str, ...]
    """`model/task`, that of the model it was run for first."""


def find(store: Store, wanted: str) -> list[Inspected]:
    """Return the records that `wanted` names, under whichever of their models.

    Args:
        store: the results folder.
        wanted: `model/task`, the task with its parts or without, or the beginning of a key.

    Raises:
        InputError: there is none, with what there is.
    """
    others = store.other_names()
    found, names = [], set()
    for one in store.all_results():
        further = others.get((one.task, one.key), [])
        models = (one.model, *(name.model for name in further))
        cells = (name_of(one), *(name.cell for name in further))
        short = {f"{model}/{one.task}" for model in models}
        names |= short
        if wanted in short or wanted in cells or one.key.startswith(wanted):
            found.append(Inspected(one, cells))
    if not found:
        there = sorted(names)
        near = did_you_mean(wanted, there)
        raise InputError([f"no cell {wanted!r} in {store.root}; there are: {listing(there) or 'none'}{near}"])
    return found
