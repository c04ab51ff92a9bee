"""`suffix` of the mean-pool encoder: text behind every text, held against the model's own forward pass."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import candidate_directory, chat_model
from cells_support import SENTENCES, save_tiny_model, tiny_tokenizer
from families import tiny
from suites_support import write

from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.candidates.named import named_candidate
from harness.candidates.rule import rules_said
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.explain.states import token_states
from harness.encoders.lengths import lengths
from harness.encoders.loading import load
from harness.errors import HarnessError, InputError
from harness.sources.places import Sources
from harness.suite.load import model_of

TOLERANCE = 1e-5
SUFFIX = " said once more for a reader"
OPEN, CLOSE = 1, 4
"""Ids that a model that sees both ways is given around a text."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two causal models, one with a beginning of text, and one that sees both ways, between two special tokens."""
    from tokenizers import processors

    root = tmp_path_factory.mktemp("models")
    tokenizer = tiny_tokenizer()
    around = [("<s>", OPEN), ("<|im_end|>", CLOSE)]
    template = processors.TemplateProcessing(single="<s> $A <|im_end|>", special_tokens=around)
    tokenizer.backend_tokenizer.post_processor = template
    tiny("bert", vocab_size=len(tokenizer)).save_pretrained(root / "bert")
    tokenizer.save_pretrained(root / "bert")
    save_tiny_model(root / "llama")
    save_tiny_model(root / "gemma-bos", family="gemma", adds_bos=True)
    return {name: root / name for name in ("llama", "gemma-bos", "bert")}


def candidate_of(folder: Path, **options: Any) -> Candidate:
    """Return a mean-pool entry's candidate."""
    entry = {"name": "m", "encoder": "mean-pool", "model": str(folder), "device": "cpu"}
    found = identify(model_of(entry | options), Sources())
    assert isinstance(found, Candidate)
    return found


def encoder_of(folder: Path, **options: Any) -> MeanPoolEncoder:
    """Load a tiny model as the encoder."""
    inner = load(candidate_of(folder, **options)).inner
    assert isinstance(inner, MeanPoolEncoder)
    return inner


def ids_of(encoder: MeanPoolEncoder, text: str) -> list[int]:
    """Return the ids of a text alone."""
    return list(encoder.tokenizer(text, add_special_tokens=False)["input_ids"])


def by_hand(encoder: MeanPoolEncoder, own: list[int], prompt: str | None = None) -> np.ndarray:
    """Return the mean over `own` of one unpadded forward pass of transformers' own model."""
    around = encoder.tokenizer("")["input_ids"]
    front, end = around[:1], around[1:]
    before = [*front, *ids_of(encoder, prompt or "")]
    with torch.no_grad():
        row = torch.tensor([[*before, *own, *end]])
        states = encoder.model.base_model(input_ids=row).last_hidden_state[0]
    mean: np.ndarray = states[len(before) : len(before) + len(own)].double().mean(dim=0).numpy()
    return mean


@pytest.mark.parametrize("prompt", [None, "query: "])
@pytest.mark.parametrize("name", ["llama", "gemma-bos", "bert"])
def test_vectors_are_those_of_the_models_own_pass(folders: dict[str, Path], name: str, prompt: str | None) -> None:
    """The mean runs over text and suffix, neither over what stands in front nor over what closes a row."""
    encoder = encoder_of(folders[name], suffix=SUFFIX)
    found = encoder.encode([*SENTENCES, ""], role=None, prompt=prompt)
    rows = [*(ids_of(encoder, text) for text in SENTENCES), [encoder.tokenizer.eos_token_id]]
    expected = np.stack([by_hand(encoder, [*row, *ids_of(encoder, SUFFIX)], prompt) for row in rows])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    plain = encoder_of(folders[name]).encode([*SENTENCES, ""], role=None, prompt=prompt)
    assert np.abs(found - plain).max() > 100 * TOLERANCE


def test_special_tokens_in_a_suffix_are_tokens(folders: dict[str, Path]) -> None:
    """As in a prompt: what whoever writes a suite says is meant."""
    encoder = encoder_of(folders["llama"], suffix="<|im_end|>")
    assert encoder.suffix == [CLOSE]
    said = encoder.describe()
    assert (said["suffix"], said["suffix_tokens"]) == ("<|im_end|>", 1)
    assert "suffix" in said["pooling"]
    assert "suffix" not in encoder_of(folders["llama"]).describe()


def test_a_text_gives_way_to_the_suffix(folders: dict[str, Path]) -> None:
    """A text that is too long is cut, and counted; the suffix is read whole behind it."""
    encoder = encoder_of(folders["gemma-bos"], suffix=SUFFIX, max_text_tokens=24)
    suffix, long = ids_of(encoder, SUFFIX), " ".join(SENTENCES)
    own = ids_of(encoder, long)
    room = 24 - 1 - len(suffix)
    found = encoder.encode([long], role=None, prompt=None)
    np.testing.assert_allclose(found[0], by_hand(encoder, [*own[:room], *suffix]), atol=TOLERANCE)
    counts = encoder.counters
    assert (counts.tokens, counts.truncated_texts, counts.cut_tokens) == (24, 1, len(own) - room)


