"""Large cells of the ability axis in parts: a shard is a range of consecutive questions, answered by any machine.

What the questions are is found out whole on each machine, since examples are drawn one question after the other; a
shard's digest is over the prompts themselves. What a shard holds is found by what was asked (`answers.py`), under the
key of the cell, so that no answer of another model, prompt or setting is ever scored. Programs are run when the cell
is scored, never before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from harness import environment
from harness.backends.interface import Job
from harness.backends.lm_eval.answers import FORMAT, KeptAnswers, ids_of, key_of, looking_into
from harness.backends.lm_eval.ask import language_model, questions_of, seeded
from harness.backends.lm_eval.items import ALL
from harness.backends.lm_eval.tasks import load_tasks, quiet
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError
from harness.plan.asked import ReadWith
from harness.shards.cut import Shard, cut_evenly, weight_of
from harness.shards.files import ShardFiles
from harness.shards.used import ShardsUsed
from harness.sources.reading import read_as_keyed

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "lm-eval")
"""Whose versions can change an answer."""
KINDS = ("multiple_choice", "loglikelihood", "generate_until")
"""Of tasks whose answers are kept."""


@dataclass(slots=True, kw_only=True)
class Loaded:
    """The tasks of a cell, and what they ask once that is known."""

    tasks: dict[str, Any]
    """Part -> lm-eval task."""
    questions: list[list[Any]] | None = None
    """The requests of each question, parts one after the other; None before they are asked for."""
    gold_of: Any = None
    """Request -> gold answer."""

    def ask_for(self, job: Job, encoder: CheckedEncoder) -> list[list[Any]]:
        """Return the questions; examples are drawn once, since the tasks would draw others the second time."""
        if self.questions is None:
            lm, self.questions = questions_of(encoder, self.tasks, job)
            self.gold_of = lm.gold_of
        return self.questions

    def keys(self, questions: Sequence[Sequence[Any]]) -> list[list[str]]:
        """Return the keys of each question's requests."""
        return [[key_of(request, self.gold_of) for request in requests] for requests in questions]


def load(job: Job) -> Loaded | None:
    """Return the cell's tasks; None for texts that are read, which are one piece."""
    if isinstance(job.cell.task.settings, ReadWith):
        return None
    with quiet(), read_as_keyed(job.data[job.cell.task.info.name]):
        return Loaded(tasks=load_tasks(job))


def shards(job: Job, loaded: Loaded | None, encoder: CheckedEncoder) -> list[Shard]:
    """Return the cell's questions in shards of about as many each; empty where it is run as one piece.

    That are cells of few questions, those of texts (`lm_nll`: a forward pass a text, no answers), and own tasks whose
    requests are neither continuations nor answers (`loglikelihood_rolling`), of which no trace is kept.
    """
    planned = job.cell.task
    if loaded is None or any(task.OUTPUT_TYPE not in KINDS for task in loaded.tasks.values()):
        return []
    if _count(loaded, planned.limit) <= job.max_questions:
        return []
    with quiet():
        questions = loaded.ask_for(job, encoder)
        keys = loaded.keys(questions)
    written = planned.asked.max_gen_toks or 0
    weights = [weight_of(_characters(requests), written * requests[0].repeats) for requests in questions]
    return [
        Shard(
            part=planned.name,
            split=planned.splits[0],
            subset=planned.subsets[0] if len(planned.subsets) == 1 else ALL,
            role=None,
            start=start,
            stop=stop,
            ids=ids_of(keys[start:stop]),
            weight=sum(weights[start:stop]),
        )
        for start, stop in cut_evenly(len(questions), most=job.max_questions)
    ]


def is_made(job: Job, shard: Shard, encoder: CheckedEncoder) -> bool:  # noqa: ARG001 - the cell's key names the model
    """Whether a shard's file is there and whole."""
    return _files(job).get(_maker(job), shard.ids) is not None


