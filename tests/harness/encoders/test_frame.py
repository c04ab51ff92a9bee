"""What stands around a text: told apart for every order of special tokens, and the same vectors whatever closes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells_support import SENTENCES, located, save_tiny_model, tiny_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, ByT5Tokenizer, CanineTokenizer, PreTrainedTokenizerFast

from harness.encoders.base import Counters
from harness.encoders.dense import MeanPoolEncoder, prefix_ids, text_ids
from harness.encoders.frame import Frame, frame_ids, stand_in_id
from harness.errors import HarnessError
from harness.suite.model_entries import MeanPoolSpec

TEMPLATES = {
    "nothing": "$A",
    "a beginning": "<s> $A",
    "an end": "$A </s>",
    "a closing token that is not the end": "$A <unk>",
    "a beginning that is the end": "</s> $A",
    "the end on both sides": "</s> $A </s>",
    "two in front, two behind": "<s> <|im_start|> $A <|im_end|> </s>",
    "one token on both sides": "<unk> <s> $A <unk>",
}


def tokenizer(template: str) -> Any:
    """Return the tiny tokenizer with a template of its own."""
    made = tiny_tokenizer()
    names = dict.fromkeys(part for part in template.split() if part != "$A")
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(name, made.convert_tokens_to_ids(name)) for name in names]
    )
    return made


def expected(made: Any, template: str) -> Frame:
    """Return the template's two sides as ids."""
    front, _, behind = template.partition("$A")
    return Frame(*(tuple(made.convert_tokens_to_ids(side.split())) for side in (front, behind)))


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_both_sides_of_a_template(name: str) -> None:
    """Whatever the special tokens are called, those before $A are in front and those after it behind."""
    made = tokenizer(TEMPLATES[name])
    frame = frame_ids(made)
    assert frame == expected(made, TEMPLATES[name])
    prompt = made("find: ", add_special_tokens=False)["input_ids"]
    assert prefix_ids(made, "find: ") == [*frame.front, *prompt]
    assert prefix_ids(made, None) == list(frame.front)


def test_tokenizers_written_in_python() -> None:
    """ByT5 closes with its end, Canine opens and closes; neither has a template."""
    assert frame_ids(ByT5Tokenizer()) == ((), (1,))
    canine = CanineTokenizer()
    assert frame_ids(canine) == ((canine.cls_token_id,), (canine.sep_token_id,))


def words(vocabulary: dict[str, int], template: str, **names: str) -> Any:
    """Return a tokenizer by whole words."""
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=names.get("unk_token")))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(part, vocabulary[part]) for part in dict.fromkeys(template.split()) if part != "$A"]
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def test_a_tokenizer_that_knows_no_ordinary_word() -> None:
    """Where every word is the unknown token, and that is the beginning too, words of its own vocabulary tell."""
    small = words({"<|end|>": 0, "ŝtono": 1, "rivero": 2}, "<|end|> $A", unk_token="<|end|>", eos_token="<|end|>")
    assert small("red stone")["input_ids"] == [0, 0, 0]
    assert frame_ids(small) == ((0,), ())


def test_what_cannot_be_told_apart_is_refused() -> None:
    """A tokenizer with no word but the one that it puts around texts: an error that names it and the way out."""
    only = words({"<e>": 0}, "<e> $A", unk_token="<e>", eos_token="<e>")
    with pytest.raises(HarnessError, match="encoder: sentence-transformers") as caught:
        frame_ids(only)
    assert type(only).__name__ in str(caught.value)


def test_the_token_of_an_empty_text() -> None:
    """End-of-text where there is one, else what closes a text; counted as empty, never None."""
    made = tokenizer("<s> $A <unk>")
    assert stand_in_id(made) == made.eos_token_id
    closed = words({"[CLS]": 0, "[SEP]": 1, "stone": 2, "[UNK]": 3}, "[CLS] $A [SEP]", unk_token="[UNK]")
    counters = Counters()
    assert text_ids(closed, ["", "stone"], 8, counters) == [[1], [2]]
    assert counters.empty_texts == 1
    bare = words({"stone": 0, "[UNK]": 1}, "$A", unk_token="[UNK]")
    with pytest.raises(HarnessError, match="eos_token"):
        text_ids(bare, [""], 8, Counters())


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_the_mean_is_that_of_the_models_own_pass(name: str, tmp_path: Path) -> None:
    """The model reads the tokenizer's own ids of a text in one row; the mean runs over the text's positions in it."""
    save_tiny_model(tmp_path)
    tokenizer(TEMPLATES[name]).save_pretrained(tmp_path)
    spec = MeanPoolSpec(name="tiny", encoder="mean-pool", model=str(tmp_path), device="cpu")
    encoder = MeanPoolEncoder(spec, located(tmp_path), None)
    front = TEMPLATES[name].split().index("$A")
    read = AutoTokenizer.from_pretrained(tmp_path)
    for text, vector in zip(SENTENCES, encoder.encode(list(SENTENCES), role=None, prompt=None), strict=True):
        whole = torch.tensor([read(text)["input_ids"]])
        length = whole.shape[1] - len(TEMPLATES[name].split()) + 1
        with torch.no_grad():
            states = encoder.model(input_ids=whole, output_hidden_states=True).hidden_states[-1][0]
        assert np.abs(states[front : front + length].mean(dim=0).numpy() - vector).max() < 1e-5
