"""`lm_nll`: nats per token over texts, the plainest measure of what a language model still knows.

Formula: sum over texts and tokens of -log p(token | those before it) / number of those tokens; >= 0, less is better.
Every text is scored by itself: ids = [beginning-of-text, or end-of-text where the tokenizer has none] + the text's own,
without the special tokens that the tokenizer would add, cut to `max_text_tokens`. The first id is conditioned on and
masked; every id of the text is scored, its first included. No template, no instruction, no stride.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.interface import Job, Outcome
from harness.backends.lm_eval.ask import language_model
from harness.backends.lm_eval.tasks import quiet
from harness.encoders.checked import CheckedEncoder
from harness.errors import InputError
from harness.results.records import Metric
from harness.row_files import json_rows
from harness.statistics.resampling import bootstrap, ratio_statistic
from harness.wording import did_you_mean, display_path, first_lines, listing

MOST_PROBLEMS = 20
"""So many bad rows are named; the rest are counted."""


def evaluate_nll(job: Job, encoder: CheckedEncoder) -> Outcome:
    """Score one `lm_nll` cell: nats per token with a bootstrap interval over texts."""
    import pyarrow as pa

    planned = job.cell.task
    settings = planned.settings
    with quiet():
        texts = read_texts(job)
        lm = language_model(encoder, {}, chat_template=False)
        most = min(int(settings["max_text_tokens"]), lm.max_length)
        whole = [lm.tok_encode(text, add_special_tokens=False) for text in texts]
        ids = [one[:most] for one in whole]
        kept = [index for index, one in enumerate(ids) if one]
        answers = lm._loglikelihood_tokens([(None, [lm.prefix_token_id], ids[index]) for index in kept])
    nats = np.array([-answer[0] for answer in answers])
    tokens = np.array([len(ids[index]) for index in kept], dtype=np.float64)
    is_cut = [len(whole[index]) > most for index in kept]
    columns = {
        "part": [planned.name] * len(kept),
        "split": [planned.splits[0]] * len(kept),
        "subset": [planned.subsets[0]] * len(kept),
        "item": kept,
        "score": nats / tokens,
        "nll": nats,
        "tokens": tokens.astype(np.int64),
        "truncated": is_cut,
    }
    value = float(nats.sum() / tokens.sum())
    return Outcome(
        metric="nll",
        score=value,
        interval=bootstrap([(len(kept), ratio_statistic(nats, tokens))]),
        n=len(kept),
        metrics=(Metric(name="nll", value=value, split=planned.splits[0], subset=planned.subsets[0], unit="nats"),),
        items=pa.table(columns),
        items_missing=None,
        unit="text",
        score_unit="nats",
        lower_is_better=True,
        facts={
            "ability": {
                "settings": settings,
                "chance": None,
                "is_below_chance": False,
                "unextractable": {},
                "truncated": sum(is_cut) / len(is_cut),
                "texts": len(texts),
                "empty_texts": len(texts) - len(kept),
                "tokens": int(tokens.sum()),
                "masked": "the beginning-of-text token alone; every token of a text is scored",
                "max_length": lm.max_length,
            }
        },
    )


def read_texts(job: Job) -> list[str]:
    """Return the cell's texts, the first `limit` of them; raises InputError where a row lacks the column."""
    planned = job.cell.task
    place = job.data[planned.info.name]
    column = str(planned.settings["column"])
    if planned.ability is not None and planned.ability.file is not None:
        return _from_file(Path(planned.ability.file), column)[: planned.limit]
    import datasets

    subset = planned.subsets[0]
    revision = {"revision": place.revision} if place.revision else {}
    config = subset if planned.ability is not None and planned.ability.config is not None else None
    rows = datasets.load_dataset(place.load_from, config, split=planned.splits[0], **revision)
    if column not in rows.column_names:
        raise InputError([f"{planned.info.dataset}: no column {column!r}; it has: {', '.join(rows.column_names)}"])
    return [_text(value) for value in rows[column][: planned.limit]]


def _from_file(path: Path, column: str) -> list[str]:
    problems: list[str] = []
    texts = []
    for row in json_rows(path, problems):
        text = row.values.get(column)
        if isinstance(text, str):
            texts.append(text)
        else:
            near = did_you_mean(column, row.values)
            problems.append(f"{row.place}: no text in {column!r}; it has: {listing(row.values) or 'nothing'}{near}")
    if problems or not texts:
        raise InputError(first_lines(problems, most=MOST_PROBLEMS) or [f"{display_path(path)}: no rows"])
    return texts


def _text(value: Any) -> str:
    """Return a text; some datasets hold a list of sentences (SciFact's abstracts), which are joined with spaces."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
