"""The published models that a suite wants beside its own: `public: {results: DIR, models: [...]}`."""

from __future__ import annotations

from pathlib import Path

from harness.errors import InputError
from harness.published.read import read_published
from harness.published.rows import Published
from harness.suite.schema import Suite
from harness.suite.task_entries import PublicModel


def read_public(suite: Suite) -> tuple[Published, ...]:
    """Return the rows of each model of `public`; none where the suite has none.

    Raises:
        InputError: a model is not there, or its rows cannot be read; all of them at once.
    """
    if suite.public is None:
        return ()
    found, problems = [], []
    for one in suite.public.models:
        try:
            found.append(_read(Path(suite.public.results), one))
        except InputError as error:
            problems += [f"public: {line}" for line in error.problems]
    if problems:
        raise InputError(problems)
    return tuple(found)


def _read(results: Path, one: PublicModel) -> Published:
    """Return the rows of a model that is named; one that merely lies there alone is not taken for it."""
    found = read_published(results, [one.name], one.revision)
    folder = Path(found.where).parent.name.replace("__", "/", 1)
    if one.name.lower() not in (found.model.lower(), folder.lower()):
        raise InputError([f"{results}: no results of {one.name!r}; there is {found.model}"])
    if one.revision is not None and found.revision not in (None, one.revision):
        raise InputError([f"{results}: no results of {one.name} at {one.revision}; there is {found.revision}"])
    return found
