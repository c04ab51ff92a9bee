"""Our HFLM against lm-eval's own, on a tiny random model: the same likelihoods, the same answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from ability_support import TEMPLATE, save_adapter, save_tiny_lm
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.backends.lm_eval.generation import StopAtStrings
from harness.backends.lm_eval.model import SharedPrefixLM
from harness.encoders.dense import MeanPoolEncoder
from harness.errors import HarnessError
from harness.sources.places import Located
from harness.suite.model_entries import MeanPoolSpec

SHOTS = "".join(
    f"Question: the child has {n} coins and gives {n // 2}. More?\nAnswer: {n - n // 2}\n\n" for n in range(9)
)
QUESTIONS = ("Question: the road?", "Question: how many plums takes the cart up the hill?", "Why?")
OPTIONS = (" A", " B", " C", " the long option")
GENERATION = {"until": ["\n\n", "Qu"], "max_gen_toks": 24, "do_sample": False, "temperature": 0.0}
WITHIN = 1e-4
"""Nats a likelihood may differ from plain lm-eval's."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> tuple[Any, Any]:
    """A tiny model and its tokenizer, which adds a beginning-of-text token."""
    folder = save_tiny_lm(tmp_path_factory.mktemp("lm"))
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def ours(loaded, *, batch_tokens: int = 4096, gold: str | None = " it takes 7") -> SharedPrefixLM:
    """Return the model as the backend wraps it."""
    model, tokenizer = loaded
    return SharedPrefixLM(
        model, tokenizer, batch_tokens=batch_tokens, gold_of=lambda request: gold, on_done=lambda count: None
    )


def plain(loaded) -> HFLM:
    """Return lm-eval's own wrapping, one prompt at a time."""
    return HFLM(pretrained=loaded[0], tokenizer=loaded[1], batch_size=1)


def likelihoods() -> list[Instance]:
    """Four options behind each question, examples in front."""
    return [
        Instance("loglikelihood", {}, (f"{SHOTS}{question}\nAnswer:", option), place, metadata=("t", doc, 1))
        for doc, question in enumerate(QUESTIONS)
        for place, option in enumerate(OPTIONS)
    ]


def generations(arguments: dict[str, Any] = GENERATION, questions: tuple[str, ...] = QUESTIONS) -> list[Instance]:
    """An answer to each question."""
    return [
        Instance("generate_until", {}, (f"{SHOTS}{question}\nAnswer:", dict(arguments)), 0, metadata=("g", doc, 1))
        for doc, question in enumerate(questions)
    ]


@pytest.mark.parametrize("batch_tokens", [1, 700, 4096])
def test_likelihoods_are_plain_lm_evals(loaded, batch_tokens):
    """Shared prefix, padding and batch size leave every likelihood and every greedy flag as they are."""
    lm = ours(loaded, batch_tokens=batch_tokens)
    wanted, found = plain(loaded).loglikelihood(likelihoods(), disable_tqdm=True), lm.loglikelihood(likelihoods())
    assert max(abs(one - other) for (one, _), (other, _) in zip(wanted, found, strict=True)) < WITHIN
    assert [greedy for _, greedy in wanted] == [greedy for _, greedy in found]
    assert lm.work.shared_prefixes == 1
    assert lm.work.computed_tokens < lm.work.prompt_tokens / 2


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_answers_are_plain_lm_evals(loaded, batch_tokens):
    """Prompts padded behind their shared prefix are answered as each alone."""
    lm = ours(loaded, batch_tokens=batch_tokens)
    assert lm.generate_until(generations()) == plain(loaded).generate_until(generations(), disable_tqdm=True)


def test_answers_differ_from_question_to_question(loaded):
    """The tiny model is no constant function: otherwise the test above could not fail."""
    assert len(set(ours(loaded).generate_until(generations()))) > 1


@pytest.mark.parametrize("shares", [True, False])
def test_gold_answer_is_scored_as_a_continuation_of_the_prompt(loaded, shares):
    """Its nats are those of plain lm-eval, from the prompt's cache or by reading the prompt once more."""
    lm = ours(loaded)
    lm.shares = shares
    lm.generate_until(generations())
    asked = [
        Instance("loglikelihood", {}, (one.args[0], " it takes 7"), 0, metadata=("g", one.doc_id, 1))
        for one in generations()
    ]
    wanted = plain(loaded).loglikelihood(asked, disable_tqdm=True)
    found = [lm.traces["g", doc, 0].gold_nll for doc in range(len(QUESTIONS))]
    assert found == pytest.approx([-nats for nats, _ in wanted], abs=WITHIN)
    assert lm.traces["g", 0, 0].gold_tokens == len(loaded[1].encode(" it takes 7", add_special_tokens=False))


def test_an_answer_that_the_limit_cuts_is_marked(loaded):
    """Without a stop string every answer of a model that never ends runs into the limit."""
    lm = ours(loaded)
    lm.generate_until(generations(GENERATION | {"until": ["no such string"], "max_gen_toks": 5}))
    ended = {doc: trace for (_, doc, _), trace in lm.traces.items()}
    assert all(trace.truncated == [trace.generated_tokens == [5]] for trace in ended.values())
    assert any(trace.truncated == [True] for trace in ended.values())


