"""The directory of a run: configuration, metrics, checkpoints; every write survives a crash whole or not at all.

config.yaml  origins.json  environment.json  metrics.jsonl  skipped.jsonl  checkpoints/step-00000050/
rationales/ or teacher/, where the objective makes such things once
and at the end: adapter/ or model/, README.md, candidate.yaml (which is written last)
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grace.config.load import load_config, to_yaml
from grace.config.schema import TrainConfig
from harness.digests import write_atomically
from harness.errors import EnvironmentGapError, InputError

CONFIG, METRICS, CHECKPOINTS, CANDIDATE = "config.yaml", "metrics.jsonl", "checkpoints", "candidate.yaml"
RATIONALES, TEACHER = "rationales", "teacher"
"""Folders of what is made once and read in many steps (parts.py)."""
ORIGINS = "origins.json"
"""What the run is made of: data, base, prompt, versions; a resumed run must be made of the same."""
OF_AN_ATTEMPT = (CONFIG, ORIGINS, METRICS, "environment.json", "skipped.jsonl")
"""What stands there before the first step."""
MAY_CHANGE = (
    "description",
    "device",
    "batch_tokens",
    "steps",
    "budget_minutes",
    "budget_cpu_seconds",
    "checkpoint_every",
    "track",
    "trackio",
    "candidate",
)
"""What a resumed run may say differently from its beginning."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How systems say that there is no room: on the disk, in the quota, for a file so large."""
AT_CWD, RENAME_EXCHANGE = -100, 2
"""Of Linux's renameat2: paths as any program takes them, and two names that change places."""


class RunDir:
    """A run's directory; only the main process writes."""

    def __init__(self, path: Path, *, is_main: bool = True) -> None:
        """Name the directory; `prepare` makes it."""
        self.path = path
        self.is_main = is_main

    def check(self, config: TrainConfig, *, resume: bool) -> None:
        """Look whether the directory can be trained into; changes nothing.

        Raises:
            InputError: it holds a run already and `resume` is False, or that run had another configuration; it is
                somebody else's, or no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError([f"{self.path}: is no folder; give another --out"])
        names = {one.name for one in self.path.iterdir()} if self.path.is_dir() else set()
        if not self._has_begun():
            names -= set(OF_AN_ATTEMPT)
        if CONFIG in names and not resume:
            raise InputError([f"{self.path}: holds a run already; go on with --resume, or give another --out"])
        if CONFIG not in names and names:
            raise InputError([f"{self.path}: is not empty and holds no run; give another --out"])
        if CONFIG in names:
            _refuse_changes(load_config(self.path / CONFIG).config, config, self.path)

    def prepare(self, config: TrainConfig, *, resume: bool) -> None:
        """Make the directory and save the configuration; raises InputError as `check` does."""
        self.check(config, resume=resume)
        if not self.is_main:
            return
        if not self._has_begun():
            self._forget_attempt()
        with room_on_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / CONFIG, to_yaml(config).encode())
            shutil.rmtree(self.path / CHECKPOINTS / ".partial", ignore_errors=True)

    def _has_begun(self) -> bool:
        """Whether a step was made, or anything else is there that a run would lose."""
        lost = (CHECKPOINTS, CANDIDATE, RATIONALES, TEACHER)
        return bool(self.metrics()) or any((self.path / name).exists() for name in lost)

    def _forget_attempt(self) -> None:
        """Remove what a run wrote that was refused before its first step, say for its base."""
        for name in OF_AN_ATTEMPT:
            (self.path / name).unlink(missing_ok=True)

    def noted(self) -> dict[str, dict[str, str]]:
        """Return what the run that stands there is made of, as of `hold_to`; nothing where none has begun."""
        return self._note() if self._has_begun() else {}

    def _note(self) -> dict[str, dict[str, str]]:
        file = self.path / ORIGINS
        noted: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return noted

    def hold_to(self, facts: Mapping[str, Mapping[str, str]]) -> bool:
        """Note what the run is made of, or hold it to what was noted when it began.

        Args:
            facts: what of it, say `data`, to names and digests.

        Returns:
            Whether there was a note of each of them.

        Raises:
            InputError: something is other than it was.
        """
        noted = self._note()
        problems = [
            f"{self.path}: the run began with other {what}: {_was_and_is(noted[what], now)}"
            for what, now in facts.items()
            if what in noted and noted[what] != now
        ]
        if problems:
            raise InputError([*problems, "put back what was there and go on, or give another --out for a new run"])
        if not facts.keys() <= noted.keys():
            self.write_json(ORIGINS, {**facts, **noted})
        return facts.keys() <= noted.keys()

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` to the file `name`."""
        if self.is_main:
            with room_on_disk(self.path):
                write_atomically(self.path / name, f"{json.dumps(value, indent=1, ensure_ascii=False)}\n".encode())

    def write_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write one JSON object a line to the file `name`."""
        if self.is_main:
            lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
            with room_on_disk(self.path):
                write_atomically(self.path / name, lines.encode("utf-8", "surrogatepass"))

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a line to the metrics; values are plain numbers and strings, `step` among them."""
        if self.is_main:
            with room_on_disk(self.path), (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(dict(row))}\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Return the logged rows; a last line that a crash tore is left out."""
        file = self.path / METRICS
        rows = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def forget_after(self, step: int) -> None:
        """Drop the metrics of steps after `step`, which a resumed run makes again."""
        self.write_rows(METRICS, [row for row in self.metrics() if row["step"] <= step])

    def save_checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        """Write a checkpoint after `step` steps, and only then drop the older ones.

        Args:
            step: steps done.
            write: fills an empty folder.

        Raises:
            EnvironmentGapError: the disk is full; the last checkpoint is as it was.
        """
        if not self.is_main:
            return
        folder = self.path / CHECKPOINTS
        partial, target = folder / ".partial", folder / f"step-{step:08d}"
        if target.exists():
            return
        with room_on_disk(self.path):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                write(partial)
                sync(partial)
                partial.rename(target)
                sync_folder(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        for older in self._checkpoints()[:-1]:
            shutil.rmtree(older)

    def latest_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint, or None."""
        found = self._checkpoints()
        return found[-1] if found else None

    def _checkpoints(self) -> list[Path]:
        return sorted((self.path / CHECKPOINTS).glob("step-*"))


