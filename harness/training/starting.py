"""`grace train` for one candidate after the other: signals are handed on, and a failure leaves the others going."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.candidates.untrained import is_trained, note_failure
from harness.errors import ExitCode
from harness.sources.places import Sources
from harness.training.asked import Training, grace_command, grace_environment
from harness.wording import first_few

Say = Callable[[str], None]
"""Is told a line."""
KEPT_LINES = 40
"""Of a training's output, to say why it failed."""
SAID_LINES = 3
HANDED_ON = signal.SIGTERM
"""For Ctrl-C too: what a script runs in the background ignores SIGINT, and so would a training that it starts."""
STARTED_BY = "GRACE_STARTED_BY"
"""The variable by which a training knows our process, should that be gone before it can ask who its parent is."""
STEP = "step "
"""What a line of progress begins with."""
MEANINGS = {
    ExitCode.USER_ERROR: "its configuration, data or directory",
    ExitCode.CELLS_FAILED: "it came to nothing",
    ExitCode.ENVIRONMENT: "something is not there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A training that came to no candidate."""

    reason: str
    """In one line."""
    exit_code: ExitCode
    """As the command's own exit codes mean it."""


def train_all(trainings: Sequence[Training], sources: Sources, say: Say) -> dict[str, Failed]:
    """Train what is missing, one after the other; returns directory -> why it failed.

    Args:
        trainings: in the order in which they can be made.
        sources: handed on to `grace train`.
        say: is told what is begun, and every line that a training says.

    A student whose teacher failed, or whoever writes for it, is not begun.

    Raises:
        KeyboardInterrupt: it was interrupted; the training that ran has a checkpoint, and the same call goes on.
    """
    failed: dict[str, Failed] = {}
    broken: dict[Path, str] = {}
    for number, one in enumerate(trainings, start=1):
        say(f"training {number} of {len(trainings)}: {one.directory} ({one.objective}, {one.ends_after})")
        if lost := next((path for path in one.awaited if path in broken), None):
            whose = "its teacher" if lost == one.teacher_path else "its teacher's writer"
            why = f"{whose} {broken[lost]} was not trained"
            found: Failed | None = Failed(reason=why, exit_code=ExitCode.CELLS_FAILED)
        else:
            found = _train(one, sources, say)
        note_failure(one.path, found.reason if found else None)
        if found is not None:
            failed[one.directory], broken[one.path] = found, one.directory
            say(f"{one.directory}: training failed, and the others go on: {found.reason}")
    return failed


def command_of(training: Training, sources: Sources) -> list[str]:
    """Return the arguments of `grace` that train a candidate, or go on with it."""
    command = ["train", training.config, "--out", training.directory, "--resume", "--unless-trained", "--with-parent"]
    command += [part for one in training.overrides for part in ("-o", one)]
    command += ["--hub", str(sources.hub)] if sources.hub else []
    return [*command, "--offline"] if sources.offline else command


def _train(training: Training, sources: Sources, say: Say) -> Failed | None:
    """Run the command to its end; returns why there is no candidate.

    Raises:
        KeyboardInterrupt: it was interrupted, by us or by somebody else.
    """
    process = subprocess.Popen(
        grace_command(*command_of(training, sources)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**grace_environment(), STARTED_BY: str(os.getpid())},
        process_group=0,  # Ctrl-C comes to us, who hand it on: a second one would end it without a checkpoint
    )
    last = _followed(process, say)
    if process.returncode == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    # The candidate is written last: what ends the process after that, say a kill while it leaves, takes nothing away.
    return None if is_trained(training.path) else _failed(process.returncode, last)


def _followed(process: subprocess.Popen[str], say: Say) -> list[str]:
    """Hand on what a process says until it ends, and to it every interrupt; returns its last lines.

    Raises:
        KeyboardInterrupt: there was an interrupt, however the process ended: one that is still starting is killed, one
            that is at its end leaves as if there had been none.
    """
    last: deque[str] = deque(maxlen=KEPT_LINES)
    is_interrupted = has_ended = False
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    try:
        while not has_ended:
            try:
                for line in process.stdout:
                    last.append(line.rstrip())
                    say(last[-1])
                process.wait()
                has_ended = True
            except KeyboardInterrupt:
                is_interrupted = True
                process.send_signal(HANDED_ON)  # it writes a checkpoint and ends; a second one ends it at once
    except BaseException:  # nobody can be told any more
        process.terminate()
        process.wait()
        raise
    if is_interrupted:
        raise KeyboardInterrupt
    return list(last)


def _failed(code: int, last: Sequence[str]) -> Failed:
    told = [line for line in last if line and not line.startswith(STEP)][-SAID_LINES:]
    said = first_few(told, most=SAID_LINES).replace("\n", " ") or "it said nothing"
    if code < 0:
        with suppress(ValueError):
            said = f"{signal.Signals(-code).name} ended it (memory, or somebody's kill); before that: {said}"
        return Failed(reason=said, exit_code=ExitCode.CELLS_FAILED)
    known = ExitCode(code) if code in (2, 3, 4) else ExitCode.CELLS_FAILED
    return Failed(reason=f"exit code {code}, {MEANINGS.get(known, '')}: {said}", exit_code=known)