def make(job: Job, loaded: Loaded | None, shard: Shard, encoder: CheckedEncoder) -> None:
    """Ask the model a shard's questions and commit what it answers.

    Raises:
        HarnessError: the questions here are not those that the shard was cut from.
        ResultsNotWrittenError: it cannot be committed.
    """
    began = time.perf_counter()
    if loaded is None:
        raise TypeError(f"{shard.name}: texts are read in one piece")
    with quiet():
        questions = loaded.ask_for(job, encoder)[shard.start : shard.stop]
        keys = loaded.keys(questions)
        if (found := ids_of(keys)) != shard.ids:
            raise HarnessError(
                f"{shard.name}: the questions here are not those that the shard was cut from: prompts and gold "
                f"answers have the digest {found[:12]} here and had {shard.ids[:12]} there; give every machine the "
                "same data, task files and lm-eval; a task whose own functions draw random numbers is asked in one "
                "piece: set `shards: {max_questions: ...}` in the suite to as many as it has"
            )
        lm = language_model(encoder, loaded.tasks, chat_template=job.cell.task.asked.chat_template)
        rows = _answered(lm, questions, keys, job)
    facts = {
        "work": asdict(lm.work),
        "batch_tokens": lm.batch_tokens,
        "hardware": environment.hardware(),
        "seconds": time.perf_counter() - began,
    }
    _files(job).put(_maker(job), shard.ids, arrays={}, lines={"answers": rows}, facts=facts)


@contextmanager
def using(job: Job, shards: Sequence[Shard], encoder: CheckedEncoder) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    """Have the backend find the answers that shards hold, as long as the context lasts; the others are asked for.

    Yields:
        What the cell's provenance says of them (`harness.results.facts.ShardFacts`).
    """
    kept, used = KeptAnswers(cell=str(job.cell.key)), ShardsUsed(_files(job))
    for shard in shards:
        stored = _files(job).get(_maker(job), shard.ids)
        used.note(shard.name, stored)
        if stored is not None:
            kept.add(stored)
    with looking_into(kept):
        yield used.facts()


def _answered(lm: Any, questions: list[list[Any]], keys: list[list[str]], job: Job) -> list[dict[str, Any]]:
    """Ask the model, as lm-eval does: requests of one kind together, each as often as its answers are repeated."""
    requests = [request for own in questions for request in own]
    by_kind: dict[str, list[Any]] = {}
    for request in requests:
        by_kind.setdefault(request.request_type, []).extend([request] * request.repeats)
    answers: dict[int, list[Any]] = {id(request): [] for request in requests}
    with seeded(lm, job):
        for kind, wanted in by_kind.items():
            for request, answer in zip(wanted, getattr(lm, kind)(wanted), strict=True):
                answers[id(request)].append(answer)
    return [
        {
            "requests": [
                {"key": key, "answers": answers[id(request)], "trace": asdict(lm.trace(request))}
                for request, key in zip(own, of_question, strict=True)
            ]
        }
        for own, of_question in zip(questions, keys, strict=True)
    ]


def _count(loaded: Loaded, limit: int | None) -> int:
    """Return how many questions the cell has, before any is put together."""
    sizes = [len(task.eval_docs) for task in loaded.tasks.values()]
    return sum(sizes if limit is None else [min(size, limit) for size in sizes])


def _characters(requests: Sequence[Any]) -> int:
    """Return about how much of a question is read: its options share the prompt."""
    options = [request.args[1] for request in requests if request.request_type == "loglikelihood"]
    return len(requests[0].args[0]) + sum(map(len, options))


def _maker(job: Job) -> Mapping[str, Any]:
    """Return all that can change an answer: model, data, settings and a seed that is drawn from are in the key."""
    versions = {name: environment.version_of(name) for name in PACKAGES}
    return {"cell": str(job.cell.key), "versions": versions, "format": FORMAT}


def _files(job: Job) -> ShardFiles:
    if job.files is None:
        raise TypeError(f"{job.cell}: it has no folder of shards")
    return job.files
