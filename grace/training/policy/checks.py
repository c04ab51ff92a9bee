"""What can be checked before a model is loaded."""

from __future__ import annotations

from grace.config.schema import TrainConfig
from grace.data.rows import TrainingData
from grace.objectives.policy_gradients import PolicyGradient, policy_gradient
from grace.training.policy.rollouts import Roles, roles_of
from harness.environment import is_installed
from harness.errors import EnvironmentGapError, InputError


def check_policy(config: TrainConfig, data: TrainingData, *, processes: int) -> Roles:
    """Return who writes how many rationales a row, once all is checked that needs no model.

    Args:
        config: with objective grace.
        data: what it is to be trained on.
        processes: that share the work.

    Raises:
        InputError: batch sizes or clipping ranges do not fit, or rows lack a negative.
        EnvironmentGapError: trl or vLLM is not installed.
    """
    _check_packages(config)
    _check_clip(policy_gradient(config.grace))
    roles = _roles(config, data)
    _check_batch(config, policy_gradient(config.grace), roles, rows=len(data.rows), processes=processes)
    return roles


def _check_packages(config: TrainConfig) -> None:
    if not is_installed("trl"):
        raise EnvironmentGapError(["objective grace needs trl: pip install 'encoder-verdict[train]'"])
    if config.grace.vllm is not None and not is_installed("vllm"):
        raise EnvironmentGapError(
            [f"grace.vllm: {config.grace.vllm} needs vLLM, which is not installed (it needs a GPU): pip install vllm, "
             "or take the key out to write rationales with transformers"]
        )  # fmt: skip


def _check_clip(gradient: PolicyGradient) -> None:
    end = 1 + gradient.epsilon_high
    if gradient.delta is not None and gradient.delta <= end:
        raise InputError([f"grace.delta: {gradient.delta} lies inside the clipping range, which ends at {end:g}"])


def _roles(config: TrainConfig, data: TrainingData) -> Roles:
    lacking, has_some = None, False
    for row in data.rows:
        has_some = has_some or bool(row.negatives)
        lacking = row if lacking is None and not row.negatives else lacking
    if lacking is not None and has_some:
        raise InputError(
            [f"{lacking.place}: no negative, but other rows have one; objective grace wants one in every row or in "
             "none (leave data.columns.negative out)"]
        )  # fmt: skip
    return roles_of(
        config.grace.credit,
        has_negative=has_some,
        k=config.grace.rollouts,
        has_greedy=policy_gradient(config.grace).baseline == "greedy",
    )


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
