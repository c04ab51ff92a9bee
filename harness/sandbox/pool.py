"""A sandbox as processes, seen from outside: wait, watch, stop; imports only the standard library.

A sandbox is bubblewrap with one interpreter in it. `Sandbox.run` hands it a program and tells an `End`; that the
program ran to its very end is never reported by the interpreter, which could lie, but seen in /proc: `Standing`, and
why in `child.py`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from harness.errors import EnvironmentGapError
from harness.sandbox import child

MIB = 1 << 20
MEMORY_BYTES = 1024 * MIB
START_SECONDS = 60.0
"""How long an interpreter may take to start on a busy machine; no program runs yet, its clock does not either."""
POLL_SECONDS = 0.002
FRAME_BYTES = 512
"""Stack from the system call up to the runner's evaluation loop: it works in between, so its bytes change."""

ALLOW = (
    "a container must allow user namespaces (docker run --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined, or --privileged); Ubuntu 24.04 on the host: "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
)
TRACE = "allow ptrace of own processes (sysctl kernel.yama.ptrace_scope=1 or less; as root: CAP_SYS_PTRACE)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may use."""

    timeout_seconds: float
    """Wall clock."""
    memory_bytes: int = MEMORY_BYTES
    """Address space of its one process, the interpreter's own 30 MiB included."""
    output_bytes: int = 1 * MIB
    """Standard output and standard error together."""
    tmp_bytes: int = 64 * MIB
    """All files in /tmp together, and each of them."""
    threads: int = 64
    open_files: int = 64

    def header(self, uid: int, size: int) -> bytes:
        """What the runner is told before the program: the uid to become (0: stay), its limits, the program's size."""
        cpu = 2 * math.ceil(self.timeout_seconds) + 1
        fields = (uid, self.memory_bytes, cpu, self.threads, self.tmp_bytes, self.open_files, size)
        return " ".join(map(str, fields)).encode().ljust(112)


class End(NamedTuple):
    """How a program ended."""

    by: Literal["its end", "itself", "output limit", "timed out"]
    """"itself": its process is gone before its end."""
    status: int = 0
    """Exit status of bubblewrap when the process is gone: the program's, or 128 and the signal that killed it."""
    said: str = ""
    """What came over the control socket, by the runner or by the program."""


@dataclass(frozen=True, slots=True)
class Rooted:
    """Where the main thread of a process is blocked, as the kernel tells it."""

    call: tuple[str, ...]
    """Number and descriptor of the system call, stack pointer, program counter."""
    stack: bytes
    """The stack above the runner's own frame: its callers, all suspended, so not a byte of it changes."""

    @classmethod
    def of(cls, pid: int) -> Rooted | None:
        """Look at process `pid`; None while its only thread is not blocked in a read, and when it is gone."""
        try:
            fields = Path(f"/proc/{pid}/syscall").read_text().split()
            if len(fields) != 9 or int(fields[0]) != child.read_number() or len(os.listdir(f"/proc/{pid}/task")) > 1:
                return None
            start, top = int(fields[7], 16) + FRAME_BYTES, _stack_top(pid, int(fields[7], 16))
            with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                stack = os.pread(memory.fileno(), max(top - start, 0), start)
        except PermissionError:
            raise
        except OSError:  # gone, or going
            return None
        return cls((fields[0], fields[1], fields[7], fields[8]), stack)


