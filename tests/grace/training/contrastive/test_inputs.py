"""Ids that a contrastive objective trains on: those that the encoder will evaluate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from candidates_support import CHATML
from cells_support import SENTENCES, tiny_tokenizer
from tokenizers.processors import TemplateProcessing

from grace.training.contrastive.batch import TextBatch
from grace.training.contrastive.inputs import FixedInputs, PlainInputs
from harness.encoders.rationale.template import render_template
from harness.errors import HarnessError, InputError


@pytest.mark.parametrize("template", ["$A <unk>", "</s> $A", "<s> $A </s>"])
def test_texts_are_read_behind_what_stands_in_front_alone(template: str) -> None:
    """A closing token is never put in front, and a beginning that is also the end is not left out."""
    tokenizer: Any = tiny_tokenizer()
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in template.split() if name != "$A"]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=special)
    config: Any = SimpleNamespace(max_text_tokens=10, suffix=None)
    trained: Any = SimpleNamespace(tokenizer=tokenizer, context_length=64)
    inputs = PlainInputs(config, trained)
    front = template.split().index("$A")
    whole = tokenizer(SENTENCES[0])["input_ids"]
    assert list(inputs.prefix) == whole[:front]
    assert inputs.rows([SENTENCES[0]], 0)[0] == whole[front:10]


def test_a_suffix_is_trained_on_as_it_is_read() -> None:
    """Behind every text, whole: a text that is too long gives way to it, and one that has no place is refused."""
    tokenizer: Any = tiny_tokenizer()
    suffix = tokenizer(" or so", add_special_tokens=False)["input_ids"]
    own = tokenizer(SENTENCES[0], add_special_tokens=False)["input_ids"]
    room = len(suffix) + 4
    trained: Any = SimpleNamespace(tokenizer=tokenizer, context_length=64)
    assert len(own) > 4
    for most, kept in ((room, own[:4]), (64, own)):
        config: Any = SimpleNamespace(max_text_tokens=most, suffix=" or so")
        assert PlainInputs(config, trained).rows([SENTENCES[0]], 0) == [[*kept, *suffix]]
    with pytest.raises(HarnessError, match=f"suffix: {len(suffix)} tokens.*max_text_tokens: {len(suffix)};"):
        PlainInputs(SimpleNamespace(max_text_tokens=len(suffix), suffix=" or so"), trained)  # type: ignore[arg-type]


def test_one_text_in_the_place_of_rationales_is_trained_on_as_it_is_read() -> None:
    """Behind text and header, whole: a text that is too long gives way to it, and is counted."""
    tokenizer: Any = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    template = render_template(tokenizer)
    fixed, own = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in (" or so", SENTENCES[0]))
    around = len(template.prefix) + len(template.suffix) + len(fixed)
    assert len(own) > 4
    batch = TextBatch(texts=[SENTENCES[0]], queries=1)
    for most, context, kept in ((64, 999, own), (4, 999, own[:4]), (64, around + 3, own[:3])):
        trained: Any = SimpleNamespace(tokenizer=tokenizer, context_length=context)
        config: Any = SimpleNamespace(max_text_tokens=most, rationale=SimpleNamespace(fixed=" or so"))
        inputs = FixedInputs(config, trained)
        assert inputs.of_batch(batch) == [[*kept, *template.suffix, *fixed]]
        assert tuple(inputs.prefix) == template.prefix
        assert inputs.counters.truncated_texts == (len(kept) < len(own))
        assert inputs.facts()["tokens_per_rationale"] == len(fixed)
    trained = SimpleNamespace(tokenizer=tokenizer, context_length=around)
    with pytest.raises(InputError, match=rf"rationale.fixed: it and the prompt take {around} of {around} tokens"):
        FixedInputs(config, trained)
