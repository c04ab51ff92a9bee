"""What a run makes once of its texts and reads in many steps: in parts, kept in the run's directory.

A part is a file of JSON lines: a head that says what the part was made from and what it took, then a row a text. Its
name holds the sha256 of what it was made from and that of its content, so it is found by the one and held to the other:
it is read as it was written, or not at all. A run that is killed goes on with the parts that are whole; which process
of several makes a part changes nothing in it.

Work in which nothing of the run is (rationales of the base, a teacher's vectors) is kept in the user's cache too, where
another run of the same texts finds it. What a part took to make stands in its head and counts against the budgets of
each run that reads it, so that runs are as dear as if each had made it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from grace.run.directory import RunDir, room_on_disk
from grace.run.session import Session
from harness.digests import digest, keep, user_cache, write_atomically
from harness.errors import InputError

logger = logging.getLogger(__name__)

PART_TEXTS = 64
"""Texts a part: what a killed run loses at most."""
NAMED = 32
"""Digits of the first sha256 that stand in a name."""
SAY_EVERY_SECONDS = 10.0
SHARED = "parts"
"""Folder of the user's cache."""


class Cost(NamedTuple):
    """What making took in one process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is made of texts, and how."""

    folder: str
    """Below the run's directory."""
    what: str
    """For people: `rationales of 300 texts`."""
    made_from: Mapping[str, Any]
    """All that can change a row beside its text, as JSON."""
    make: Callable[[Sequence[str]], list[dict[str, Any]]] | None
    """A row a text, as JSON; None: nothing can be made any more, only read."""
    is_shared: bool = False
    """Whether another run may read it: all that can change a row is in `made_from`, none of it this run's weights."""


class Filled(NamedTuple):
    """What there is of some texts."""

    rows: dict[str, dict[str, Any]]
    """Text -> its row; not of all texts where the making was stopped."""
    cost: Cost
    """Of this process's share, whenever it was made."""
    cost_made: Cost
    """Of what was made in this call alone."""
    made: frozenset[str]
    """Texts whose rows were made in this call."""
    is_whole: bool
    """False: it was stopped."""


def fill(session: Session, work: Work, texts: Sequence[str], *, stops: Callable[[Cost], bool]) -> Filled:
    """Return a row for each text, from the run's directory or made now, on all processes.

    Args:
        session: the main process reads and writes files; each takes a share of what is to be made.
        work: what is made.
        texts: distinct.
        stops: asked before each part, with what was spent so far; must answer the same on all processes.

    Raises:
        InputError: a part is not there as it was written, and nothing can be made any more.
        EnvironmentGapError: the disk is full; the parts that are written are kept.
    """
    world, device = session.world, session.trained.device
    parts = [list(texts[start : start + PART_TEXTS]) for start in range(0, len(texts), PART_TEXTS)]
    names = [_name(work, part) for part in parts]
    found = _read(session, work, names) if world.is_main else {}
    contents = dict(world.gathered_objects([item for item in found.items() if item[1] is not None], device))
    missing = [number for number in range(len(parts)) if number not in contents]
    if missing and work.make is None:
        lost = f"{len(missing)} of {len(parts)} parts of the {work.what} are not there as they were written"
        raise InputError(
            [f"{session.run.path / work.folder}: {lost}, and the weights that made them have moved on; begin a new run"]
        )
    cost = _sum(_cost(one) for number, one in contents.items() if number % world.size == world.rank)
    cost_made, said = Cost(), time.monotonic()
    for start in range(0, len(missing), world.size):
        if stops(cost):
            return Filled({}, cost, cost_made, frozenset(), is_whole=False)
        own = [(number, _made(work, parts[number])) for number in missing[start : start + world.size][world.rank :][:1]]
        took = [_cost(content) for _, content in own]
        cost, cost_made = _sum([cost, *took]), _sum([cost_made, *took])
        for number, content in world.gathered_objects(own, device):
            contents[number] = content
            _write(session.run, work, names[number], content)
            _share(session, work, names[number], content)
        if world.is_main and time.monotonic() - said > SAY_EVERY_SECONDS:
            said = time.monotonic()
            session.progress.say(f"{work.what}: {len(contents)} of {len(parts)} parts")
    rows = {row["text"]: row for number in range(len(parts)) for row in _rows(contents[number])}
    made = frozenset(text for number in missing for text in parts[number])
    return Filled(rows, cost, cost_made, made, is_whole=True)


def _read(session: Session, work: Work, names: Sequence[str]) -> dict[int, bytes | None]:
    """Return the parts that are there, by number: of the run, or of another, which are then the run's as well."""
    found = {number: read_part(session.run.path / work.folder, name) for number, name in enumerate(names)}
    if not work.is_shared:
        return found
    taken = 0
    for number, name in enumerate(names):
        content = None
        if found[number] is None:
            with suppress(OSError):
                content = read_part(_shared_folder(session, work), name)
        if content is not None:
            found[number] = content
            _write(session.run, work, name, content)
            taken += 1
    if taken:
        source = f"made by an earlier run ({_shared_folder(session, work).parent})"
        session.progress.say(f"{work.what}: {taken} of {len(names)} parts {source}; they count as what they took then")
    return found


def read_part(folder: Path, name: str) -> bytes | None:
    """Return the content of a part as it was written; None where there is none, which is said where one is damaged."""
    for path in sorted(folder.glob(f"{name}-*.jsonl")):
        content = path.read_bytes()
        if path.name == f"{name}-{_sha256(content)}.jsonl":
            return content
        logger.warning("%s is not as it was written", path)
    return None


def _shared_folder(session: Session, work: Work) -> Path:
    """Return where other runs find the work: a kind of device rounds, and so may write, in its own way."""
    return user_cache() / SHARED / f"{work.folder}-{session.trained.device.partition(':')[0]}"


def _name(work: Work, texts: Sequence[str]) -> str:
    return digest({"made_from": work.made_from, "texts": list(texts)})[:NAMED]


def _made(work: Work, texts: Sequence[str]) -> bytes:
    assert work.make is not None  # noqa: S101 - asked by `fill`
    began, cpu = time.monotonic(), time.process_time()
    rows = work.make(texts)
    took = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
    head = {"made_from": dict(work.made_from), **took}
    lines = [head, *({"text": text, **row} for text, row in zip(texts, rows, strict=True))]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode("ascii")


def _write(run: RunDir, work: Work, name: str, content: bytes) -> None:
    if not run.is_main:
        return
    folder = run.path / work.folder
    with room_on_disk(run.path):
        folder.mkdir(parents=True, exist_ok=True)
        for damaged in folder.glob(f"{name}-*.jsonl"):
            damaged.unlink()
        write_atomically(folder / f"{name}-{_sha256(content)}.jsonl", content)


def _share(session: Session, work: Work, name: str, content: bytes) -> None:
    """Keep a part for other runs, where there is room: a cache is a convenience."""
    if work.is_shared and session.run.is_main:
        folder = _shared_folder(session, work)
        with suppress(OSError):
            for damaged in folder.glob(f"{name}-*.jsonl"):
                damaged.unlink()
        keep(folder / f"{name}-{_sha256(content)}.jsonl", content)


def _rows(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines()[1:]:
        yield json.loads(line)


def _cost(content: bytes) -> Cost:
    """Return what a part took when it was made."""
    head = json.loads(content.partition(b"\n")[0])
    return Cost(head["seconds"], head["cpu_seconds"])


def _sum(costs: Iterable[Cost]) -> Cost:
    total = list(costs)
    return Cost(sum(one.seconds for one in total), sum(one.cpu_seconds for one in total))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
