"""How messages name things: choices, paths, long lists cut short, spans of time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
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


def first_few(names: Iterable[str], *, most: int = 6) -> str:
    """Return names as `a, b and 3 more`, cut after `most`."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def first_lines(lines: Sequence[str], *, most: int) -> list[str]:
    """Return the first lines of a long list of problems, and a last one that counts the rest."""
    return [*lines[:most], *([f"... and {len(lines) - most} more"] if len(lines) > most else [])]


def short(value: object, *, most: int = 60) -> str:
    """Return how a value is written in Python, cut to `most` characters."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"{type(value).__name__}, nested deeply"
    return text if len(text) <= most else text[: most - 3] + "..."


def duration(seconds: float) -> str:
    """Return seconds in the two largest units: `3.4 s`, `12 min 05 s`, `2 h 03 min`, `3.0 days`."""
    if seconds < 59.95:  # which would read as 60.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"
