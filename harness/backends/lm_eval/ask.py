"""lm-eval run over the loaded tasks, on the weights that the encoder has in memory."""

from __future__ import annotations

from typing import Any

from harness.backends.interface import Job
from harness.backends.lm_eval.tasks import gold_answer
from harness.encoders.batching import CPU_BATCH_TOKENS
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError


def language_model(encoder: CheckedEncoder, tasks: dict[str, Any], *, chat_template: bool) -> Any:
    """Return the encoder's language model as lm-eval wants one.

    Args:
        encoder: of the cell's candidate.
        tasks: part -> lm-eval task, whose gold answers are scored beside; none for texts alone.
        chat_template: whether prompts go through the model's chat template.

    Raises:
        HarnessError: it has none, or no chat template where one is asked for.
        EnvironmentGapError: it sees both ways, or does not give what its own forward pass gives.
    """
    from harness.backends.lm_eval.model import SharedPrefixLM  # classes of lm-eval's: slow to load
    from harness.backends.lm_eval.probe import take_the_way_that_holds

    inside = encoder.causal_lm()
    if inside is None:
        raise HarnessError(f"model {encoder.name!r} has no language model: the ability axis is n/a for it")
    if chat_template and not inside.tokenizer.chat_template:
        raise HarnessError(f"model {encoder.name!r} has no chat template; set chat_template: false for it")
    by_name = {task.task_name: task for task in tasks.values()}
    lm = SharedPrefixLM(
        inside.model,
        inside.tokenizer,
        batch_tokens=int(encoder.describe().get("batch_tokens", CPU_BATCH_TOKENS)),
        gold_of=lambda request: gold_answer(
            by_name[request.task_name], request.doc, request.args[0], chat_template=chat_template
        ),
        on_done=encoder.progress,
    )
    take_the_way_that_holds(lm)
    return lm


def ask(lm: Any, tasks: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run lm-eval over the tasks; the global random state is put back afterwards."""
    import torch
    from lm_eval.evaluator import evaluate as run_lm_eval

    asked = job.cell.task.asked
    lm.seed = job.seed
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)  # for whatever draws beside the answers, which have numbers of their own
        answered: dict[str, Any] = run_lm_eval(
            lm=lm,
            task_dict={"tasks": {task.task_name: task for task in tasks.values()}, "groups": {}},
            limit=job.cell.task.limit,
            bootstrap_iters=0,
            log_samples=True,
            system_instruction=asked.system_instruction,
            apply_chat_template=asked.chat_template,
            fewshot_as_multiturn=asked.fewshot_as_multiturn,
        )
    return answered
