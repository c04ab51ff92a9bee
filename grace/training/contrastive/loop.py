"""The training loop of the contrastive objectives: infonce, simcse, infonce-rationale.

All that a step draws at random is a function of (seed, step), so a run that is killed and resumed ends with the weights
of an undisturbed one.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grace.config.schema import TrainConfig
from grace.data.batches import batch_of
from grace.data.table import Row
from grace.errors import TrainingFailedError
from grace.run.parts import Cost
from grace.run.session import Finished, Session
from grace.run.stopping import Clock, Interrupt, interruptible, learning_rate, share_done
from grace.run.tracking import Tracker
from grace.training.contrastive.checks import check_contrastive
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.step import ContrastiveStep
from harness.errors import InputError

if TYPE_CHECKING:
    import torch


STATE = "state.pt"


def train_contrastive(session: Session, *, resume: bool) -> Finished:
    """Train until steps or budget are used up, or a signal comes.

    Args:
        session: config, model, data; several processes each take a share of every batch.
        resume: go on from the newest checkpoint, where there is one.

    Raises:
        InputError: the batch cannot be shared out among the processes.
        TrainingFailedError: the loss or the gradient is not finite.
        EnvironmentGapError: the disk is full; the last checkpoint is kept.
    """
    loop = _Loop(session)
    checkpoint = session.run.latest_checkpoint() if resume else None
    if checkpoint is not None:
        loop.load(checkpoint)
        session.run.forget_after(loop.step)
        session.progress.say(f"going on after step {loop.step}")
    told = Tracker(session.config, session.progress.say, is_on=session.world.is_main)
    with interruptible() as interrupt, told as tracker:
        return loop.run(interrupt, tracker)


class _Loop:
    """The state between steps."""

    def __init__(self, session: Session) -> None:
        import torch

        self._session = session
        config, world = session.config, session.world
        check_contrastive(config, session.data, processes=world.size)
        self._parameters = session.trained.parameters()
        self._optimiser = _adamw(config.optimiser.weight_decay, self._parameters, config)
        self._inputs = make_inputs(config, session.trained)
        self._contrastive = ContrastiveStep(session, self._inputs)
        self._generated_tokens = 0
        self._no_limit = torch.inf
        self.step = 0
        self._clock = Clock()

    def load(self, checkpoint: Path) -> None:
        """Take weights, optimiser, step and clock from a checkpoint."""
        import torch

        self._session.trained.load_weights(checkpoint)
        state = torch.load(checkpoint / STATE, map_location=self._session.trained.device, weights_only=True)
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self._inputs.restore(state.get("inputs", {}))
        self._clock = Clock(state["seconds"], state["cpu_seconds"])

    def run(self, interrupt: Interrupt, tracker: Tracker) -> Finished:
        """Make steps until the end."""
        session, config = self._session, self._session.config
        is_interrupted = False
        while True:
            share = share_done(config, self.step, self._clock)
            # One vote for all: the processes' clocks differ, and a signal may have reached one of them only.
            ends, stops = session.world.total([share >= 1, interrupt.is_requested], session.trained.device)
            is_interrupted = bool(stops) and not ends
            if ends and not self.step:
                raise InputError([_nothing_left(config)])
            if ends or stops:
                break
            if not self._is_prepared(interrupt):
                continue  # the vote says why
            row = self._one_step(share)
            session.run.log(row)
            tracker.log(row)
            if session.world.is_main:
                done = share_done(config, self.step, self._clock)
                session.progress.row(row, share=done, seconds=self._clock.seconds, steps=config.steps)
            if self.step % config.checkpoint_every == 0:
                self._save()
        self._save()
        return Finished(
            steps=self.step,
            seconds=self._clock.seconds,
            cpu_seconds=self._clock.cpu_seconds,
            is_interrupted=is_interrupted,
            facts=self._facts(),
        )

    def _is_prepared(self, interrupt: Interrupt) -> bool:
        """Let the inputs make what the next step needs; whether it is all there.

        What that takes is part of the run's time, also where an interrupted run has made some of it before.
        """
        session, config = self._session, self._session.config
        seconds, cpu_seconds = self._clock.seconds, self._clock.cpu_seconds
        is_asked_to_stop = False

        def stops(spent: Cost) -> bool:
            nonlocal is_asked_to_stop
            clock = Clock(seconds + spent.seconds, cpu_seconds + spent.cpu_seconds)
            asked = [share_done(config, self.step, clock) >= 1, interrupt.is_requested]
            ends, is_asked_to_stop = (bool(one) for one in session.world.total(asked, session.trained.device))
            return ends or is_asked_to_stop

        prepared = self._inputs.prepare(session, self.step, stops)
        if prepared.cost.seconds:
            # What an interrupted run has made is counted by the one that goes on with it.
            cost = prepared.cost if prepared.is_whole or not is_asked_to_stop else Cost()
            self._clock = Clock(seconds + cost.seconds, cpu_seconds + cost.cpu_seconds)
        self._generated_tokens = prepared.generated_tokens
        return prepared.is_whole

    def _facts(self) -> dict[str, Any]:
        """Return how many tokens of rationales were generated in all, for objectives that write some."""
        rows = self._session.run.metrics() if self._session.config.uses_rationales else []
        return {"generated_tokens": sum(int(row.get("generated_tokens", 0)) for row in rows)} if rows else {}

    def _one_step(self, share: float) -> dict[str, Any]:
        import torch

        config, world, data = self._session.config, self._session.world, self._session.data
        began = time.monotonic()
        batch = batch_of(self.step, rows=len(data.rows), size=config.batch_size, seed=config.data.seed)
        rows = [data.rows[index] for index in batch.indices[world.rank :: world.size]]
        rate = learning_rate(config.optimiser, self.step, share)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad()
        metrics = self._contrastive.gradients(rows, step=self.step, epoch=batch.epoch)
        most = config.optimiser.max_grad_norm or self._no_limit
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters.values(), most))
        _refuse_nan(metrics["loss"], norm, self.step, [data.rows[index] for index in batch.indices])
        self._optimiser.step()
        self.step += 1
        seconds = time.monotonic() - began
        if config.uses_rationales:
            metrics["generated_tokens"] = metrics.get("generated_tokens", 0) + self._generated_tokens
        return {
            "step": self.step,
            "epoch": batch.epoch,
            **metrics,
            "lr": rate,
            "grad_norm": norm,
            "step_seconds": seconds,
            "tokens_per_second": metrics["tokens"] / seconds,
            "seconds": self._clock.seconds,
            "cpu_seconds": self._clock.cpu_seconds,
        }

    def _save(self) -> None:
        """Write a checkpoint; every process waits for it, so that none runs ahead of what can be resumed."""
        import torch

        def write(folder: Path) -> None:
            self._session.trained.save_weights(folder)
            state = {
                "step": self.step,
                "inputs": self._inputs.state(),
                "optimiser": self._optimiser.state_dict(),
                "seconds": self._clock.seconds,
                "cpu_seconds": self._clock.cpu_seconds,
            }
            torch.save(state, folder / STATE)

        self._session.run.save_checkpoint(self.step, write)
        self._session.world.wait()


def _adamw(decay: float, parameters: dict[str, torch.nn.Parameter], config: Any) -> torch.optim.AdamW:
    """Return AdamW over the trained weights; norms and biases do not decay."""
    import torch

    matrices = [one for one in parameters.values() if one.ndim >= 2]
    others = [one for one in parameters.values() if one.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    told = config.optimiser
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=told.lr, betas=told.betas, eps=told.eps, fused=True
    )


def _nothing_left(config: TrainConfig) -> str:
    budget = "budget_minutes" if config.budget_cpu_seconds is None else "budget_cpu_seconds"
    return (
        f"{budget}: it is spent before the first step, on what is made for all steps; raise it, or make less of that: "
        f"data.limit, rationale.pool, max_new_tokens"
    )


def _refuse_nan(loss: float, norm: float, step: int, rows: list[Row]) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    places = ", ".join(row.place for row in rows[:8])
    more = f", ... ({len(rows)} in all)" if len(rows) > 8 else ""
    raise TrainingFailedError(
        f"step {step + 1}: loss {loss}, gradient norm {norm}: the training has diverged and stops; the last checkpoint "
        f"is kept. Lower optimiser.lr, or look at the step's rows: {places}{more}"
    )
