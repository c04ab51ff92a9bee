"""Cells on this machine: in this process, or in `workers` of its own.

A worker process may be killed at any time, by the kernel for want of memory or by a library that crashes. Each has a
pipe of its own, so that none can take a lock with it that others wait for; another process takes the place of a dead
one. Where there are GPUs each worker is given one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from harness.errors import EnvironmentGapError, HarnessError
from harness.evaluation.chatter import quiet
from harness.evaluation.dispatch import Dispatch
from harness.evaluation.events import Event, Remark, Reporter
from harness.evaluation.options import RunOptions
from harness.evaluation.units import Done, Unit
from harness.evaluation.worker import Worker
from harness.plan.cells import Cell, Plan
from harness.results.store import Store
from harness.wording import duration

WAIT_SECONDS = 0.5
"""Between looks at what other runs hold, and at how long workers have been at their units."""
LEAVE_SECONDS = 5.0
"""For a worker to leave before it is killed."""
READY = "ready"
"""What a process tells when it has imported all it needs."""


def run_cells(plan: Plan, cells: Sequence[Cell], options: RunOptions, reporter: Reporter) -> Collection[str]:
    """Run `cells`, those of a candidate one after the other so that it is loaded once.

    Args:
        plan: that the cells are of.
        cells: with a key each.
        options: `results`, `workers`, `use_cache`, `part` and `cell_timeout`.
        reporter: told in this process, whichever process ran a cell.

    Returns:
        The cells that other parts of the run are to finish.

    Raises:
        HarnessError: nothing more can be committed, or no worker process can be started.
    """
    is_one = options.processes <= 1 and options.cell_timeout is None  # a process cannot end itself amid a hang
    dispatch = Dispatch.of(plan, cells, options, reporter, longest_first=options.processes > 1)
    if is_one:
        _run_here(dispatch, options)
        return dispatch.others
    crew = Crew(dispatch=dispatch, plan=plan, options=options)
    try:
        crew.run()
    finally:
        crew.dismiss()
    return dispatch.others


def _run_here(dispatch: Dispatch, options: RunOptions) -> None:
    worker = worker_of(dispatch.plan, options, dispatch)
    with heeding_interrupts() as check:
        while not dispatch.schedule.is_over:
            check()
            unit = dispatch.schedule.take(worker.model)
            if unit is None:  # another run is at all that is left
                time.sleep(WAIT_SECONDS)
                dispatch.schedule.release()
            else:
                dispatch.back(worker.do(unit))


@contextmanager
def heeding_interrupts() -> Iterator[Callable[[], None]]:
    """Yield what raises KeyboardInterrupt where one came that Python lost.

    It prints an error that is raised while an object is destroyed, and goes on: a Ctrl-C at that moment would be
    nothing but a line on the terminal.
    """
    came: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def worker_of(plan: Plan, options: RunOptions, reporter: Reporter) -> Worker:
    """Return a worker of a run."""
    return Worker(
        plan=plan,
        store=Store(options.results),
        reporter=reporter,
        use_cache=options.use_cache,
        is_part=options.part is not None,
    )


@dataclass(slots=True, kw_only=True)
class Hand:
    """A worker process."""

    number: int
    process: Any
    pipe: Any
    """Our end of its pipe: units go out, events and results come in; it ends with the process."""
    unit: Unit | None = None
    """What it is at."""
    since: float = 0.0
    """When it was given that, by the monotonic clock."""
    model: str | None = None
    """Whose encoder it has loaded."""
    is_ready: bool = False
    """Whether it has told so."""


@dataclass(slots=True, kw_only=True)
class Crew:
    """The worker processes of a run, watched by the process that started them."""

    dispatch: Dispatch
    plan: Plan
    options: RunOptions
    context: Any = field(default_factory=lambda: multiprocessing.get_context("spawn"))  # torch survives no fork
    hands: dict[Any, Hand] = field(default_factory=dict)
    """By their pipe."""
    hired: int = 0
    stillborn: int = 0
    """Processes that ended before they were ready, one after the other; where all do, no more are started."""
    released: float = 0.0
    """When units that other runs held were last let be tried again."""
    work: Callable[..., None] = field(default_factory=lambda: _work)
    """What a process does."""

    def run(self) -> None:
        """Start the workers, keep them busy, and take the places of those that die, until all cells are over."""
        while not self.dispatch.schedule.is_over:
            while len(self.hands) < min(self.options.processes, self.dispatch.schedule.can_use):
                if self.stillborn >= self.options.processes or not self._hire():
                    break
            if not self.hands:
                return  # what is left has no record, and the run says so
            self._give()
            for pipe in wait(list(self.hands), timeout=WAIT_SECONDS):
                self._listen(self.hands[pipe])
            if time.monotonic() - self.released > WAIT_SECONDS:  # else a unit that another run holds is asked for again
                self.released = time.monotonic()  # as fast as pipes can carry it
                self.dispatch.schedule.release()
            self._end_those_that_hang()

    def _hire(self) -> bool:
        """Start one more worker; go on with those there are where the machine has no room for it."""
        ours, theirs = self.context.Pipe(duplex=True)
        threads = max(1, (os.cpu_count() or 1) // self.options.processes)
        arguments = (self.plan, self.options, theirs, self.hired, threads)
        process = self.context.Process(target=self.work, args=arguments, daemon=True)
        try:
            process.start()
        except OSError as error:
            ours.close()
            if not self.hands:
                raise EnvironmentGapError(
                    [f"no worker process can be started: {error.strerror or error}; run with --workers 1"]
                ) from error
            self.dispatch.report(Remark(text=f"a worker process cannot be started: {error.strerror or error}"))
            return False
        finally:
            theirs.close()  # else its end is never seen
        self.hands[ours] = Hand(number=self.hired, process=process, pipe=ours)
        self.hired += 1
        return True

    def _give(self) -> None:
        """Give every idle worker a unit, as long as there are some."""
        for hand in list(self.hands.values()):
            if hand.unit is not None or not hand.is_ready:
                continue
            unit = self.dispatch.schedule.take(hand.model)
            if unit is None:
                continue
            hand.unit, hand.since, hand.model = unit, time.monotonic(), unit.cell.encoder
            with suppress(BrokenPipeError, ConnectionResetError):  # its end is seen when it is listened to
                hand.pipe.send(unit)

    def _listen(self, hand: Hand) -> None:
        try:
            told = hand.pipe.recv()
        except (EOFError, OSError):  # it broke off, if need be amid a message
            self._leaves(hand)
            return
        if isinstance(told, HarnessError):  # ends the run for all
            raise told
        if told == READY:
            hand.is_ready, self.stillborn = True, 0
        elif isinstance(told, Done):
            hand.unit = None
            self.dispatch.back(told)
        else:
            self.dispatch.report(told)

    def _end_those_that_hang(self) -> None:
        most = self.options.cell_timeout
        for hand in list(self.hands.values()):
            if most is not None and hand.unit is not None and time.monotonic() - hand.since > most:
                hand.process.kill()
                self._leaves(hand, why=worked_too_long(most))

    def _leaves(self, hand: Hand, why: str | None = None) -> None:
        """Take note of a worker's end."""
        hand.process.join()
        hand.pipe.close()
        del self.hands[hand.pipe]
        how = why or ending(hand.process.exitcode)
        self.stillborn += not hand.is_ready
        if hand.unit is None:
            self.dispatch.report(Remark(text=f"worker {hand.number} {how} before it came to a cell"))
            return
        self.dispatch.died(hand.unit, f"worker {hand.number} {how}{'' if why else ' while it was at this cell'}")

    def dismiss(self) -> None:
        """End the workers that are left, whatever the run ended with: idle ones leave by themselves."""
        for hand in self.hands.values():
            if hand.unit is not None or not hand.is_ready:
                hand.process.terminate()
            hand.pipe.close()
        for hand in self.hands.values():
            hand.process.join(timeout=LEAVE_SECONDS)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
        self.hands.clear()