def test_lengths_count_the_suffix(folders: dict[str, Path]) -> None:
    """`lengths` of each text are the tokens of the rows that are read."""
    encoder = load(candidate_of(folders["gemma-bos"], suffix=SUFFIX))
    told = lengths(encoder, SENTENCES, role=None, prompt=None)
    assert told is not None
    suffix = ids_of(encoder.inner, SUFFIX)  # type: ignore[arg-type]
    assert told.tokens == [1 + len(ids_of(encoder.inner, text)) + len(suffix) for text in SENTENCES]  # type: ignore[arg-type]


def test_a_suffix_that_leaves_no_place_for_a_text_is_refused(folders: dict[str, Path]) -> None:
    """It would be read alone, and every text have one vector."""
    count = len(encoder_of(folders["gemma-bos"], suffix=SUFFIX).suffix)
    assert encoder_of(folders["gemma-bos"], suffix=SUFFIX, max_text_tokens=count + 2).room(1) == 1
    with pytest.raises(HarnessError, match=rf"suffix: {count} tokens, with 1 .*max_text_tokens: {count + 1};"):
        encoder_of(folders["gemma-bos"], suffix=SUFFIX, max_text_tokens=count + 1)
    prompted = encoder_of(folders["gemma-bos"], suffix=SUFFIX, max_text_tokens=count + 2)
    with pytest.raises(HarnessError, match=rf"suffix: {count} tokens, with \d+ .*max_text_tokens: {count + 2};"):
        prompted.encode(SENTENCES, role=None, prompt="query: ")


def test_a_suffix_without_a_token_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """A tokenizer that drops white space would read nothing, under a key that says otherwise."""
    from tokenizers import Regex, normalizers

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\s"), "")
    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    tokenizer.save_pretrained(folder)
    with pytest.raises(HarnessError, match="suffix: '  ' has no token for this model"):
        encoder_of(folder, suffix="  ")


def test_the_key_changes_with_the_suffix_and_stays_without(folders: dict[str, Path]) -> None:
    """An empty suffix is none; entries that say nothing keep their keys, and so do their answers."""
    plain, empty, other = (candidate_of(folders["llama"], **one) for one in ({}, {"suffix": ""}, {"suffix": SUFFIX}))
    known = plain.identity()
    assert known is not None
    assert "suffix" not in known | known["options"]
    assert empty.identity() == known
    assert other.identity() == known | {"suffix": SUFFIX}
    assert other.language_model_identity() == plain.language_model_identity()
    assert [list(rules_said(one)) for one in (plain, empty)] == [[], []]
    assert list(rules_said(other)) == [
        f"behind every text {SUFFIX!r} is read, and takes part in the vector; answers are given without it"
    ]


def test_an_explanation_shows_the_suffix_as_such(folders: dict[str, Path]) -> None:
    """Tokens of the text and of the suffix are told apart; together they make the vector."""
    encoder = encoder_of(folders["llama"], suffix=SUFFIX)
    (found,) = token_states(encoder, SENTENCES[:1])
    own, suffix = ids_of(encoder, SENTENCES[0]), ids_of(encoder, SUFFIX)
    assert found.ids == (*own, *suffix)
    assert found.parts == (*("text",) * len(own), *("suffix",) * len(suffix))
    np.testing.assert_allclose(found.vector, by_hand(encoder, [*own, *suffix]), atol=TOLERANCE)


def test_a_candidate_says_its_suffix_and_an_entry_another(tmp_path: Path) -> None:
    """An entry's own stands in its place, and an empty one for none; a writer would leave it out, and is refused."""
    base = chat_model(tmp_path / "model")
    folder = candidate_directory(tmp_path / "run", base, kind="mean-pool")
    about = (folder / "candidate.yaml").read_text().replace("encoder: {}", "encoder: {suffix: ' in other words'}")
    write(folder / "candidate.yaml", about)
    found = [named_candidate(str(folder), Sources(), one) for one in ([], ["suffix=' more'"], ["suffix=''"])]
    assert [one.spec.suffix for one in found] == [" in other words", " more", None]  # type: ignore[union-attr]
    with pytest.raises(InputError, match="kind rationale would leave the suffix out"):
        named_candidate(str(folder), Sources(), ["kind=rationale"])
    with_adapter = candidate_directory(
        tmp_path / "adapted", base, kind="mean-pool", adapter=True, encoder="{suffix: ' in other words'}"
    )
    switched = named_candidate(str(with_adapter), Sources(), ["serving=switched"])
    assert switched.answering().identity() == candidate_of(base).identity()
    other = candidate_directory(tmp_path / "other", base, kind="rationale")
    with pytest.raises(InputError, match="suffix: rationale has no such thing"):
        named_candidate(str(other), Sources(), ["suffix= more"])