@contextmanager
def room_on_disk(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into a message with the way out."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        # torch.save and safetensors report a failed write as errors of their own, with the cause in the text.
        code = error.errno if isinstance(error, OSError) else None
        text = str(error)
        is_full = code in FULL or any(f"os error {one}" in text for one in FULL) or "PytorchStreamWriter" in text
        if not is_full and code not in (errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise
        what = f"the disk is full ({error})" if is_full else f"cannot write: {error}"
        raise EnvironmentGapError(
            [f"{path}: {what}; the last whole checkpoint is kept: make room and go on with --resume"]
        ) from error


def _refuse_changes(before: TrainConfig, now: TrainConfig, path: Path) -> None:
    old, new = (one.model_dump(exclude=set(MAY_CHANGE)) for one in (before, now))
    changed = [key for key in old if old[key] != new[key]]
    if changed:
        lines = [f"{path / CONFIG}: {key} was {_shown(old[key])}, now {_shown(new[key])}" for key in changed]
        hint = f"a resumed run may change only {', '.join(MAY_CHANGE)}; give another --out for a new run"
        raise InputError([*lines, hint])


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _was_and_is(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say which entries differ."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}" for name in names)


def sync(folder: Path) -> None:
    """Wait until all that lies in a folder is on the disk, its name aside."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            with path.open("rb") as opened:
                os.fsync(opened.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fresh_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Fill `target` by `write` into a folder beside it, so that a crash leaves the old one or the whole new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with room_on_disk(target.parent):
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            write(partial)
            partial.chmod(0o755)  # mkdtemp keeps others out
            put_in_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def put_in_place(partial: Path, target: Path) -> None:
    """Give a finished folder its name; what had the name before is removed once the new one is on the disk.

    At no moment is there neither. Linux exchanges the two in one step; where a system or disk cannot, the old folder
    stands beside as `.NAME.before` until the new one has its place.

    Args:
        partial: what was written, on the same disk as `target`.
        target: may be there already.
    """
    sync(partial)
    before = partial
    if not target.exists():
        partial.rename(target)
    elif not _exchanged(partial, target):
        before = target.with_name(f".{target.name}.before")
        shutil.rmtree(before, ignore_errors=True)
        target.rename(before)
        try:
            partial.rename(target)
        except BaseException:
            before.rename(target)
            raise
    sync_folder(target.parent)
    shutil.rmtree(before, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step; False where system or disk cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))
