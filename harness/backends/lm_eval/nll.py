"""`lm_nll`: nats per token over texts, the plainest measure of what a language model still knows.

Formula: sum over texts and tokens of -log p(token | those before it) / number of those tokens; >= 0, less is better.
Every text is scored by itself: ids = [beginning-of-text, or end-of-text where the tokenizer has none] + the text's own,
without the special tokens that the tokenizer would add, cut to `max_text_tokens`. The first id is conditioned on and
masked; every id of the text is scored, its first included. No template, no instruction, no stride.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.backends.interface import Job, Outcome
from harness.backends.lm_eval.ask import language_model
from harness.backends.lm_eval.items import QUESTION_CHARACTERS
from harness.backends.lm_eval.tasks import quiet
from harness.encoders.checked import CheckedEncoder
from harness.errors import InputError
from harness.plan.asked import ReadWith
from harness.plan.cells import PlannedTask
from harness.results.records import Metric
from harness.sources.reading import read_as_keyed
from harness.statistics.resampling import bootstrap, ratio_statistic
from harness.suite.task_entries import NllRef
from harness.tasks.custom.texts import read_texts as texts_of_file


class _Scored(NamedTuple):
    """The texts that have a token, item by item."""

    items: list[int]
    """Their places among all texts."""
    nats: np.ndarray
    """Of each text, (n,) float64: -log p of its tokens together."""
    tokens: np.ndarray
    """Of each text, (n,) int64: those that were scored."""
    is_cut: list[bool]
    """Of each text, whether it has more tokens than were scored."""


def evaluate_nll(job: Job, encoder: CheckedEncoder, settings: ReadWith) -> Outcome:
    """Score one `lm_nll` cell: nats per token with a bootstrap interval over texts."""
    with quiet():
        with read_as_keyed(job.data[job.cell.task.info.name]):
            texts = read_texts(job, settings.column)
        lm = language_model(encoder, {}, chat_template=False)
        scored = _score(lm, texts, min(settings.max_text_tokens, lm.max_length))
    nats, tokens, count = scored.nats, scored.tokens, len(scored.items)
    split, subset = job.cell.task.splits[0], job.cell.task.subsets[0]
    value = float(nats.sum() / tokens.sum())
    facts = {
        "settings": settings.plain(),
        "chance": None,
        "is_below_chance": False,
        "unextractable": {},
        "truncated": sum(scored.is_cut) / count,
        "texts": len(texts),
        "empty_texts": len(texts) - count,
        "tokens": int(tokens.sum()),
        "masked": "the beginning-of-text token alone; every token of a text is scored",
        "max_length": lm.max_length,
    }
    return Outcome(
        metric="nll",
        score=value,
        interval=bootstrap([(count, ratio_statistic(nats, tokens.astype(np.float64)))]),
        n=count,
        metrics=(Metric(name="nll", value=value, split=split, subset=subset, unit="nats"),),
        items=_table(job.cell.task, scored, texts if job.keeps_texts else None),
        items_missing=None,
        unit="text",
        score_unit="nats",
        lower_is_better=True,
        facts={"ability": facts},
    )


def _score(lm: Any, texts: list[str], most: int) -> _Scored:
    """Return the nats of each text that has a token, of its first `most` tokens."""
    whole = [lm.tok_encode(text, add_special_tokens=False) for text in texts]
    kept = [index for index, ids in enumerate(whole) if ids]
    answers = lm._loglikelihood_tokens([(None, [lm.prefix_token_id], whole[index][:most]) for index in kept])
    return _Scored(
        items=kept,
        nats=np.array([-answer[0] for answer in answers]),
        tokens=np.array([min(len(whole[index]), most) for index in kept], dtype=np.int64),
        is_cut=[len(whole[index]) > most for index in kept],
    )


def _table(task: PlannedTask, scored: _Scored, texts: list[str] | None) -> Any:
    """Return the per-item results as a pyarrow table, with the beginnings of `texts` where there are any to keep."""
    import pyarrow as pa

    count = len(scored.items)
    kept = {"question": [texts[item][:QUESTION_CHARACTERS] for item in scored.items]} if texts is not None else {}
    return pa.table(
        kept
        | {
            "part": [task.name] * count,
            "split": [task.splits[0]] * count,
            "subset": [task.subsets[0]] * count,
            "item": scored.items,
            "score": scored.nats / scored.tokens,
            "nll": scored.nats,
            "tokens": scored.tokens,
            "truncated": scored.is_cut,
        }
    )


def read_texts(job: Job, column: str) -> list[str]:
    """Return the cell's texts, the first `limit` of them; raises InputError where a row lacks the column."""
    planned = job.cell.task
    reference, place = planned.ability, job.data[planned.info.name]
    if not isinstance(reference, NllRef):
        raise TypeError(f"task {planned.name!r} reads no texts")
    if reference.file is not None:
        return texts_of_file(Path(reference.file), column)[: planned.limit]
    import datasets

    revision = {"revision": place.revision} if place.revision else {}
    rows = datasets.load_dataset(place.load_from, reference.config, split=planned.splits[0], **revision)
    if column not in rows.column_names:
        raise InputError([f"{planned.info.dataset}: no column {column!r}; it has: {', '.join(rows.column_names)}"])
    return [_text(value) for value in rows[column][: planned.limit]]


def _text(value: Any) -> str:
    """Return a text; some datasets hold a list of sentences (SciFact's abstracts), which are joined with spaces."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
