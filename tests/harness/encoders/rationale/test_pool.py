"""One writes, another reads: held to a second forward pass by hand; written once, loaded only where one is lacking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import CHATML, chat_model, tiny_adapter
from cells_support import SENTENCES, SPECIAL_TOKENS, save_tiny_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from weights_support import Tensors, rewrite

import harness
from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify_all
from harness.candidates.named import named_candidate
from harness.encoders import loading
from harness.encoders.rationale import encoder as encoder_module
from harness.encoders.rationale.ablations import FIXED
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.template import render_template, tokenise
from harness.errors import InputError
from harness.sources.places import Sources
from harness.suite.load import load_suite

TEXTS = ["a cat sat on the mat", "two men play chess", "rain", "", "the bridge is closed today and tomorrow"]
WRITES = {"max_new_tokens": 6}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with two adapters, and a model of another family with another tokenizer."""
    folder = tmp_path_factory.mktemp("pool")
    chat_model(folder / "base")
    rewrite(folder / "base", unending)
    tiny_adapter(folder / "base", folder / "one")
    tiny_adapter(folder / "base", folder / "two")
    file = folder / "two" / "adapter_model.safetensors"
    save_file({name: one.flip(0) for name, one in load_file(file).items()}, file)
    save_tiny_model(folder / "other", "qwen2")
    other_tokenizer().save_pretrained(folder / "other")
    model = AutoModelForCausalLM.from_pretrained(folder / "other")
    model.resize_token_embeddings(len(other_tokenizer()))
    model.save_pretrained(folder / "other")
    return folder


def unending(tensors: Tensors) -> Tensors:
    """Make every end improbable, so that there is something to read."""
    head = tensors["lm_head.weight"].clone()
    head[: len(SPECIAL_TOKENS)] = 0
    return tensors | {"lm_head.weight": head}


def other_tokenizer() -> Any:
    """Return a tokenizer with fewer merges and other ids than the usual one."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), reverse=True)
    special = ["</s>", "<unk>", "<|im_end|>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(SENTENCES, trainer)
    found = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>", pad_token="<unk>")
    found.chat_template = CHATML
    return found


def entry(place: Path, adapter: str | None = None, model: str = "base", **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": "m", "encoder": "rationale", "model": str(place / model), "device": "cpu"}
    given |= {"adapter": str(place / adapter)} if adapter else {}
    return given | {"generation": WRITES, "max_text_tokens": 40} | changes


def candidates(tmp_path: Path, *entries: dict[str, Any]) -> list[Candidate]:
    """Return the models of a suite, as a run finds them."""
    import yaml

    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "name": "s", "models": list(entries)}))
    suite = load_suite(path).suite
    return identify_all(suite.models, Sources(offline=True))  # type: ignore[return-value]


def encoders(tmp_path: Path, *entries: dict[str, Any], **options: Any) -> list[RationaleEncoder]:
    return [loading.load(one, **options).inner for one in candidates(tmp_path, *entries)]  # type: ignore[misc]


def written(encoder: RationaleEncoder, texts: list[str] = TEXTS) -> list[str]:
    return [encoder.tokenizer.decode(one.about["ids"]) for one in encoder.write(texts, prompt=None)]


def by_hand(place: Path, adapter: str, texts: list[str], rationales: list[list[int]]) -> np.ndarray:
    """Return the mean state of text, header and rationale after one forward pass of the adapter's weights."""
    from peft import PeftModel

    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place / "base"), place / adapter).eval()
    template = render_template(tokenizer)
    rows = []
    for text, rationale in zip(texts, rationales, strict=True):
        ids = [*template.prefix, *tokenise(tokenizer, [text])[0], *template.suffix, *rationale]
        with torch.inference_mode():
            states = model.base_model.model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        rows.append(states[len(template.prefix) :].mean(dim=0).numpy())
    return np.stack(rows)


def greedy_by_transformers(place: Path, texts: list[str]) -> list[list[int]]:
    """Return what the base writes, by `generate` of transformers."""
    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    model = AutoModelForCausalLM.from_pretrained(place / "base").eval()
    template = render_template(tokenizer)
    found = []
    for text in texts:
        ids = torch.tensor([[*template.prefix, *tokenise(tokenizer, [text])[0], *template.suffix]])
        made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **WRITES)[0, ids.shape[1] :]
        ends = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
        new = made.tolist()
        found.append(new[: next((n for n, one in enumerate(new) if one in ends), len(new))])
    return found


