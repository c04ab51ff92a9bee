"""Which prefix a task's texts get in which role; pure.

The order is mteb's own (`mteb/models/abs_encoder.py`, get_prompt_name): task and role, task, type and role, type, role.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.tasks.catalogue import TaskInfo
from harness.tasks.types import EMBEDDING_TYPES, Role


def roles_of(task_type: str) -> tuple[Role | None, ...]:
    """Return the roles in which a task of this type has texts encoded; (None,) where it has none."""
    row = EMBEDDING_TYPES.get(task_type)
    return row.roles if row else (None,)


def selector(prompts: Mapping[str, str], task: str, task_type: str, role: Role | None) -> str | None:
    """Return the key of `prompts` that applies, or None.

    Args:
        prompts: prefixes by selector.
        task: name of the task.
        task_type: its type.
        role: query, document or None.
    """
    tries = [f"{task}-{role}", task, f"{task_type}-{role}", task_type, str(role)] if role else [task, task_type]
    return next((name for name in tries if name in prompts), None)


def resolve(task: TaskInfo, role: Role | None, prompts: Mapping[str, str], instruction: str | None) -> str | None:
    """Return the prefix for the task's texts in `role`, or None for none.

    Args:
        task: the task.
        role: query, document or None.
        prompts: literal prefixes by selector; they win.
        instruction: a template with `{instruction}`, filled with the engine's instruction; never used for documents.
    """
    name = selector(prompts, task.name, task.type, role)
    if name is not None:
        return prompts[name]
    if instruction is None or role == "document":
        return None
    text = task.instruction(role)
    return instruction.replace("{instruction}", text) if text else None
