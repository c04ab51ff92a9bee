"""What transformers' Trainer calls while a policy trains: learning rate, metrics, when to stop, checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback  # noqa: TID253 - imported when a policy is trained, and never before

from grace.run.directory import room_on_disk, sync, sync_folder
from grace.run.session import Session
from grace.run.stopping import Clock, Interrupt, learning_rate, share_done
from grace.run.tracking import Tracker
from harness.digests import write_atomically

CLOCK = "clock.json"
"""Of a checkpoint: steps and seconds so far; written last, so that what has it is whole."""
LOGGED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "lr",
    "reward": "reward",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "groups_without_spread",
    "greedy_reward": "greedy_reward",
    "kl": "kl",
    "entropy": "entropy",
    "info_nce": "info_nce",
    "truncated": "truncated",
    "completions/mean_length": "tokens_per_rationale",
    "generated_tokens": "generated_tokens",
    "clip_ratio/region_mean": "clipped",
}
"""trl's names to those of metrics.jsonl; the reward's terms come with them under their own."""


class Bookkeeping(TrainerCallback):  # type: ignore[misc]
    """What is done between the steps of one run."""

    def __init__(
        self, session: Session, checkpoint: Path | None, interrupt: Interrupt, tracker: Tracker, *, span: int
    ) -> None:
        """Go on from the times of `checkpoint`.

        Args:
            session: of the run.
            checkpoint: from `newest_checkpoint`; None begins at zero.
            interrupt: whether somebody asked the run to stop.
            tracker: where metrics go beside the run's own file.
            span: optimiser steps from one generation to the next.
        """
        self.done = clock_of(checkpoint)
        self.clock = self._started()
        self.is_interrupted = False
        self._span = span
        self._session, self._interrupt, self._tracker = session, interrupt, tracker
        self._step_began = 0.0

    def _started(self) -> Clock:
        return Clock(self.done["seconds"], self.done["cpu_seconds"])

    def _share(self, step: int) -> float:
        return share_done(self._session.config, step, self.clock)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start the clock: what came before is no training."""
        self.clock = self._started()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Set the learning rate; schedules follow budgets too, which transformers' own cannot."""
        self._step_began = self.clock.seconds
        rate = learning_rate(self._session.config.optimiser, state.global_step, self._share(state.global_step))
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = rate

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Stop at the end of steps or budget, or at a signal; save at the end of a generation's steps only."""
        step, session = state.global_step, self._session
        # Sums over processes: every one of them must stop at the same step.
        asked, total = session.world.total([self._interrupt.is_requested, self._share(step)], session.trained.device)
        is_over, is_boundary = total / session.world.size >= 1, step % self._span == 0
        if is_over or (asked and is_boundary):
            control.should_training_stop = True
            self.is_interrupted = bool(asked) and not is_over
        every = -(-session.config.checkpoint_every // self._span) * self._span
        if is_over or (is_boundary and (step % every == 0 or control.should_training_stop)):
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:  # noqa: ARG002
        """Write a row of metrics and show it."""
        session, seconds = self._session, self.clock.seconds
        if "grad_norm" not in logs or not session.world.is_main:  # trl's summary at the end
            return
        row = metrics_row(logs, step=state.global_step, seconds=seconds, took=seconds - self._step_began)
        row |= {"cpu_seconds": round(self.clock.cpu_seconds, 3)}
        session.run.log(row)
        self._tracker.log(row)
        session.progress.row(row, share=self._share(state.global_step), seconds=seconds, steps=session.config.steps)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Make the checkpoint whole, and only then drop the older ones."""
        self._session.world.wait()  # each process writes a part of it
        if not self._session.world.is_main:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        about = {"step": state.global_step, "seconds": self.clock.seconds, "cpu_seconds": self.clock.cpu_seconds}
        with room_on_disk(folder):
            sync(folder)
            write_atomically(folder / CLOCK, json.dumps(about).encode())
            sync_folder(folder.parent)
        kept = {folder, newest_checkpoint(folder.parent, lambda done: int(done["step"]) % self._span == 0)}
        for older in folder.parent.glob("checkpoint-*"):
            if older not in kept:
                shutil.rmtree(older)


def newest_checkpoint(folder: Path, can_go_on: Callable[[Mapping[str, float]], bool]) -> Path | None:
    """Return the newest whole checkpoint that a run can go on from; what a crash left unfinished is passed over.

    Args:
        folder: of the run's checkpoints.
        can_go_on: from steps and seconds, see `clock_of`: in the midst of a generation's steps a run can end, but not
            begin.
    """
    whole = [one for one in folder.glob("checkpoint-*") if (one / CLOCK).is_file() and can_go_on(clock_of(one))]
    return max(whole, key=lambda one: int(one.name.rpartition("-")[2]), default=None)


def clock_of(checkpoint: Path | None) -> dict[str, float]:
    """Return the steps and seconds that a checkpoint stands for; zeros without one."""
    if checkpoint is None:
        return {"step": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    found: dict[str, float] = json.loads((checkpoint / CLOCK).read_text(encoding="utf-8"))
    return found


def metrics_row(logs: Mapping[str, Any], *, step: int, seconds: float, took: float) -> dict[str, Any]:
    """Return a row of metrics.jsonl.

    Args:
        logs: what trl logs of a step.
        step: 1-based.
        seconds: since the training began, over all resumptions.
        took: seconds of this step.
    """
    row: dict[str, Any] = {"step": step, "seconds": round(seconds, 3), "step_seconds": round(took, 3)}
    row |= {name: float(logs[theirs]) for theirs, name in LOGGED.items() if logs.get(theirs) is not None}
    row |= {key: float(value) for key, value in logs.items() if key.startswith("reward_terms")}
    return row
