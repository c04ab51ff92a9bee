"""Training by reinforcement: from a session to a policy trained on its own rationales, with checkpoints and metrics.

The trainer is trl's (trainer.py); what happens between steps is callbacks.py's. A checkpoint is written by
transformers' Trainer at the end of a generation's steps, and of the run; `clock.json` comes last and makes it whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grace.config.schema import TrainConfig
from grace.objectives.policy_gradients import policy_gradient
from grace.run.directory import CHECKPOINTS, room_on_disk
from grace.run.session import Finished, Session
from grace.run.stopping import Clock, interruptible, share_done
from grace.run.tracking import Tracker
from grace.training.policy.build import build_trainer
from grace.training.policy.callbacks import Bookkeeping, newest_checkpoint
from grace.training.policy.checks import check_policy


def train_policy(session: Session, *, resume: bool) -> Finished:
    """Train by the policy gradient that the configuration names.

    Args:
        session: configuration, data, model, run directory.
        resume: go on from the newest whole checkpoint, if there is one.

    Raises:
        InputError: batch sizes do not fit, rows lack a negative, or the prompt leaves no room.
        EnvironmentGapError: trl or vLLM is not installed, or the disk is full.
        TrainingFailedError: the loss is not finite any more.
    """
    config = session.config
    roles = check_policy(config, session.data, processes=session.world.size)
    gradient = policy_gradient(config.grace)
    checkpoint = _checkpoint(session, span=gradient.span) if resume else None
    with (
        room_on_disk(session.run.path),
        interruptible() as interrupt,
        _quiet(),
        Tracker(config, session.progress.say, is_on=session.world.is_main) as tracker,
    ):
        books = Bookkeeping(session, checkpoint, interrupt, tracker, span=gradient.span)
        done = int(books.done["step"])
        session.run.forget_after(done)
        trainer = build_trainer(session, gradient, roles, first=done // gradient.span, callback=books)
        try:
            if checkpoint is not None and _is_over(config, books.done):
                trainer._load_from_checkpoint(str(checkpoint))
                trainer.state.global_step = done
            else:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            release(trainer, config.attn_implementation)
    return Finished(
        steps=trainer.state.global_step,
        seconds=books.clock.seconds,
        cpu_seconds=books.clock.cpu_seconds,
        is_interrupted=books.is_interrupted,
        facts={
            "algorithm": config.grace.algorithm,
            "inert_reward_terms": trainer.inert_terms,
            "generated_tokens": sum(int(row.get("generated_tokens", 0)) for row in session.run.metrics()),
        },
    )


def _checkpoint(session: Session, *, span: int) -> Path | None:
    """Return the checkpoint to go on from: at a generation's end, or at the end of the run."""
    return newest_checkpoint(
        session.run.path / CHECKPOINTS,
        lambda done: int(done["step"]) % span == 0 or _is_over(session.config, done),
    )


def _is_over(config: TrainConfig, done: Mapping[str, float]) -> bool:
    return share_done(config, int(done["step"]), Clock(done["seconds"], done["cpu_seconds"])) >= 1


def release(trainer: Any, attention: str) -> None:
    """Give the model its own forward and attention back."""
    causal = trainer.causal
    causal.__dict__.pop("forward", None)
    causal.set_attn_implementation(attention)
    causal.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep trl's and transformers' notes to their own developers off the screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*")
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
        yield
