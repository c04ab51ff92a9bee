"""Training by reinforcement: from a session to a policy trained on its own rationales, with checkpoints and metrics.

The trainer is trl's (policy_trainer.py); what happens between steps is policy_loop.py's. A checkpoint is written by
transformers' Trainer at the end of a generation's steps only; `clock.json` in it comes last and makes it whole.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grace.algorithms import PolicyGradient, policy_gradient
from grace.config import TrainConfig
from grace.data import TrainingData
from grace.rewards import RewardSettings
from grace.rollouts import Roles, Writer, roles_of
from grace.run_dir import CHECKPOINTS, room_on_disk
from grace.session import Finished, Session
from grace.stopping import interruptible
from grace.tracking import Tracker
from harness.encoders import rationale
from harness.errors import EnvironmentGapError, InputError

NEVER = 10**7
"""Steps of a run that a budget ends."""


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
    roles = check(config, session.data, processes=session.world.size)
    gradient = policy_gradient(config.grace)
    per_generation = config.batch_size * gradient.steps_per_generation
    folder = session.run.path / CHECKPOINTS
    span = gradient.steps_per_generation * gradient.num_iterations
    from grace.policy_loop import Loop, newest_checkpoint

    checkpoint = newest_checkpoint(folder) if resume else None
    with (
        room_on_disk(session.run.path),
        interruptible() as interrupt,
        _quiet(),
        Tracker(config, is_on=session.world.is_main) as tracker,
    ):
        loop = Loop(session, checkpoint, interrupt, tracker)
        loop.span, first = span, int(loop.done["step"]) // span
        if session.run.is_main:
            session.run.forget_after(int(loop.done["step"]))
        trainer = _trainer(session, gradient, roles, per_generation, span, first=first, loop=loop)
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            release(trainer)
    return Finished(
        steps=trainer.state.global_step,
        seconds=loop.clock.seconds,
        cpu_seconds=loop.clock.cpu_seconds,
        is_interrupted=loop.is_interrupted,
        facts={"algorithm": config.grace.algorithm, "inert_reward_terms": trainer.inert_terms},
    )


def check(config: TrainConfig, data: TrainingData, *, processes: int) -> Roles:
    """Return who writes how many rationales a row, once all is checked that needs no model.

    Args:
        config: with objective grace.
        data: what it is to be trained on.
        processes: that share the work.

    Raises:
        InputError: batch sizes do not fit, or rows lack a negative.
        EnvironmentGapError: trl or vLLM is not installed.
    """
    _check_packages(config)
    roles = _roles(config, data)
    _check_batch(config, policy_gradient(config.grace), roles, rows=len(data.rows), processes=processes)
    return roles


def _check_packages(config: TrainConfig) -> None:
    if importlib.util.find_spec("trl") is None:
        raise EnvironmentGapError(["objective grace needs trl: pip install 'encoder-verdict[train]'"])
    if config.grace.vllm is not None and importlib.util.find_spec("vllm") is None:
        raise EnvironmentGapError(
            [f"grace.vllm: {config.grace.vllm} needs vLLM, which is not installed (it needs a GPU): pip install vllm, "
             "or take the key out to write rationales with transformers"]
        )  # fmt: skip


def _roles(config: TrainConfig, data: TrainingData) -> Roles:
    with_negative = [bool(row.negatives) for row in data.rows]
    if any(with_negative) and not all(with_negative):
        lacking = data.rows[with_negative.index(False)]
        raise InputError(
            [f"{lacking.place}: no negative, but other rows have one; objective grace wants one in every row or in "
             "none (leave data.columns.negative out)"]
        )  # fmt: skip
    return roles_of(config.grace.credit, has_negative=all(with_negative), k=config.grace.rollouts)


def _check_batch(config: TrainConfig, gradient: PolicyGradient, roles: Roles, *, rows: int, processes: int) -> None:
    problems = []
    per_generation = config.batch_size * gradient.steps_per_generation
    if per_generation % processes:
        problems.append(
            f"batch_size {config.batch_size} x steps_per_generation {gradient.steps_per_generation}: no multiple of "
            f"{processes} processes, and a group's rollouts stay in one"
        )
    step_rows = config.batch_size * roles.block
    if step_rows % (config.accumulation * processes):
        problems.append(
            f"accumulation {config.accumulation}: a step's {step_rows} rollouts cannot be split into so many parts on "
            f"{processes} process(es)"
        )
    if rows < per_generation:
        problems.append(f"data: {rows} usable row(s), and a generation takes {per_generation}")
    if problems:
        raise InputError(problems)


def reward_settings(config: TrainConfig, *, is_supervised: bool) -> RewardSettings:
    """Return the reward that a configuration asks for."""
    grace = config.grace
    return RewardSettings(
        credit=grace.credit,
        temperature=grace.tau,
        contrastive=grace.contrastive_weight,
        hard_negative=grace.contrastive_weight,
        consistency=grace.consistency_weight,
        cross_group=grace.cross_weight,
        infonce=grace.infonce_reward_weight,
        infonce_temperature=grace.infonce_temperature,
        truncation=grace.truncation,
        is_supervised=is_supervised,
    )


def _writer(session: Session) -> Writer:
    config, trained = session.config, session.trained
    assert config.max_new_tokens is not None  # noqa: S101 - config_checks wants it for this objective
    template = rationale.render_template(trained.tokenizer)
    around = len(template.prefix) + len(template.suffix) + config.max_new_tokens
    room = trained.context_length - around
    if room < 1:
        raise InputError(
            [f"max_new_tokens: prompt and rationale take {around} of {trained.context_length} tokens: no room for text"]
        )
    return Writer(
        tokenizer=trained.tokenizer,
        template=template,
        ends=rationale.end_tokens(trained.model, trained.tokenizer, template),
        max_text_tokens=min(config.max_text_tokens, room),
        max_new_tokens=config.max_new_tokens,
        batch_tokens=config.batch_tokens,
    )


def _trainer(
    session: Session, gradient: PolicyGradient, roles: Roles, per_generation: int, span: int, *, first: int, loop: Any
) -> Any:
    """Return trl's trainer, ready; see policy_trainer.py."""
    from datasets import Dataset
    from transformers import PrinterCallback

    from grace.policy_trainer import PolicyTask, PolicyTrainer, prepare_for_trees

    config, trained, grace = session.config, session.trained, session.config.grace
    switch_dropout_off(trained.model)
    task = PolicyTask(
        triplets=session.data.rows,
        roles=roles,
        writer=_writer(session),
        settings=reward_settings(config, is_supervised=session.data.is_supervised),
        temperature=grace.rollout_temperature,
        anchor_temperature=grace.anchor_temperature,
        infonce_weight=grace.infonce_weight,
        infonce_temperature=grace.infonce_temperature,
        mask_false_negatives=config.infonce.mask_false_negatives,
        is_staged=grace.forward == "staged",
        seed=config.seed,
        data_seed=config.data.seed,
        triplets_per_generation=per_generation,
        steps_per_generation=span,
        say=session.progress.say if session.world.is_main else lambda _text: None,
    )
    steps = config.steps or NEVER
    trainer = PolicyTrainer(
        task,
        first_generation=first,
        generations=-(-steps // span),
        model=trained.peft if trained.peft is not None else trained.model,
        args=_arguments(session, gradient, roles, steps=steps),
        train_dataset=Dataset.from_dict(
            {"prompt": [row.positive or row.query for row in session.data.rows], "row": range(len(session.data.rows))}
        ),
        processing_class=trained.tokenizer,
        callbacks=[] if loop is None else [loop],
    )
    trainer.remove_callback(PrinterCallback)
    # After construction: with beta trl would copy adapter or model to remember the base, which is there already.
    trainer.beta = grace.beta
    if grace.beta and trained.peft is None:
        from trl.trainer.utils import add_fused_lm_head

        add_fused_lm_head(trained.frozen, temperature=grace.rollout_temperature)
        if task.is_staged:
            prepare_for_trees(trained.frozen)
        trainer.ref_model = trained.frozen
    return trainer


def _arguments(session: Session, gradient: PolicyGradient, roles: Roles, *, steps: int) -> Any:
    """Return trl's configuration; what it switches on by itself is off here unless it was asked for."""
    from trl import GRPOConfig

    config, grace = session.config, session.config.grace
    rows = config.batch_size * roles.block // (config.accumulation * session.world.size)
    optimiser = config.optimiser
    return GRPOConfig(
        output_dir=str(session.run.path / CHECKPOINTS),
        use_cpu=session.trained.device == "cpu",
        bf16=session.trained.dtype == "bfloat16" and session.trained.device != "cpu",
        fp16=False,
        gradient_checkpointing=grace.gradient_checkpointing,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=config.accumulation,
        steps_per_generation=gradient.steps_per_generation * config.accumulation,
        num_generations=roles.k,
        max_completion_length=config.max_new_tokens,
        temperature=grace.rollout_temperature,
        top_k=0,
        beta=0.0,
        **gradient.options(roles.k),
        max_steps=steps,
        learning_rate=optimiser.lr,
        lr_scheduler_type="constant",
        adam_beta1=optimiser.betas[0],
        adam_beta2=optimiser.betas[1],
        adam_epsilon=optimiser.eps,
        weight_decay=optimiser.weight_decay,
        max_grad_norm=optimiser.max_grad_norm or 0.0,
        use_vllm=grace.vllm is not None,
        vllm_mode=grace.vllm or "colocate",
        seed=config.seed,
        logging_steps=1,
        save_strategy="no",
        save_total_limit=2,
        ignore_data_skip=True,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def switch_dropout_off(model: Any) -> None:
    """Set every dropout of a model to 0: a loss with noise in it is not that of the policy that wrote the rollouts."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


def release(trainer: Any) -> None:
    """Give the model its own forward and attention back."""
    causal = trainer.causal
    causal.__dict__.pop("forward", None)
    causal.set_attn_implementation("sdpa")
    causal.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep trl's and transformers' notes to their own developers off the screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*")
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
        yield
