"""Runs untrusted Python programs in bubblewrap and says which ran to their very end; imports only the standard library.

Each program gets a sandbox and an interpreter of its own (`pool.py`, `child.py`; what it can and
cannot do: docs/sandbox.md). Without bubblewrap nothing is run: `available()` says what is missing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from harness.errors import EnvironmentGapError
from harness.sandbox import child
from harness.sandbox.pool import MEMORY_BYTES, End, Limits, Sandbox

__all__ = ["Limits", "Outcome", "available", "run_program", "run_programs", "version"]

TRIAL_SECONDS = 20.0
INSTALL = (
    "bubblewrap is not there; install version 0.7 or newer "
    "(Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one program."""

    passed: bool
    """Whether it ran to its very end; nothing else makes it true."""
    reason: str
    """passed, or why not; text of the program's own making after "failed: "."""
    seconds: float
    """From handing the program over to its end; the start of the interpreter is not in it."""


def run_program(code: str, *, timeout_seconds: float, memory_bytes: int = MEMORY_BYTES) -> Outcome:
    """Run one program in a sandbox of its own.

    Args:
        code: Python source; it becomes the module `__main__`.
        timeout_seconds: wall clock from handing the program over.
        memory_bytes: address space of the program's one process.

    Raises:
        EnvironmentGapError: no sandbox can be made here; the program was not run.
    """
    return _run(code, Limits(timeout_seconds=timeout_seconds, memory_bytes=memory_bytes))


def run_programs(
    programs: Sequence[str],
    limits: Limits,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Run many programs, several at a time.

    Args:
        programs: Python sources.
        limits: what each of them may use.
        workers: how many run at once; None is one a core.
        progress: called with (programs done, programs) after each, in this thread.

    Returns:
        The outcomes in the order of `programs`.

    Raises:
        EnvironmentGapError: no sandbox can be made here; the first one that fails ends the rest.
    """
    pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)), thread_name_prefix="sandbox")
    try:
        futures = [pool.submit(_run, code, limits) for code in programs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress:
                progress(done, len(futures))
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


@functools.cache
def available() -> str | None:
    """Return None if programs can be run here, otherwise why not and what to do about it; tried once."""
    try:
        outcome = run_program("pass", timeout_seconds=TRIAL_SECONDS)
    except EnvironmentGapError as error:
        return str(error)
    return None if outcome.passed else f"the sandbox does not work: an empty program ended with {outcome.reason!r}"


def version() -> str:
    """Return what makes the sandbox, such as `bubblewrap 0.8.0`; raises EnvironmentGapError where it is not there."""
    told = subprocess.run([_bubblewrap(), "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _run(code: str, limits: Limits) -> Outcome:
    bwrap, uid = _bubblewrap(), _foreign_uid()
    with _started(bwrap, limits, drops_root=bool(uid)) as sandbox:
        sandbox.wait_for_start()
        began = time.monotonic()
        end = sandbox.run(code, uid)
        seconds = time.monotonic() - began
    return Outcome(passed=end.by == "its end", reason=_reason(end, code), seconds=round(seconds, 4))


@contextlib.contextmanager
def _started(bwrap: str, limits: Limits, *, drops_root: bool) -> Iterator[Sandbox]:
    """Start a sandbox; whatever happens, nothing of it is left afterwards."""
    ours, theirs = socket.socketpair()
    output, output_end = os.pipe()
    filter_read, filter_write = os.pipe()
    try:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        os.write(filter_write, child.syscall_filter())
        process = subprocess.Popen(
            child.command(bwrap, filter_read, drops_root=drops_root, tmp_bytes=limits.tmp_bytes),
            stdin=theirs.fileno(),
            stdout=output_end,
            stderr=output_end,
            pass_fds=[filter_read],
            cwd="/",
            env={},
        )
    except BaseException:
        os.close(output)
        ours.close()
        raise
    finally:
        theirs.close()
        for descriptor in (output_end, filter_read, filter_write):
            os.close(descriptor)
    sandbox = Sandbox(limits=limits, process=process, control=ours, output=output)
    try:
        yield sandbox
    finally:
        sandbox.stop()


def _bubblewrap() -> str:
    """The path of bubblewrap, on a machine whose system calls are known."""
    if platform.machine() not in child.MACHINES:
        raise EnvironmentGapError([f"no sandbox on {platform.machine()!r}: only x86_64 and aarch64 are known"])
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise EnvironmentGapError([INSTALL])
    return bwrap


def _foreign_uid() -> int:
    """For a root with uids to give away, one that nobody has; otherwise 0.

    A uid of its own for each program: the kernel counts RLIMIT_NPROC by uid, so programs would share the count.
    """
    if os.geteuid() != 0:
        return 0
    inside, _, count = Path("/proc/self/uid_map").read_text().splitlines()[-1].split()
    if int(count) < 2:
        return 0
    return int(inside) + int(count) - 1 - secrets.randbelow(int(count) // 2)


def _reason(end: End, code: str) -> str:
    """Put an end into words; by what the runner said of an exception, or else by the exit status."""
    if end.by != "itself":
        return "passed" if end.by == "its end" else end.by
    _, told, message = end.said.partition("E")
    if not told:
        return _status(end.status)
    kind, line, text = [*message.split("\n", 2), "", ""][:3]
    kind, text = _one_line(kind), _one_line(text)
    if kind == "MemoryError":
        return "memory"
    if kind == "SystemExit":
        return f"exited before its end (SystemExit: {text})"
    return f"failed: {kind}{': ' if text else ''}{text}{_where(line, code)}"


def _status(status: int) -> str:
    if status == 128 + signal.SIGXCPU:
        return "timed out"
    return f"killed by signal {status - 128}" if status > 128 else f"exited before its end (status {status})"


def _one_line(text: str) -> str:
    """Text of a program's making, fit for a table."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text[:300]).split())


def _where(line: str, code: str) -> str:
    source = code.splitlines()
    number = int(line) if line.isascii() and line.isdigit() and len(line) < 9 else 0
    return f" (line {number}: {source[number - 1].strip()[:120]})" if 0 < number <= len(source) else ""
