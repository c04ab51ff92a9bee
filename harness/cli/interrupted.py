"""Ctrl-C before a command has begun and after it has ended; imports little, so that it is there from the start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED = 130
"""`harness.errors.ExitCode.INTERRUPTED`, which is not imported yet."""


@contextmanager
def leaving_quietly() -> Iterator[None]:
    """Have Ctrl-C end the process with 130 and without a traceback, also while libraries are being imported."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def leave(code: int) -> NoReturn:
    """End the process with `code`; Ctrl-C while libraries tidy up ends it at once, and in silence."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells have it for what runs in the background
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    sys.exit(code)
