"""Scores of an earlier run of our own as published ones: a results folder, which says much of how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.published.rows import MAIN, MOST_DIGITS, Published, PublishedRow
from harness.results.facts import Facts, facts_of
from harness.results.records import Score
from harness.results.store import Store
from harness.wording import did_you_mean, listing

SAID = ("dtype", "max_text_tokens", "similarity", "batch_tokens")
"""What an entry or its encoder says that can change a score."""


def is_own(path: Path) -> bool:
    """Whether `path` is a results folder."""
    return (path / "cells").is_dir()


def read_own(path: Path, names: Sequence[str]) -> Published:
    """Return the rows of a model of a results folder: whole embedding cells, the last begun of each row.

    Args:
        path: the folder.
        names: what the model may be called; none is needed where all cells are one model's.

    Raises:
        InputError: no such model, or no score of it over all items.
    """
    scores = [one for one in Store(path).all_results() if isinstance(one, Score) and one.axis == "embedding"]
    models = sorted({one.model for one in scores})
    model = next((name for name in names if name in models), models[0] if len(models) == 1 else None)
    if model is None:
        name = names[0] if names else ""
        there = listing(models) or "none"
        near = did_you_mean(name, models)
        raise InputError([f"{path}: no embedding scores of {name!r}; name a model with --as: {there}{near}"])
    own = sorted((one for one in scores if one.model == model), key=lambda one: facts_of(one).began or "")
    unread = [f"{one.task}: limited to {one.limit} items" for one in own if one.limit]
    rows = {str(row): row for one in own if not one.limit for row in _rows(one)}
    if not rows:
        raise InputError([f"{path}: {model} has no score over all items of a task"])
    return Published(
        kind="harness results",
        model=model,
        revision=_revision(own),
        where=str(path),
        rows=tuple(rows.values()),
        digits=MOST_DIGITS,
        unread=tuple(unread),
    )


def _rows(score: Score) -> Iterator[PublishedRow]:
    facts = facts_of(score)
    where = [(one.split, one.subset) for one in score.metrics if one.name == MAIN]
    places = [(m.split, m.subset, m.value) for m in score.metrics if m.name == MAIN and m.part is None]
    for split, subset, value in places or [(split, "default", score.score) for split in facts.splits[:1]]:
        yield PublishedRow(
            task=score.task,
            split=split,
            subset=subset,
            metric=score.metric,
            value=value,
            mteb_version=facts.versions.get("mteb"),
            data_revision=next((place.get("revision") for place in facts.data.values()), None),
            items=score.n if len(where) < 2 else None,
            settings=_settings(facts),
        )


def _settings(facts: Facts) -> dict[str, Any]:
    known = {name: value for name in SAID if (value := facts.encoder.get(name, facts.spec.get(name))) is not None}
    return known | ({"prompts": facts.prompts} if facts.prompts else {})


def _revision(scores: Sequence[Score]) -> str | None:
    weights = [facts_of(one).weights for one in scores]
    found = {place.get("revision") for place in weights if place}
    return found.pop() if len(found) == 1 else None
