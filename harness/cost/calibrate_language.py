"""How fast a language model reads and writes here, timed on the code that answers the ability axis.

Reading is timed on rows that share nothing; writing on few and on many rows, each with a short and a long limit, so
that what is left of the difference is steps alone: seconds a step = c + rows x d. How long a model's answers are,
beside those of the examples it was shown, is seen on word problems of the demo data.
"""

from __future__ import annotations

import json
import time
from statistics import mean
from typing import Any

from harness.backends.lm_eval.ask import language_model
from harness.cost.own_prompts import Renderer, json_lines, long_one
from harness.cost.pace import LanguagePace
from harness.cost.work import Habits
from harness.encoders.checked import CheckedEncoder
from harness.plan.lm_eval_files import own_task
from harness.suite.shipped import shipped_folder

READ_ROWS = 6
READ_TOKENS = 512
FEW_ROWS, MANY_ROWS = 1, 8
SHORT_ANSWER, LONG_ANSWER = 4, 28
ANSWERED = 16
"""Word problems, spread over the file, that are answered to see how long answers are."""


def language_pace(encoder: CheckedEncoder) -> LanguagePace:
    """Time an encoder's language model: half a minute for 135 million parameters on one CPU core."""
    lm = language_model(encoder, {}, chat_template=False)
    lm.gold_of = lambda _: None
    ids = lm.tok_encode(_text(), add_special_tokens=False)
    size = min(READ_TOKENS, lm.max_length - LONG_ANSWER, len(ids) // READ_ROWS)
    rows = [ids[start : start + size] for start in range(0, READ_ROWS * size, size)]
    _read(lm, rows[:1])  # the first call pays for lazy initialisation
    reading = min(_read(lm, rows), _read(lm, rows)) / (size * READ_ROWS)
    few, many = (_seconds_per_step(lm, rows) for rows in (FEW_ROWS, MANY_ROWS))
    per_step, per_row = step_and_row(few, many, few_rows=FEW_ROWS, many_rows=MANY_ROWS)
    return LanguagePace(
        seconds_per_prompt_token=reading,
        seconds_per_step=per_step,
        seconds_per_generated_token=per_row,
        batch_tokens=lm.batch_tokens,
        habits=_habits(lm),
    )


def _habits(lm: Any) -> Habits:
    """Let the model answer with worked examples before it, and compare the lengths."""
    path = shipped_folder() / "data/ability/demo_word_problems.yaml"
    config = own_task(path)
    render = Renderer(config)
    examples, asked = (json_lines(path.parent / f"word_problems{of}.jsonl") for of in (".fewshot", ""))
    answers = [render.answer(row) for row in examples]
    shown = "".join(
        f"{render.question(row)}{answer}{config['fewshot_delimiter']}"
        for row, answer in list(zip(examples, answers, strict=True))[: config["num_fewshot"]]
    )
    prompts = [shown + render.question(row) for row in asked[:: max(1, len(asked) // ANSWERED)]]
    _, made = _write(lm, prompts, config["generation_kwargs"]["max_gen_toks"], config["generation_kwargs"]["until"])
    told = [len(lm.tok_encode(answer, add_special_tokens=False)) for answer in answers]
    return Habits(
        context=lm.max_length,
        answer_factor=mean(made) / mean(told),
        long_answer_factor=long_one(made) / long_one(told),
    )


def step_and_row(few: float, many: float, *, few_rows: int, many_rows: int) -> tuple[float, float]:
    """Return (c, d) of seconds a step = c + rows x d through two measurements, neither below 0.

    Args:
        few, many: seconds a step with few and with many rows.
        few_rows, many_rows: how many these are.
    """
    per_row = max((many - few) / (many_rows - few_rows), 0.0)
    return max(few - few_rows * per_row, 0.0), per_row if per_row * few_rows < few else many / many_rows


def _read(lm: Any, rows: list[list[int]]) -> float:
    started = time.perf_counter()
    lm.score_rows(rows, [1] * len(rows), lambda *_: None)
    return time.perf_counter() - started


def _seconds_per_step(lm: Any, rows: int) -> float:
    """Return the seconds that one more step of a batch takes."""
    prompts = _questions()[:rows]
    short, short_made = _write(lm, prompts, SHORT_ANSWER, [])  # nothing stops it but the end of text
    long, long_made = _write(lm, prompts, LONG_ANSWER, [])
    return max(long - short, 0.0) / max(max(long_made) - max(short_made), 1)


def _write(lm: Any, prompts: list[str], most: int, until: list[str]) -> tuple[float, list[int]]:
    """Return (seconds, tokens of each answer) of answering prompts with a limit."""
    from lm_eval.api.instance import Instance

    arguments = {"until": until, "max_gen_toks": most, "do_sample": False, "temperature": 0.0}
    asked = [
        Instance(
            request_type="generate_until", doc={}, arguments=(prompt, dict(arguments)), idx=0,
            metadata=(f"calibration-{len(prompts)}-{most}", number, 1),
        )
        for number, prompt in enumerate(prompts)
    ]  # fmt: skip
    started = time.perf_counter()
    lm.generate_until(asked)
    return time.perf_counter() - started, [lm.trace(one).generated_tokens[0] for one in asked]


def _questions() -> list[str]:
    lines = (shipped_folder() / "data/ability/word_problems.jsonl").read_text(encoding="utf-8").splitlines()
    return [f"Question: {json.loads(line)['question']}\nAnswer:" for line in lines]


def _text() -> str:
    lines = (shipped_folder() / "data/retrieval/corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return "\n".join(json.loads(line)["text"] for line in lines)