def worked_too_long(most: float) -> str:
    """Return what is said of a worker that was ended after `most` seconds at a unit."""
    return f"worked on it for more than {duration(most)} (--cell-timeout), and was ended"


def ending(code: int) -> str:
    """Return how a process ended, in words, by its exit code: negative ones are signals."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    perhaps = {"SIGKILL": ", perhaps out of memory (fewer --workers or a smaller batch_tokens need less)"}
    return f"was killed by {name}{perhaps.get(name, '')}"


def _work(plan: Plan, options: RunOptions, pipe: Any, number: int, threads: int) -> None:
    """Be worker process `number`: do the units that come, until the pipe ends."""
    _leave_with_parent()
    _take_a_device(number)
    quiet(options.results)
    import torch

    torch.set_num_threads(threads)
    sender = _Sender(pipe)
    worker = worker_of(plan, options, sender)
    # The parent says so, or is not there to be told.
    with suppress(KeyboardInterrupt, EOFError, ConnectionResetError, _ParentGone):
        sender.send(READY)
        try:
            while True:
                sender.send(worker.do(pipe.recv()))
        except HarnessError as error:
            sender.send(error)


def _leave_with_parent() -> None:
    """End this process with the one that started it, whatever it is at: what is half done would be in the way.

    A worker that is at a unit for hours, or hangs, would hold that unit's lock, and the next run would wait for it.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="leaves with its parent", daemon=True).start()


def _take_a_device(number: int) -> None:
    """Leave one GPU to be seen, where there are some; before torch counts them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = named.split(",") if named else [str(one) for one in range(_gpus())]
    if len(seen) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[number % len(seen)]


def _gpus() -> int:
    """Return how many NVIDIA GPUs the driver knows, without a context on any of them."""
    from pathlib import Path

    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


class _ParentGone(BaseException):
    """Nobody reads what this process tells; no cell's error."""


@dataclass(frozen=True, slots=True)
class _Sender:
    """A reporter that sends what it is told to the parent process."""

    pipe: Any
    """This process's end."""

    def report(self, event: Event) -> None:
        """Send it."""
        self.send(event)

    def send(self, told: Event | Done | HarnessError | str) -> None:
        """Send it; a worker whose parent is gone has nobody to work for, and leaves."""
        try:
            self.pipe.send(told)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ParentGone from error
