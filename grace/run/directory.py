"""The directory of a run: configuration, metrics, checkpoints; every write survives a crash whole or not at all.

config.yaml  environment.json  metrics.jsonl  skipped.jsonl  checkpoints/step-00000050/
and at the end: adapter/ or model/, README.md, candidate.yaml (which is written last)
"""

from __future__ import annotations

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
MAY_CHANGE = (
    "description",
    "device",
    "batch_tokens",
    "steps",
    "budget_minutes",
    "budget_cpu_seconds",
    "checkpoint_every",
    "trackio",
    "candidate",
)
"""What a resumed run may say differently from its beginning."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How systems say that there is no room: on the disk, in the quota, for a file so large."""


class RunDir:
    """A run's directory; only the main process writes."""

    def __init__(self, path: Path, *, is_main: bool = True) -> None:
        """Name the directory; `prepare` makes it."""
        self.path = path
        self.is_main = is_main

    def prepare(self, config: TrainConfig, *, resume: bool) -> None:
        """Make the directory and save the configuration.

        Raises:
            InputError: it holds a run already and `resume` is False, or that run had another configuration.
        """
        saved = self.path / CONFIG
        if saved.exists() and not resume:
            raise InputError([f"{self.path}: holds a run already; go on with --resume, or give another --out"])
        if not saved.exists() and self.path.is_dir() and any(self.path.iterdir()):
            raise InputError([f"{self.path}: is not empty and holds no run; give another --out"])
        if saved.exists():
            _refuse_changes(load_config(saved).config, config, self.path)
        if not self.is_main:
            return
        with room_on_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(saved, to_yaml(config).encode())
            shutil.rmtree(self.path / CHECKPOINTS / ".partial", ignore_errors=True)

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
                _sync(partial)
                partial.rename(target)
                _sync_folder(folder)
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


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
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
            _sync(partial)
            partial.chmod(0o755)  # mkdtemp keeps others out
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