def test_a_row_stops_at_its_own_string(loaded):
    """Rows of a batch end one by one; lm-eval's criterion waits for one string that is in every row."""
    _, tokenizer = loaded
    first, second = (tokenizer.encode(text, add_special_tokens=False) for text in ("x STOP", "y abcdefgh HALT"))
    length = len(first)
    assert length < len(second)
    stop = StopAtStrings(tokenizer, ["STOP", "HALT"], torch.zeros((2, 0)))
    assert stop(torch.tensor([first[:-1], second[: length - 1]]), None).tolist() == [False, False]
    assert stop(torch.tensor([first, second[:length]]), None).tolist() == [True, False]
    padded = first + [tokenizer.eos_token_id] * (len(second) - length)
    assert stop(torch.tensor([padded, second]), None).tolist() == [True, True]
    assert stop.ends == [length, len(second)]


@pytest.mark.parametrize("template", ["$A </s>", "<s> $A </s>", "$A Q", "<s> $A </s> Q"])
def test_what_a_tokenizer_puts_behind_a_text_is_no_part_of_prompt_or_answer(loaded, template):
    """Likelihoods and answers are plain lm-eval's with a tokenizer that puts the same in front and nothing behind."""

    def closed(single: str) -> tuple[Any, Any]:
        tokenizer = copy.deepcopy(loaded[1])
        names = [part for part in single.split() if part != "$A"]
        special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in names]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=special)
        return loaded[0], tokenizer

    lm, reference = ours(closed(template)), plain(closed(template.partition("$A")[0] + "$A"))
    wanted, found = reference.loglikelihood(likelihoods(), disable_tqdm=True), lm.loglikelihood(likelihoods())
    assert max(abs(one - other) for (one, _), (other, _) in zip(wanted, found, strict=True)) < WITHIN
    assert lm.generate_until(generations()) == reference.generate_until(generations(), disable_tqdm=True)
    broken = plain(closed(template)).loglikelihood(likelihoods(), disable_tqdm=True)
    assert max(abs(one - other) for (one, _), (other, _) in zip(broken, found, strict=True)) > 1e-2
    brings_its_own = "<s>road"
    assert lm.tok_encode(brings_its_own) == reference.tok_encode(brings_its_own)
    assert lm.tok_encode("the road", left_truncate_len=1) == reference.tok_encode("the road", left_truncate_len=1)


def test_prompts_have_one_beginning_of_text_with_a_chat_template(loaded):
    """Template and tokenizer both add the token; the prompt that reaches the model has it once."""
    lm = ours(loaded)
    prompt = lm.apply_chat_template([{"role": "user", "content": "the road?"}])
    assert TEMPLATE.startswith("{{ bos_token }}")
    ids = lm.tok_encode(prompt)
    assert ids[0] == lm.tokenizer.bos_token_id
    assert ids[1] != lm.tokenizer.bos_token_id


@pytest.mark.parametrize("kind", ["loglikelihood", "generate_until"])
def test_two_beginnings_of_text_are_refused(loaded, monkeypatch, kind):
    """Where a tokenizer slips a second one in, nothing is scored."""
    lm = ours(loaded)
    monkeypatch.setattr(SharedPrefixLM, "tok_encode", lambda self, text, **_: [0, 0, 5, 6, 7][: 3 + len(text) // 2])
    requests = likelihoods()[:1] if kind == "loglikelihood" else generations()[:1]
    with pytest.raises(RuntimeError, match="two beginning-of-text"):
        getattr(lm, kind)(requests)


def test_the_date_in_a_template_is_pinned(loaded):
    """A template that prints the day gives the same prompt tomorrow."""
    tokenizer = copy.deepcopy(loaded[1])
    tokenizer.chat_template = "{{ date_string }} {{ strftime_now('%d %b %Y') }}"
    lm = ours((loaded[0], tokenizer))
    assert lm.apply_chat_template([{"role": "user", "content": "x"}]) == "26 Jul 2024 26 Jul 2024"


def test_the_tokenizer_of_the_encoder_is_left_alone(loaded):
    """lm-eval sets a padding token; the encoder's own tokenizer must not change by that."""
    before = loaded[1].pad_token
    ours(loaded)
    assert loaded[1].pad_token == before


def test_an_adapter_is_active_on_the_ability_axis(tmp_path):
    """The model that lm-eval gets answers as base and adapter merged, and not as the base."""
    folder = save_tiny_lm(tmp_path / "lm")
    adapter = save_adapter(tmp_path / "adapter", folder)
    place = Located(kind="folder", load_from=str(folder), revision=None, identity={}, source="test", vouched=None)
    own = Located(kind="folder", load_from=str(adapter), revision=None, identity={}, source="test", vouched=None)
    spec = MeanPoolSpec(name="a", encoder="mean-pool", model=str(folder), adapter=str(adapter), device="cpu")
    inside = MeanPoolEncoder(spec, place, own).causal_lm()
    adapted = ours((inside.model, inside.tokenizer)).loglikelihood(likelihoods())
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    without = plain((base.eval(), tokenizer)).loglikelihood(likelihoods(), disable_tqdm=True)
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload().eval()
    wanted = plain((merged, tokenizer)).loglikelihood(likelihoods(), disable_tqdm=True)
    assert [nats for nats, _ in adapted] == pytest.approx([nats for nats, _ in wanted], abs=1e-3)
    assert max(abs(one[0] - other[0]) for one, other in zip(adapted, without, strict=True)) > 0.1


def test_a_limit_without_room_for_a_prompt_is_refused(loaded):
    """The message names the limit and the context."""
    with pytest.raises(HarnessError, match="max_gen_toks 5000"):
        ours(loaded).generate_until(generations(GENERATION | {"max_gen_toks": 5000}))