@pytest.mark.parametrize("forward", ["shared-prefix", "plain"])
@pytest.mark.parametrize("serving", ["merged", "switched"])
def test_what_the_base_writes_is_read_with_the_adapter(place: Path, tmp_path: Path, forward: str, serving: str) -> None:
    """Rationales are those of transformers' own `generate` without the adapter, vectors those of PEFT with it."""
    changes = {"writer": "base", "forward": forward, "serving": serving}
    (reader,) = encoders(tmp_path, entry(place, "one", **changes))
    entries = reader.write(TEXTS, prompt=None)
    ids = [one.about["ids"] for one in entries]
    assert ids == greedy_by_transformers(place, TEXTS)
    vectors = reader.encode(TEXTS, role=None, prompt=None)
    assert np.abs(vectors - by_hand(place, "one", TEXTS, ids)).max() < 1e-5
    (own,) = encoders(tmp_path, entry(place, "one", forward=forward))
    assert [one.about["ids"] for one in own.write(TEXTS, prompt=None)] != ids


def test_another_candidate_writes_with_its_adapter(place: Path, tmp_path: Path) -> None:
    """And is read by the reader's: neither has anything of the other's weights."""
    writer, reader = encoders(
        tmp_path, entry(place, "two", name="w"), without(entry(place, "one", writer="w"), "generation")
    )
    ids = [one.about["ids"] for one in reader.write(TEXTS, prompt="q: ")]
    assert ids == [one.about["ids"] for one in writer.write(TEXTS, prompt="q: ")]
    vectors = reader.encode(TEXTS, role=None, prompt="q: ")
    assert np.abs(vectors - by_hand(place, "one", [f"q: {one}" for one in TEXTS], ids)).max() < 1e-5


def without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def test_between_two_tokenizers_a_rationale_passes_as_text(place: Path, tmp_path: Path) -> None:
    """Decoded by the writer's, and tokenised by the reader's; of the same tokens it passes as they are."""
    writer, reader = encoders(
        tmp_path, entry(place, model="other", name="w"), without(entry(place, "one", writer="w"), "generation")
    )
    said = written(writer)
    assert any(said)
    reader._loaded = replace(reader._loaded, context_length=2048)
    ids = [one.about["ids"] for one in reader.write(TEXTS, prompt=None)]
    assert ids == tokenise(reader.tokenizer, said)
    assert ids != [one.about["ids"] for one in writer.write(TEXTS, prompt=None)]
    assert np.abs(reader.encode(TEXTS, role=None, prompt=None) - by_hand(place, "one", TEXTS, ids)).max() < 1e-5
    assert reader.describe()["writer"]["rationales_pass_as"] == "text"
    (base,) = encoders(tmp_path, entry(place, "one", writer="base"))
    assert base.describe()["writer"]["rationales_pass_as"] == "tokens"


def test_a_rationale_that_outgrows_the_readers_context_is_cut_and_counted(place: Path, tmp_path: Path) -> None:
    """As text it may have more tokens than were written; where they fit, all of them are read."""
    writer, reader = encoders(
        tmp_path, entry(place, name="w"), without(entry(place, model="other", writer="w"), "generation")
    )
    whole = tokenise(reader.tokenizer, written(writer))
    assert max(map(len, whole)) > WRITES["max_new_tokens"]
    cut = reader.write(TEXTS, prompt=None)
    assert [one.about["ids"] for one in cut] == [one[: WRITES["max_new_tokens"]] for one in whole]
    assert all(one.about["cut"] for one in cut)
    reader._loaded = replace(reader._loaded, context_length=2048)
    reader.entries = None
    assert [one.about["ids"] for one in reader.write(TEXTS, prompt=None)] == whole


