"""What a `wheel:` reference names: a path inside one wheel, or a GGUF file whose parts lie in several; reads nothing.

    wheel:some-model==1.0/some_model/model                            a folder or file of one wheel
    wheel:some-model-part{1..6}==1.0/some_part{1..6}/part0{1..6}.bin  parts that are joined, the first first

Ranges count in step, as a shell's braces would if all of them moved at once: they are of one length, whatever they
begin with, and `{01..12}` keeps its zeros. One may stand in the name, the version or the path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.errors import InputError

PREFIX = "wheel:"
MOST_PARTS = 64
FORM = "wheel:<distribution>==<version>/<path inside the wheel>"
EXAMPLE = "wheel:some-model-part{1..6}==1.0/some_model_part{1..6}/part0{1..6}.bin"
_FORM = re.compile(r"^wheel:(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9._+!-]+)/(?P<inner>.+)$")
_BRACES = re.compile(r"(\{[^{}]*\})")
_RANGE = re.compile(r"\{([0-9]{1,6})\.\.([0-9]{1,6})\}")


@dataclass(frozen=True, slots=True)
class WheelReference:
    """A path inside a wheel of one version of a distribution."""

    OF: ClassVar[str] = "sha256 of the wheel"
    """What a `sha256` beside the reference is of."""
    name: str
    version: str
    inner: str
    """Path inside the wheel, a folder or a file."""

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.name}=={self.version}"

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for."""
        return (self.requirement,)

    def identity(self, sha256: str) -> dict[str, str]:
        """Return what goes into keys."""
        return {"wheel_sha256": sha256, "path": self.inner}


@dataclass(frozen=True, slots=True)
class WheelParts:
    """A GGUF file whose parts lie in wheels."""

    OF: ClassVar[str] = "sha256 of the joined parts"
    """What a `sha256` beside the reference is of."""
    written: str
    """The reference as it was written."""
    parts: tuple[WheelReference, ...]
    """In the order in which they are joined."""
    inner: ClassVar[str] = "joined.gguf"
    """What the joined file is called."""

    @property
    def requirement(self) -> str:
        """All wheels as people name them: `some-model-part{1..6}==1.0`."""
        return self.written.removeprefix(PREFIX).split("/", maxsplit=1)[0]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for, each wheel once."""
        return tuple(dict.fromkeys(part.requirement for part in self.parts))

    def identity(self, sha256: str) -> dict[str, str]:
        """Return what goes into keys: the content alone, in however many parts it comes."""
        return {"joined_sha256": sha256}


Wheel = WheelReference | WheelParts


def parse(reference: str) -> Wheel:
    """Split a `wheel:` reference.

    Raises:
        InputError: it is of neither form, or leaves the wheel; every problem, each with the right form.
    """
    if "{" not in reference and "}" not in reference:
        return _one(reference, reference, FORM)
    pieces = _BRACES.split(reference)  # text and braces in turn
    problems = [_range_problem(one) for one in pieces[1::2]]
    problems += [f"a brace without its fellow in {one!r}" for one in pieces[::2] if "{" in one or "}" in one]
    found = [one for one in problems if one]
    ranges = [] if found else [_expanded(one) for one in pieces[1::2]]
    if len({len(one) for one in ranges}) > 1:
        counts = ", ".join(f"{text} is of {len(one)}" for text, one in zip(pieces[1::2], ranges, strict=True))
        found.append(f"every range counts the same parts, in step: {counts}")
    if found:
        raise InputError([f"model {reference!r}: {one}; parts are written {EXAMPLE}" for one in found])
    return WheelParts(reference, tuple(_one(one, reference, EXAMPLE) for one in _in_step(pieces, ranges)))


def without_sha256(reference: str, wheel: Wheel, sha256: object) -> str | None:
    """Return the problem of parts that nothing says the sum of; None where `sha256` does, or there are no parts."""
    if sha256 is not None or isinstance(wheel, WheelReference):
        return None
    return f"model {reference!r}: {len(wheel.parts)} parts are joined, so `sha256` must be given: of the joined file"


def _one(reference: str, written: str, form: str) -> WheelReference:
    """Return the path that a reference without ranges names; `written` is what the user wrote."""
    match = _FORM.match(reference)
    if not match or ".." in Path(match["inner"]).parts:
        raise InputError([f"model {written!r}: expected {form}"])
    return WheelReference(match["name"], match["version"], match["inner"].rstrip("/"))


def _range_problem(braces: str) -> str | None:
    """Return what is wrong with `{first..last}`; None where nothing is."""
    match = _RANGE.fullmatch(braces)
    if not match:
        return f"{braces} is no range {{first..last}}"
    first, last = match.groups()
    count = int(last) - int(first) + 1
    if count < 1:
        return f"{braces} counts down: write {{{last}..{first}}}"
    if count > MOST_PARTS:
        return f"{braces} is of {count} parts, and at most {MOST_PARTS} are joined"
    width = max(len(first), len(last))
    if len(first) != len(last) and any(one.startswith("0") and one != "0" for one in (first, last)):
        right = f"{{{first.zfill(width)}..{last.zfill(width)}}}"
        return f"{braces}: with zeros in front both ends have as many digits: {right}"
    return None


def _expanded(braces: str) -> list[str]:
    first, last = braces[1:-1].split("..")
    width = len(first) if len(first) == len(last) else 1  # one width: either no zeros, or kept ones
    return [str(number).zfill(width) for number in range(int(first), int(last) + 1)]


def _in_step(pieces: list[str], ranges: list[list[str]]) -> list[str]:
    texts = pieces[::2]
    return [
        texts[0] + "".join(number + text for number, text in zip(numbers, texts[1:], strict=True))
        for numbers in zip(*ranges, strict=True)
    ]
