"""One training at a time writes to a directory: two would write each other's checkpoints."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.candidates.untrained import lock_of
from harness.training.starting import HANDED_ON, STARTED_BY

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM, errno.EROFS)
"""What a file system answers that has no locks, or no room for one beside the run's own directory."""
WATCH_EVERY_SECONDS = 1.0


@contextmanager
def alone_in(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Train into `directory` in here; waits for whoever does so already, which `say` is told.

    The lock goes with the process that holds it, whatever ends that.
    """
    file = lock_of(directory)
    lock = FileLock(file)
    try:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{directory}: another training writes there; this one waits for its end")
            lock.acquire(poll_interval=1.0)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def leave_with_parent() -> None:
    """Ask this process to end, as Ctrl-C does, once the one that started it is gone: nobody would wait for it.

    Whoever names itself in the environment is waited for by that number: it may be gone before this is called, and the
    process have another parent by now. SIGTERM asks, since SIGINT may be ignored (`HANDED_ON`).
    """
    parent = int(os.environ.pop(STARTED_BY, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_EVERY_SECONDS)
        os.kill(os.getpid(), HANDED_ON)

    threading.Thread(target=watch, name="leaves with its parent", daemon=True).start()
