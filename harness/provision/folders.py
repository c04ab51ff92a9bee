"""The folders that commands write to: can they be written on this machine, and which variable names another?"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from harness.digests import user_cache
from harness.environment import cache_folders
from harness.provision.doctor import Check
from harness.sources.places import Sources, hub_cache
from harness.writing import why_not_folder


def folder_checks(sources: Sources, results: Path | None) -> list[Check]:
    """Try to make a file in every folder that a run writes to; returns those that cannot be, and leaves nothing.

    Args:
        sources: what a hub cache is needed for.
        results: the results folder; None: not asked for.

    An engine's cache that cannot be written ends no run, since one in the results folder takes its place: it is ok,
    with the variable as the next step.
    """
    tried: list[tuple[str, Path, str | None]] = [
        ("cache", user_cache(), "HARNESS_CACHE"),
        ("temporary files", _temporary(), "TMPDIR"),
    ]
    if sources.hub is None and not sources.offline:  # else nothing is downloaded
        tried.append(("hub cache", hub_cache(), "HF_HUB_CACHE or HF_HOME"))
    if results is not None:
        below = [one for name in ("cells", "locks", "names", "runs", "logs") if (one := results / name).exists()]
        tried += [("results", one, None) for one in (results, *below)]
    checks = [_unwritable(what, folder, variable) for what, folder, variable in tried]
    checks += [_engine_cache(variable, folder) for variable, folder in cache_folders().items()]
    return [one for one in checks if one is not None]


def _unwritable(what: str, folder: Path, variable: str | None) -> Check | None:
    """Return why `folder` cannot be written; None where it can."""
    why = why_not_folder(folder)
    if why is None:
        return None
    step = f"set {variable} to a folder that can be written" if variable else "give --results another folder"
    detail = f"{folder}: cannot be written ({why})"
    return Check(what=f"folder of {what}", status="unwritable", detail=detail, step=step)


def _engine_cache(variable: str, folder: Path) -> Check | None:
    found = _unwritable(variable, folder, variable)
    return found and replace(found, status="ok", detail=f"{found.detail}; a run keeps one beside its results")


def _temporary() -> Path:
    """Return where temporary files go: the folder that is named, where one is, though Python would pass it over."""
    named = next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), None)
    try:
        return Path(named or tempfile.gettempdir())
    except FileNotFoundError:  # none that Python tries
        return Path("/tmp")  # noqa: S108 - the standard one, to be named
