"""Answers of a cell that were made before, found by what was asked: what shards hold, and who may look into them.

A question of a shard is one row, `{"requests": [...]}`, and each of its requests says what it was (`key_of`), what was
answered, once a repeat, and what the answer does not tell (`past.Trace`). Floats go through JSON as Python writes them,
which gives back the same bits; infinities and NaN as `Infinity` and `NaN`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.backends.interface import Job
from harness.digests import canonical, sha256_text
from harness.shards.files import StoredShard

FORMAT = 1
"""Of the rows; in the maker of their shards."""


class Kept(NamedTuple):
    """What is known of one request."""

    answers: tuple[Any, ...]
    """One a repeat: a text, or (log-likelihood in nats, whether it is the greedy continuation)."""
    trace: Mapping[str, Any]
    """Fields of `past.Trace`."""


@dataclass(slots=True, kw_only=True)
class KeptAnswers:
    """The shards of one cell, as one dictionary from requests to answers."""

    cell: str
    """Key of the cell, which names the model: no other may look them up."""
    found: dict[str, Kept] = field(default_factory=dict)
    """Key of a request -> what is known of it."""
    work: Counter[str] = field(default_factory=Counter)
    """Sums over the shards, fields of `past.Work`."""
    batch_tokens: int | None = None
    """The fewest that a batch had; None while there is no shard."""

    def add(self, shard: StoredShard) -> None:
        """Take in one more shard."""
        for row in shard.lines("answers"):
            for one in row["requests"]:
                answers = tuple(tuple(each) if isinstance(each, list) else each for each in one["answers"])
                self.found[one["key"]] = Kept(answers, one["trace"])
        self.work.update(shard.facts["work"])
        least = int(shard.facts["batch_tokens"])
        self.batch_tokens = least if self.batch_tokens is None else min(self.batch_tokens, least)


_looked_up: ContextVar[KeptAnswers | None] = ContextVar("_looked_up", default=None)
"""What `looking_into` has opened here; no other thread sees it."""


@contextmanager
def looking_into(kept: KeptAnswers) -> Iterator[None]:
    """Let the backend find these answers as long as the context lasts."""
    token = _looked_up.set(kept)
    try:
        yield
    finally:
        _looked_up.reset(token)


def answers_for(job: Job) -> KeptAnswers | None:
    """Return the answers that were opened for this very cell; None where none were."""
    kept = _looked_up.get()
    return kept if kept is not None and kept.cell == str(job.cell.key) else None


def key_of(request: Any, gold_of: Callable[[Any], str | None]) -> str:
    """Return the sha256 of all that an answer and its trace hang on, the model and the seed apart.

    Args:
        request: lm-eval's `Instance`.
        gold_of: gives the answer that is scored beside a generated one.
    """
    gold = gold_of(request) if request.request_type == "generate_until" else None
    place = [request.task_name, request.doc_id, request.idx, request.repeats, request.request_type]
    return sha256_text(canonical([*place, list(request.args), gold]))


def ids_of(questions: Sequence[Sequence[str]]) -> str:
    """Return the sha256 over questions in order, each the keys of its requests."""
    return sha256_text("".join(f"{sha256_text(''.join(keys))}\n" for keys in questions))
