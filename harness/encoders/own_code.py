"""Models that bring Python of their own run it where the user's own entry says so, and nowhere else.

transformers asks on the terminal where it was told nothing, and waits; so it is always told. Its refusal, and that of
sentence-transformers, is put in our words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import EnvironmentGapError

OPTION = "trust_remote_code"


@contextmanager
def refused_by_name(name: str) -> Iterator[None]:
    """Say of a model that may not run its code which one it is, and how to allow it.

    Raises:
        EnvironmentGapError: in place of the libraries' ValueError.
    """
    try:
        yield
    except ValueError as error:
        if OPTION not in str(error):
            raise
        why = " ".join(str(error).split(". ")[0].split())
        step = f"read that code, then say `{OPTION}: true` in the model's entry (of a command: -o {OPTION}=true)"
        raise EnvironmentGapError(
            [f"model {name!r} wants to run code of its own: {why}\n    get it: {step}"]
        ) from error
