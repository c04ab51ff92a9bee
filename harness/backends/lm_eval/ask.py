"""lm-eval run over the loaded tasks, on the weights that the encoder has in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from harness.backends.interface import Job
from harness.backends.lm_eval.answers import KeptAnswers
from harness.backends.lm_eval.tasks import gold_answer
from harness.encoders.batching import CPU_BATCH_TOKENS
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError


def language_model(
    encoder: CheckedEncoder, tasks: dict[str, Any], *, chat_template: bool, kept: KeptAnswers | None = None
) -> Any:
    """Return the encoder's language model as lm-eval wants one.

    Args:
        encoder: of the cell's candidate.
        tasks: part -> lm-eval task, whose gold answers are scored beside; none for texts alone.
        chat_template: whether prompts go through the model's chat template.
        kept: answers that were made before; the model is asked for others alone.

    Raises:
        HarnessError: it has none, or no chat template where one is asked for.
        EnvironmentGapError: it sees both ways, or does not give what its own forward pass gives.
    """
    from harness.backends.lm_eval import model  # classes of lm-eval's: slow to load
    from harness.backends.lm_eval.probe import take_the_way_that_holds

    if kept is not None:
        looking: Any = _wrapped(encoder, tasks, model.LookingUpLM, chat_template=chat_template)
        looking.look_into(kept)
        return looking
    lm = _wrapped(encoder, tasks, model.SharedPrefixLM, chat_template=chat_template)
    take_the_way_that_holds(lm)
    return lm


def _wrapped(encoder: CheckedEncoder, tasks: dict[str, Any], kind: Callable[..., Any], *, chat_template: bool) -> Any:
    """Return the encoder's language model as a class of `model.py`."""
    inside = encoder.causal_lm()
    if inside is None:
        raise HarnessError(f"model {encoder.name!r} has no language model: the ability axis is n/a for it")
    if chat_template and not inside.tokenizer.chat_template:
        raise HarnessError(f"model {encoder.name!r} has no chat template; set chat_template: false for it")
    by_name = {task.task_name: task for task in tasks.values()}
    return kind(
        inside.model,
        inside.tokenizer,
        batch_tokens=int(encoder.describe().get("batch_tokens", CPU_BATCH_TOKENS)),
        gold_of=lambda request: gold_answer(
            by_name[request.task_name], request.doc, request.args[0], chat_template=chat_template
        ),
        on_done=encoder.progress,
    )


def ask(lm: Any, tasks: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run lm-eval over the tasks; the global random state is put back afterwards."""
    from lm_eval.evaluator import evaluate as run_lm_eval

    asked = job.cell.task.asked
    with seeded(lm, job):
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


def questions_of(encoder: CheckedEncoder, tasks: dict[str, Any], job: Job) -> tuple[Any, list[list[Any]]]:
    """Return who knows the gold answers, and the requests of each question, as lm-eval would ask them one by one.

    All of them are put together, whichever are wanted: examples are drawn from one stream of random numbers, so that
    those of a question hang on how many came before it. lm-eval's own choice of documents (`samples=`) draws others.

    Args:
        encoder: of the cell's candidate, whose chat template may stand in the prompts.
        tasks: part -> lm-eval task as it was loaded; nothing may have been asked of it.
        job: the cell.
    """
    from harness.backends.lm_eval.model import AskedError, QuestionsLM

    lm = _wrapped(encoder, tasks, QuestionsLM, chat_template=job.cell.task.asked.chat_template)
    with suppress(AskedError):
        ask(lm, tasks, job)
    found: dict[tuple[str, int], list[Any]] = {}
    for task in tasks.values():
        for request in task.instances:
            found.setdefault((request.task_name, request.doc_id), []).append(request)
    return lm, list(found.values())


@contextmanager
def seeded(lm: Any, job: Job) -> Iterator[None]:
    """Give `lm` the cell's seed; the global random state is put back afterwards."""
    import torch

    lm.seed = job.seed
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)  # for whatever draws beside the answers, which have numbers of their own
        yield
