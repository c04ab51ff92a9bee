"""Rows on both sides of the length from which a model turns positions another way, against each row alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from cells_support import tiny_tokenizer
from lm_eval.api.instance import Instance
from rope_support import dynamic_rope, logits_alone, long_rope

from harness.backends.lm_eval.model import SharedPrefixLM
from harness.backends.lm_eval.probe import take_the_way_that_holds
from harness.errors import HarnessError

LIMIT = 48
TOKENIZER = tiny_tokenizer()
SHOTS = " ".join(["the cat sat on the mat and looked at the moon, a small dog ran over the green hill"] * 2)
QUESTIONS = ("", " rain fell on the roof", " rain fell on the roof all night long and how do I return a card", " the")
ANSWERS = (" a card", " the quick brown fox jumps over the lazy dog and the chain of the shape and the roof", " it")
KINDS = {
    "phi3": lambda: long_rope(original=LIMIT, longest=256),
    "llama": lambda: long_rope(original=LIMIT, longest=256, family="llama"),
    "dynamic": lambda: dynamic_rope(most=LIMIT),
}
NEW = 5


def ids_of(text: str) -> list[int]:
    """Return a text's ids."""
    ids: list[int] = TOKENIZER(text)["input_ids"]
    return ids


def wrapped(fresh: Any, gold: str | None = None) -> SharedPrefixLM:
    """Return a copy of a model as the backend wraps it, probed."""
    lm = SharedPrefixLM(
        copy.deepcopy(fresh), TOKENIZER, batch_tokens=4096, gold_of=lambda request: gold, on_done=lambda count: None
    )
    take_the_way_that_holds(lm)
    assert (lm.shares, lm.pads) == (True, True)
    return lm


def nats(fresh: Any, prompt: list[int], answer: list[int]) -> float:
    """Return -log p of an answer behind a prompt, cut on the left to the model's context as lm-eval does."""
    row = [*prompt, *answer][-(fresh.config.max_position_embeddings + 1) :]
    logprobs = logits_alone(fresh, row[:-1]).log_softmax(dim=-1)[-len(answer) :]
    return -float(logprobs.gather(1, torch.tensor(answer)[:, None]).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_are_those_of_each_row_alone(kind: str) -> None:
    """A shared beginning is read once for the rows within the limit, and with each row that is longer."""
    fresh = KINDS[kind]()
    asked = [
        Instance("loglikelihood", {}, (f"{SHOTS}{question}", answer), place, metadata=("t", doc, 1))
        for doc, question in enumerate(QUESTIONS)
        for place, answer in enumerate(ANSWERS)
    ]
    lengths = [len(ids_of(one.args[0])) + len(ids_of(one.args[1])) - 1 for one in asked]
    assert min(lengths) <= LIMIT < max(lengths)
    lm = wrapped(fresh)
    for _ in range(2):
        for request, (found, _greedy) in zip(asked, lm.loglikelihood(asked), strict=True):
            truth = nats(fresh, ids_of(request.args[0]), ids_of(request.args[1]))
            assert -found == pytest.approx(truth, abs=1e-3)


@pytest.mark.parametrize("kind", ["phi3", "llama"])
def test_answers_and_golds_are_those_of_each_row_alone(kind: str) -> None:
    """Prompts that are well within the limit or beyond it from the start; a gold answer may cross it."""
    fresh = KINDS[kind]()
    within, beyond = SHOTS, f"{SHOTS}{QUESTIONS[2]}"
    assert len(ids_of(within)) + NEW <= LIMIT < len(ids_of(beyond)) - 1
    gold = ANSWERS[1]
    assert len(ids_of(within)) + len(ids_of(gold)) > LIMIT
    texts = [within, beyond, f"{beyond} the", within[4:], "so"]
    until = {"until": ["\n\n"], "max_gen_toks": NEW, "do_sample": False}
    asked = [
        Instance("generate_until", {}, (text, dict(until)), 0, metadata=("g", d, 1)) for d, text in enumerate(texts)
    ]
    lm = wrapped(fresh, gold)
    for request, found in zip(asked, lm.generate_until(asked), strict=True):
        row = ids_of(request.args[0])
        prompt = len(row)
        for _ in range(lm.trace(request).generated_tokens[0]):
            row.append(int(logits_alone(fresh, row)[-1].argmax()))
        assert found == TOKENIZER.decode(row[prompt:], skip_special_tokens=True)
        whole = ids_of(f"{request.args[0]}{gold}")
        assert lm.trace(request).gold_nll == pytest.approx(nats(fresh, whole[:prompt], whole[prompt:]), abs=1e-3)


def test_an_answer_that_may_cross_the_limit_is_refused_with_the_way_out() -> None:
    """The keys of its prompt were turned for shorter texts."""
    prompt = len(ids_of(SHOTS))
    until = {"until": ["\n\n"], "max_gen_toks": LIMIT - prompt + 1, "do_sample": False}
    asked = [Instance("generate_until", {}, (SHOTS, dict(until)), 0, metadata=("g", 0, 1))]
    lm = wrapped(KINDS["llama"]())
    with pytest.raises(HarnessError, match=rf"{LIMIT + 1} tokens.* beyond {LIMIT} .*_toks: {LIMIT - prompt}`"):
        lm.generate_until(asked)
    asked[0].args[1]["max_gen_toks"] = LIMIT - prompt
    assert len(lm.generate_until(asked)) == 1