def test_a_pool_is_written_once_for_all_its_readers(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whichever adapters; a stock entry over the same weights shares it, and later readers load no writer."""
    generated: list[str] = []
    whole = encoder_module.generate

    def watched(prompted: Any, rows: Any, sampling: Any, **options: Any) -> Any:
        if sampling.max_new_tokens:
            generated.extend(text for text, _ in rows)
        return whole(prompted, rows, sampling, **options)

    monkeypatch.setattr(encoder_module, "generate", watched)
    readers = encoders(
        tmp_path,
        entry(place, "one", name="a", writer="base"),
        entry(place, "two", name="b", writer="base", similarity="dot", store_dtype="float16"),
        entry(place, name="stock"),
        without(entry(place, "two", name="c", writer="stock"), "generation"),
    )
    said = [written(one) for one in readers]
    assert generated == [text for text in generated if text in TEXTS]
    assert sorted(generated) == sorted(TEXTS)
    assert all(one == said[0] for one in said)
    assert [one.pool.is_loaded if one.pool else None for one in readers] == [True, False, None, False]
    (again,) = encoders(tmp_path, entry(place, "one", name="a", writer="base"))
    assert written(again) == said[0]
    assert sorted(generated) == sorted(TEXTS)
    assert again.take_details()["from_cache"] == len(TEXTS)


def test_without_the_cache_it_is_written_anew_and_is_the_same(place: Path, tmp_path: Path) -> None:
    warm, cold = (
        encoders(tmp_path, entry(place, "one", writer="base"), use_cache=cached)[0] for cached in (True, False)
    )
    assert np.array_equal(warm.encode(TEXTS, role=None, prompt=None), cold.encode(TEXTS, role=None, prompt=None))
    assert cold.entries is None


def test_the_base_writes_from_the_readers_own_memory(place: Path, tmp_path: Path) -> None:
    (reader,) = encoders(tmp_path, entry(place, "one", writer="base"))
    reader.encode(TEXTS, role=None, prompt=None)
    assert reader.pool is not None
    writer: Any = reader.pool._writer
    mine = {one.data_ptr() for one in reader.model.parameters()}
    assert {one.data_ptr() for one in writer.model.parameters()} < mine
    counted = reader.counters
    assert counted.tokens > 0
    reader.follow("cpu")
    assert not reader.pool.is_loaded


def test_ablations_read_the_writers_rationales(place: Path, tmp_path: Path) -> None:
    """Text alone needs none of them; the rationale alone, another's and a text as long are the writer's."""
    kinds = ("none", "text-only", "rationale-only", "shuffled-rationale", "fixed-rationale")
    texts = [one for one in TEXTS if one]
    changes = [{"name": one, "writer": "base", "ablation": one} for one in kinds]
    plain, alone, only, shuffled, fixed = encoders(tmp_path, *(entry(place, "one", **one) for one in changes))
    ids = [one.about["ids"] for one in plain.write(texts, prompt=None)]
    assert all(ids)
    bare = by_hand(place, "one", texts, [[] for _ in texts])
    assert np.abs(alone.encode(texts, role=None, prompt=None) - bare).max() < 1e-5
    assert alone.pool is not None
    assert not alone.pool.is_loaded
    partners = shuffled.partners(texts, None)
    mixed = by_hand(place, "one", texts, [ids[one] for one in partners])
    assert np.abs(shuffled.encode(texts, role=None, prompt=None) - mixed).max() < 1e-5
    words = tokenise(plain.tokenizer, [FIXED])[0]
    same = [[words[place % len(words)] for place in range(len(own))] for own in ids]
    filled = by_hand(place, "one", texts, same)
    assert np.abs(fixed.encode(texts, role=None, prompt=None) - filled).max() < 1e-5
    assert [one.about["ids"] for one in fixed.write(texts, prompt=None)] == same
    whole = by_hand(place, "one", texts, ids)
    before = [len(tokenise(plain.tokenizer, [text])[0]) + len(plain.template.suffix) for text in texts]
    counts = np.array([(n, len(own)) for n, own in zip(before, ids, strict=True)], dtype=float)
    expected = (whole * counts.sum(axis=1, keepdims=True) - bare * counts[:, :1]) / counts[:, 1:]
    assert np.abs(only.encode(texts, role=None, prompt=None) - expected).max() < 1e-4


def test_the_identity_of_a_reader_names_its_writer(place: Path, tmp_path: Path) -> None:
    """Weights, adapter and settings of the writer; nothing where it writes itself, as before there was a choice."""
    writer, other, own, base, named, both = candidates(
        tmp_path,
        entry(place, name="w"),
        entry(place, "two", name="o", generation={"max_new_tokens": 9, "temperature": 1.0}),
        entry(place, "one", name="own", writer="self"),
        entry(place, "one", name="b", writer="base"),
        without(entry(place, "one", name="n", writer="w"), "generation"),
        without(entry(place, "one", name="x", writer="o"), "generation"),
    )
    assert "writer" not in str(own.identity())
    assert base.identity() == named.identity() == own.identity() | {"writer": writer.writing_identity()}
    assert both.identity()["writer"] == other.writing_identity()  # type: ignore[index]
    assert both.identity()["writer"]["options"]["generation"]["max_new_tokens"] == 9  # type: ignore[index]
    assert both.spec.generation == other.spec.generation
    assert (both.draws_random_numbers, base.draws_random_numbers) == (True, False)
    assert {one.language_model_identity()["adapter"] is None for one in (own, base, both)} == {False}  # type: ignore[index]
    assert len({str(one.language_model_identity()) for one in (own, base, both)}) == 1


def test_a_model_of_a_suite_is_loaded_with_its_writer_from_outside(place: Path, tmp_path: Path) -> None:
    """`harness.load` takes an entry; `SUITE:MODEL` finds another model of the suite."""
    encoder: Any = harness.load(entry(place, "one", writer="base")).inner
    assert encoder.pool.name == "base"
    _, reader = candidates(tmp_path, entry(place, name="w"), without(entry(place, "one", writer="w"), "generation"))
    found = named_candidate(f"{tmp_path / 'suite.yaml'}:m", Sources(offline=True), ["similarity=dot"])
    assert found.writer is not None
    assert reader.writer is not None
    assert found.writer.fingerprint() == reader.writer.fingerprint()
    with pytest.raises(InputError, match="writer: w: no such model here; valid: self, base, or of m"):
        harness.load(without(entry(place, "one", writer="w"), "generation"))
