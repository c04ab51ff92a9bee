"""What a download shows: a bar on a terminal, plain lines elsewhere; both on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress


LINE_EVERY_SECONDS = 10.0
"""How often a long download is mentioned where there is no terminal."""


class FetchProgress:
    """Counts files and bytes of one repository after the other."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error by default: a bar where it is a terminal."""
        self._stream = stream or sys.stderr
        self._bar = _bar() if self._stream.isatty() else None
        self._what = ""
        self.position = ""
        """Put before each repository's name, such as `[3/60] `."""
        self._began = self._last = time.monotonic()
        self._files = self._of_files = self._bytes = self._of_bytes = self._at_start = 0

    def say(self, line: str) -> None:
        """Write a line of its own."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def start(self, what: str, *, files: int, size: int, done: int) -> None:
        """Begin a repository.

        Args:
            what: how people name it.
            files: so many to have.
            size: their bytes.
            done: bytes of them that are here already.
        """
        self._what = what = f"{self.position}{what}"
        self._began = self._last = time.monotonic()
        self._files, self._of_files = 0, files
        self._bytes = self._at_start = done
        self._of_bytes = size
        if self._bar is not None:
            self._bar.start()
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(what, total=size, completed=done)
        else:
            self.say(f"{what}: {files} file(s), {bytes_text(size)}, {bytes_text(done)} already here")

    def advance(self, size: int) -> None:
        """So many more bytes are here; negative when some had to be thrown away."""
        self._bytes += size
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._bytes)
        elif time.monotonic() - self._last >= LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            self.say(f"  {self}")

    def file_done(self) -> None:
        """Another file is complete and checked."""
        self._files += 1

    def done(self, outcome: str) -> None:
        """Say how the repository ended."""
        self.say(f"  {self._what}: {outcome}, {self}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def __str__(self) -> str:
        """Return `3/7 files, 120.0 MB of 512.3 MB, 14.2 MB/s, 28 s left`."""
        elapsed = max(time.monotonic() - self._began, 1e-9)
        rate = (self._bytes - self._at_start) / elapsed
        left = self._of_bytes - self._bytes
        eta = f", {left / rate:.0f} s left" if left > 0 and rate > 0 else ""
        return (
            f"{self._files}/{self._of_files} files, {bytes_text(self._bytes)} of {bytes_text(self._of_bytes)}, "
            f"{bytes_text(rate)}/s{eta}"
        )


def bytes_text(size: float) -> str:
    """Return a size with one decimal in the unit that suits it: `8 B`, `1.5 kB`, `12.0 MB`, `3.1 GB`."""
    for unit in ("B", "kB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