def _stack_top(pid: int, pointer: int) -> int:
    """The end of the mapping that `pointer` points into; 0 if it points nowhere."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        low, _, high = line.split()[0].partition("-")
        if int(low, 16) <= pointer < int(high, 16):
            return int(high, 16)
    return 0


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """One sandbox, from its start to its end, seen from outside."""

    limits: Limits
    process: subprocess.Popen[bytes]
    control: socket.socket
    output: int
    poll: select.poll = field(default_factory=select.poll)
    pid: int = 0
    """The interpreter, as the kernel names whoever writes to `control`; 0 before it is up."""
    said: bytes = b""
    """The first of what came over `control`; shown, never believed."""
    tail: bytes = b""
    """The last of the output; shown if the sandbox does not come up."""
    written: int = 0
    """Bytes of output."""
    over: bool = False
    """Whether the sandbox has ended by itself."""
    init: int = -1
    """A pidfd of the first process in the sandbox: the kernel ends all others before this one is gone."""
    end: int = -1
    """A pidfd of bubblewrap, which ends after it."""

    def __post_init__(self) -> None:
        """Listen to messages, output and the end."""
        self.end = os.pidfd_open(self.process.pid)
        for descriptor in (self.control.fileno(), self.output, self.end):
            self.poll.register(descriptor, select.POLLIN)

    def step(self, seconds: float) -> None:
        """Take what comes within `seconds`: messages, output, the end."""
        ready = {descriptor for descriptor, _ in self.poll.poll(math.ceil(seconds * 1000))}
        self.over = self.process.poll() is not None
        if self.control.fileno() in ready:
            self._take_message()
        if self.output in ready:
            self._take_output()

    def _take_message(self) -> None:
        try:
            part, ancillary, _, _ = self.control.recvmsg(4096, socket.CMSG_SPACE(12))
        except ConnectionResetError:
            part, ancillary = b"", []
        if not part:
            self.poll.unregister(self.control)
            return
        self.pid = self.pid or struct.unpack("iII", ancillary[0][2])[0]
        self.said = (self.said + part)[:4096]

    def _take_output(self) -> None:
        part = os.read(self.output, 1 << 16)
        if not part:
            self.poll.unregister(self.output)
        self.written += len(part)
        self.tail = (self.tail + part)[-2000:]

    def wait_for_start(self) -> None:
        """Wait for the runner; EnvironmentGapError if it does not come up."""
        deadline = time.monotonic() + START_SECONDS
        while not self.pid:
            if self.over or time.monotonic() > deadline:
                self.step(0)
                raise EnvironmentGapError([f"no sandbox: {self.tail.decode(errors='replace').strip()!r}; {ALLOW}"])
            self.step(1.0)
        self.said = b""
        self.init = os.pidfd_open(_parent(self.pid))

    def stop(self) -> None:
        """End everything in the sandbox and wait until it is gone."""
        if self.init >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.init, signal.SIGKILL)
            gone = select.poll()
            gone.register(self.init, select.POLLIN)
            gone.poll()  # bubblewrap itself may leave before
            os.close(self.init)
        else:
            self.process.kill()
        self.process.wait()
        os.close(self.end)
        os.close(self.output)
        self.control.close()

    def run(self, code: str, uid: int) -> End:
        """Hand the program over, wait for its end or its limit, and tell which it was."""
        deadline = time.monotonic() + self.limits.timeout_seconds
        source = code.encode("utf-8", "surrogatepass")
        message = memoryview(self.limits.header(uid, len(source)) + source)
        before: Rooted | None = None
        while (left := deadline - time.monotonic()) > 0:
            self.step(min(left, POLL_SECONDS if message or self.said else left))
            if self.written > self.limits.output_bytes:
                return End("output limit")
            if self.over:
                self.step(0)
                return End("itself", self.process.returncode, self.said.decode(errors="replace"))
            if message:
                message = message[self._send(message) :]
            elif self.said and (now := self._look()):
                if before is None:
                    before, self.said = now, b""
                    self._send(memoryview(b"g"))
                elif now == before:
                    return End("its end")
        return End("timed out")

    def _look(self) -> Rooted | None:
        try:
            return Rooted.of(self.pid)
        except PermissionError as error:
            if self.said == b"ready":  # alive, and waiting for us
                raise EnvironmentGapError([f"the sandbox cannot be watched: {error}; {TRACE}"]) from error
            return None  # a process that is ending belongs to root

    def _send(self, message: memoryview) -> int:
        try:
            return self.control.send(message)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            return len(message)


def _parent(pid: int) -> int:
    """The parent of process `pid`."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
