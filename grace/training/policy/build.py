"""From a session to trl's trainer and its arguments."""

from __future__ import annotations

from typing import Any

from grace.config.schema import Optimiser, TrainConfig
from grace.objectives.policy_gradients import PolicyGradient
from grace.objectives.rewards import RewardSettings
from grace.run.directory import CHECKPOINTS
from grace.run.session import Session
from grace.training.policy.rollouts import Roles, Writer
from grace.training.policy.task import PolicyTask
from grace.training.policy.trainer import PolicyTrainer
from grace.training.policy.tree_forward import prepare_for_trees
from harness.encoders.rationale.template import end_tokens, render_template
from harness.errors import InputError

NEVER = 10**7
"""Steps of a run that a budget ends."""
NOT_TRLS: dict[str, Any] = {
    "fp16": False,
    "top_k": 0,
    "beta": 0.0,
    "router_aux_loss_coef": 0.0,
    "logging_steps": 1,
    "save_strategy": "no",
    "save_total_limit": None,
    "ignore_data_skip": True,
    "remove_unused_columns": False,
    "report_to": "none",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}
"""What is the same in every run: sampling from all tokens, no KL yet, no loss for the balance of experts, and logs,
checkpoints and progress of our own."""


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
    assert config.max_new_tokens is not None  # noqa: S101 - checked with the configuration
    template = render_template(trained.tokenizer)
    around = len(template.prefix) + len(template.suffix) + config.max_new_tokens
    room = trained.context_length - around
    if room < 1:
        raise InputError(
            [f"max_new_tokens: prompt and rationale take {around} of {trained.context_length} tokens: no room for text"]
        )
    return Writer(
        tokenizer=trained.tokenizer,
        template=template,
        ends=end_tokens(trained.model, trained.tokenizer, template),
        max_text_tokens=min(config.max_text_tokens, room),
        max_new_tokens=config.max_new_tokens,
        batch_tokens=config.batch_tokens,
        forward=trained.writing,
    )


def build_trainer(session: Session, gradient: PolicyGradient, roles: Roles, *, first: int, callback: Any) -> Any:
    """Return trl's trainer, ready; see trainer.py.

    Args:
        session: configuration, data, model, run directory.
        gradient: how rewards become a loss.
        roles: who writes how many rationales a row.
        first: the generation to begin with, above 0 in a resumed run.
        callback: what is called between steps (callbacks.py); None: nothing.
    """
    from transformers import PrinterCallback

    trained = session.trained
    switch_dropout_off(trained.model)
    task = _task(session, gradient, roles)
    steps = session.config.steps or NEVER
    trainer = PolicyTrainer(
        task,
        first_generation=first,
        generations=-(-steps // gradient.span),
        model=trained.peft if trained.peft is not None else trained.model,
        args=_arguments(session, gradient, roles, steps=steps),
        train_dataset=_prompts(session),
        processing_class=trained.tokenizer,
        callbacks=[] if callback is None else [callback],
    )
    trainer.remove_callback(PrinterCallback)
    _remember_the_base(trainer, session, is_staged=task.is_staged)
    return trainer


def _task(session: Session, gradient: PolicyGradient, roles: Roles) -> PolicyTask:
    config, grace = session.config, session.config.grace
    return PolicyTask(
        triplets=session.data.rows,
        roles=roles,
        writer=_writer(session),
        settings=reward_settings(config, is_supervised=session.data.is_supervised),
        gradient=gradient,
        temperature=grace.rollout_temperature,
        anchor_temperature=grace.anchor_temperature,
        infonce_weight=grace.infonce_weight,
        infonce_temperature=grace.infonce_temperature,
        is_staged=grace.forward == "staged",
        seed=config.seed,
        data_seed=config.data.seed,
        triplets_per_generation=config.batch_size * gradient.steps_per_generation,
        steps_per_generation=gradient.span,
        say=session.progress.say if session.world.is_main else lambda _text: None,
    )


def _prompts(session: Session) -> Any:
    """Return what trl takes for its data: an index a row, for the rollout function looks at nothing else."""
    from datasets import Dataset

    count = len(session.data.rows)
    return Dataset.from_dict({"prompt": [""] * count, "row": range(count)})


def _remember_the_base(trainer: Any, session: Session, *, is_staged: bool) -> None:
    """Set the KL term's weight and its base.

    After construction: with beta trl would copy adapter or model to remember the base, which is there already.
    """
    grace, trained = session.config.grace, session.trained
    trainer.beta = grace.beta
    if not grace.beta or trained.peft is not None:
        return
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(trained.frozen, temperature=grace.rollout_temperature)
    if is_staged:
        prepare_for_trees(trained.frozen)
    trainer.ref_model = trained.frozen


def _arguments(session: Session, gradient: PolicyGradient, roles: Roles, *, steps: int) -> Any:
    """Return trl's configuration; what it switches on by itself is off here unless it was asked for."""
    from trl import GRPOConfig

    config, grace = session.config, session.config.grace
    return GRPOConfig(
        output_dir=str(session.run.path / CHECKPOINTS),
        use_cpu=session.trained.device == "cpu",
        bf16=session.trained.dtype == "bfloat16" and session.trained.device != "cpu",
        gradient_checkpointing=grace.gradient_checkpointing,
        per_device_train_batch_size=config.batch_size * roles.block // (config.accumulation * session.world.size),
        gradient_accumulation_steps=config.accumulation,
        steps_per_generation=gradient.steps_per_generation * config.accumulation,
        num_generations=roles.k,
        max_completion_length=config.max_new_tokens,
        temperature=grace.rollout_temperature,
        max_steps=steps,
        use_vllm=grace.vllm is not None,
        vllm_mode=grace.vllm or "colocate",
        seed=config.seed,
        **gradient.options(),
        **_optimiser_options(config.optimiser),
        **NOT_TRLS,
    )


def _optimiser_options(optimiser: Optimiser) -> dict[str, Any]:
    """Return AdamW as transformers' arguments; the rate is set step by step (callbacks.py)."""
    return {
        "learning_rate": optimiser.lr,
        "lr_scheduler_type": "constant",
        "adam_beta1": optimiser.betas[0],
        "adam_beta2": optimiser.betas[1],
        "adam_epsilon": optimiser.eps,
        "weight_decay": optimiser.weight_decay,
        "max_grad_norm": optimiser.max_grad_norm or 0.0,
    }


def switch_dropout_off(model: Any) -> None:
    """Set every dropout of a model to 0: a loss with noise in it is not that of the policy that wrote the rollouts."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
