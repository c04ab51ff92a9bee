"""Prefixes are shared and rows padded only for models that give the same then; the answers are lm-eval's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cells_support import tiny_tokenizer
from families import forgetful, tiny, without_memory
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from harness.backends.lm_eval.ask import language_model
from harness.backends.lm_eval.model import SharedPrefixLM
from harness.backends.lm_eval.probe import take_the_way_that_holds
from harness.encoders.base import CausalLM
from harness.errors import EnvironmentGapError

SHOTS = "".join(f"the cat number {n} sat on the mat and looked at the moon\n" for n in range(5))
WAYS = {
    "llama": (True, True),
    "granite": (True, True),
    "gpt_oss": (False, True),
    "bart": (True, False),
    "rwkv": (False, False),
    "lfm2": (False, True),
}


def wrapped(model: Any, tokenizer: Any, batch_tokens: int = 4096) -> SharedPrefixLM:
    """Return a model as the backend wraps it, probed."""
    found = SharedPrefixLM(
        model, tokenizer, batch_tokens=batch_tokens, gold_of=lambda request: None, on_done=lambda count: None
    )
    take_the_way_that_holds(found)
    return found


@pytest.mark.parametrize("family", WAYS)
def test_the_likelihoods_and_answers_are_those_of_plain_lm_eval(family: str) -> None:
    """One prompt at a time there, in whatever way the probe found here."""
    tokenizer = tiny_tokenizer()
    model = tiny(family, vocab_size=len(tokenizer))
    lm = wrapped(model, tokenizer)
    assert (lm.shares, lm.pads) == WAYS[family]
    endings = (" a dog", " it ran over the hill", " rain", " rat")
    asked = [
        Instance("loglikelihood", {}, (f"{SHOTS}{question}", ending), place, metadata=("t", doc, 1))
        for doc, question in enumerate(("so", "the quick brown fox jumps"))
        for place, ending in enumerate(endings)
    ]
    plain = HFLM(pretrained=model, backend="causal", tokenizer=tiny_tokenizer(), batch_size=1)
    found, expected = lm.loglikelihood(asked), plain.loglikelihood(asked, disable_tqdm=True)
    for (ours, is_greedy), (theirs, theirs_greedy) in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)
        assert is_greedy == theirs_greedy
    until = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False}
    texts = [f"{SHOTS}so", "the quick", f"{SHOTS}the green hill is on the"]
    written = [
        Instance("generate_until", {}, (text, dict(until)), 0, metadata=("g", doc, 1)) for doc, text in enumerate(texts)
    ]
    assert lm.generate_until(written) == plain.generate_until(written, disable_tqdm=True)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlnet"])
def test_a_model_that_sees_both_ways_is_refused_by_whatever_encoder_it_comes(family: str) -> None:
    """Also by an encoder of another package, which hands a language model out without a look at it."""
    model, tokenizer = tiny(family), tiny_tokenizer()
    encoder = SimpleNamespace(
        name="theirs",
        causal_lm=lambda: CausalLM(model, tokenizer),
        describe=lambda: {"batch_tokens": 4096},
        progress=lambda count: None,
    )
    with pytest.raises(EnvironmentGapError, match=rf"model_type '{family}'.*the ability axis"):
        language_model(encoder, {}, chat_template=False)  # type: ignore[arg-type]


def test_a_model_whose_cache_is_wrong_is_refused() -> None:
    """One row at a time would be right for likelihoods and wrong for answers."""
    model = forgetful(tiny("llama"))
    with pytest.raises(EnvironmentGapError, match=r"LlamaForCausalLM .*generated answers"):
        wrapped(model, tiny_tokenizer())


def test_memory_that_runs_out_is_no_fault_of_the_family() -> None:
    """Else the axis would go a slower way in silence, or refuse a sound model."""
    with pytest.raises(torch.OutOfMemoryError):
        wrapped(without_memory(tiny("llama"), torch.OutOfMemoryError("out")), tiny_tokenizer())
