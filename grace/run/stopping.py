"""When a training loop ends: steps, budgets, or a signal; and the learning rate on the way."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from grace.config.schema import Optimiser, TrainConfig

CHECKED_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Clock:
    """Wall and processor time of a training loop, over all its resumptions."""

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        """Go on from what earlier parts of the run took."""
        self._seconds, self._cpu = seconds, cpu_seconds
        self._began, self._cpu_began = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds so far."""
        return self._seconds + time.monotonic() - self._began

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds so far, all threads together."""
        return self._cpu + time.process_time() - self._cpu_began


def share_done(config: TrainConfig, step: int, clock: Clock) -> float:
    """Return how much of steps and budgets is used up, in [0, ...): 1 or more ends the training."""
    shares = []
    if config.steps is not None:
        shares.append(step / config.steps)
    if config.budget_minutes is not None:
        shares.append(clock.seconds / (60 * config.budget_minutes))
    if config.budget_cpu_seconds is not None:
        shares.append(clock.cpu_seconds / config.budget_cpu_seconds)
    return max(shares)


def learning_rate(optimiser: Optimiser, step: int, share: float) -> float:
    """Return the rate of a step.

    Args:
        optimiser: peak, schedule, warm-up.
        step: 0-based.
        share: of the run that is done, [0, 1]; the schedules fall from the start of the run, warm-up included.
    """
    rate = optimiser.lr
    if optimiser.schedule == "linear":
        rate *= 1 - min(share, 1.0)
    elif optimiser.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return rate * min(1.0, (step + 1) / optimiser.warmup_steps) if optimiser.warmup_steps else rate


class Interrupt:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        """Not yet."""
        self.is_requested = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Note the first signal; a second one ends at once."""
        if self.is_requested:
            raise KeyboardInterrupt
        self.is_requested = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn Ctrl-C and SIGTERM inside the block into a request: the step is finished and a checkpoint written first."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in CHECKED_SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
