"""A wheel by `pip download --no-deps`: never installed, none of its code runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.errors import EnvironmentGapError

DOWNLOAD_SECONDS = 1800


def download(requirement: str, folder: Path) -> Path:
    """Return the wheel of `name==version`, downloaded into the empty `folder`.

    Raises:
        EnvironmentGapError: pip is missing or cannot get it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    files = list(folder.glob("*.whl"))
    if done.returncode or len(files) != 1:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EnvironmentGapError(
            [f"wheel {requirement}: pip could not get it: {last}\n    get it: {' '.join(command[2:])}"]
        )
    return files[0]
