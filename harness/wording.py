"""Did_you_mean, listing, display_path: how messages name things."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def display_path(path: Path) -> str:
    """Return `path` relative to the working directory where that is shorter, as a user would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def did_you_mean(value: object, choices: Iterable[str], *, most: int = 1) -> str:
    """Return `"; did you mean 'x'?"` for the nearest of `choices`, or an empty string when none is near."""
    wanted = str(value)
    lowered = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(wanted.lower(), lowered, n=most, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(repr(lowered[name]) for name in near) + "?"


def listing(choices: Iterable[str], *, most: int = 12) -> str:
    """Return `choices` as a comma-separated list, cut after `most` with the number left out."""
    names = list(choices)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names) - most} more)"
