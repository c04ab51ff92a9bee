"""The mean-pool encoder over tiny random models: neighbours, prompts, special tokens and adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells_support import CONTEXT, HIDDEN, SENTENCES, SPECIAL_TOKENS, located, save_tiny_model, tiny_tokenizer
from families import tiny

from harness.encoders.dense import MeanPoolEncoder
from harness.errors import AdapterHasNoEffectError, EnvironmentGapError, InputError, WeightsDoNotFitError
from harness.suite.model_entries import MeanPoolSpec

VARIANTS = {
    "llama": {"family": "llama"},
    "llama-bos": {"family": "llama", "adds_bos": True},
    "qwen2-pad-eos": {"family": "qwen2", "pad_is_eos": True},
    "gemma-bos": {"family": "gemma", "adds_bos": True},
}
TOLERANCE = 1e-5
ODD_TEXTS = {
    "lone surrogate": "half \ud83d a pair",
    "NUL": "before\0after",
    "emoji": "👩‍👩‍👧 fine 🦊",
    "right to left": "שלום עולם مرحبا",
    "spaces": "   ",
    "newlines and tabs": "\n\t\r\n",
    "zero width": "\u200b\u200d",
    "combining": "e\u0301" * 10,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved model and tokenizer for each variant."""
    root = tmp_path_factory.mktemp("models")
    return {name: save_tiny_model(root / name, **options) for name, options in VARIANTS.items()}


@pytest.fixture(scope="module", params=list(VARIANTS))
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    """Each variant in turn."""
    return folders[request.param]


def load(folder: Path, *, adapter: Path | None = None, **options: Any) -> MeanPoolEncoder:
    """Load a tiny model as the encoder."""
    named = str(adapter) if adapter else None
    spec = MeanPoolSpec(name="tiny", encoder="mean-pool", model=str(folder), adapter=named, device="cpu", **options)
    return MeanPoolEncoder(spec, located(folder), located(adapter) if adapter else None)


def encode(encoder: MeanPoolEncoder, texts: list[str], prompt: str | None = None) -> np.ndarray:
    """Encode without a role."""
    return encoder.encode(texts, role=None, prompt=prompt)


def by_hand(encoder: MeanPoolEncoder, text: str, prompt: str | None = None, model: Any = None) -> np.ndarray:
    """Return the mean over the text's positions of one unpadded forward pass of transformers' own model."""
    tokenizer = encoder.tokenizer
    begin = tokenizer("")["input_ids"]
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"] if prompt else []
    own = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids = torch.tensor([begin + before + own])
    with torch.no_grad():
        output = (model or encoder.causal_lm().model)(
            input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True
        )
    return output.hidden_states[-1][0, len(begin) + len(before) :].double().mean(dim=0).numpy()


def test_the_encoder_equals_a_plain_forward_pass(folder: Path) -> None:
    """Each vector is the mean of transformers' own last hidden state over the text's positions, text by text."""
    encoder = load(folder)
    found = encode(encoder, list(SENTENCES))
    assert (found.dtype, found.shape) == (np.float32, (len(SENTENCES), HIDDEN))
    for text, vector in zip(SENTENCES, found, strict=True):
        assert np.abs(vector - by_hand(encoder, text)).max() < TOLERANCE


@pytest.mark.parametrize("batch_tokens", [1, 23, 64, 4096])
def test_neither_batch_size_nor_order_nor_neighbours_move_a_vector(folder: Path, batch_tokens: int) -> None:
    """Alone, in reverse, beside longer and shorter texts: the vector is the same to 1e-5."""
    texts = [*SENTENCES, "cat", "x " * 20]
    alone = np.vstack([encode(load_once(folder), [text]) for text in texts])
    encoder = load(folder, batch_tokens=batch_tokens)
    assert np.abs(encode(encoder, texts) - alone).max() < TOLERANCE
    assert np.abs(encode(encoder, texts[::-1])[::-1] - alone).max() < TOLERANCE
    assert np.abs(encode(encoder, texts[3:5]) - alone[3:5]).max() < TOLERANCE


_loaded: dict[Path, MeanPoolEncoder] = {}


def load_once(folder: Path) -> MeanPoolEncoder:
    """Return an encoder over `folder` with default settings, loaded at the first call."""
    if folder not in _loaded:
        _loaded[folder] = load(folder)
    return _loaded[folder]


def test_texts_of_other_meaning_get_other_vectors(folder: Path) -> None:
    """The comparison above is no comparison of constants: no two sentences have vectors within 0.01."""
    found = encode(load_once(folder), list(SENTENCES))
    apart = np.abs(found[:, None] - found[None]).max(axis=2) + np.eye(len(SENTENCES))
    assert apart.min() > 0.01


def test_the_prompt_is_seen_and_masked(folder: Path) -> None:
    """With a prompt the mean runs over the same text positions, whose states now depend on the prompt."""
    encoder = load_once(folder)
    prompt, text = "find what answers: ", SENTENCES[2]
    found = encode(encoder, [text, SENTENCES[0]], prompt)
    assert np.abs(found[0] - by_hand(encoder, text, prompt)).max() < TOLERANCE
    assert np.abs(found - encode(encoder, [text, SENTENCES[0]])).max() > 0.01


def test_special_tokens_in_a_prompt_are_tokens(folders: dict[str, Path]) -> None:
    """A prompt is the suite's, so `<|im_start|>` in it is the one special token, and is masked too."""
    encoder = load_once(folders["llama"])
    prompt = "<|im_start|>user\n"
    assert encoder.tokenizer("<|im_start|>", add_special_tokens=False)["input_ids"] == [
        encoder.tokenizer.convert_tokens_to_ids("<|im_start|>")
    ]
    found = encode(encoder, [SENTENCES[0]], prompt)[0]
    assert np.abs(found - by_hand(encoder, SENTENCES[0], prompt)).max() < TOLERANCE


@pytest.mark.parametrize("name", ["llama-bos", "gemma-bos"])
def test_bos_is_in_front_and_not_in_the_mean(folders: dict[str, Path], name: str) -> None:
    """The beginning-of-text token is fed, and its state is not among those averaged."""
    encoder = load_once(folders[name])
    text = SENTENCES[0]
    ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
    assert ids[0, 0] == encoder.tokenizer.bos_token_id
    with torch.no_grad():
        states = encoder.causal_lm().model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0]
        without = encoder.causal_lm().model(input_ids=ids[:, 1:], output_hidden_states=True).hidden_states[-1][0]
    found = encode(encoder, [text])[0]
    assert np.abs(found - states[1:].mean(dim=0).numpy()).max() < TOLERANCE
    assert np.abs(found - states.mean(dim=0).numpy()).max() > 1e-3
    assert np.abs(found - without.mean(dim=0).numpy()).max() > 1e-3


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_special_tokens_inside_a_text_are_split(folder: Path, token: str) -> None:
    """A text that spells a special token is several ordinary ids, none of them that token's own."""
    encoder = load_once(folder)
    special = encoder.tokenizer.convert_tokens_to_ids(token)
    rows = encoder.text_ids([f"say {token} now", token], 0)
    for row in rows:
        assert len(row) > 2
        assert special not in row
    assert encoder.tokenizer.decode(rows[1]) == token
    # and the vector is that of the split text, not of the one special token
    assert np.abs(encode(encoder, [token])[0] - by_hand(encoder, token)).max() < TOLERANCE


def test_an_empty_text_is_counted_and_becomes_the_end_of_text(folder: Path) -> None:
    """The empty text has no tokens of its own: it is embedded as one end-of-text token, and that is counted."""
    encoder = load(folder)
    found = encode(encoder, ["", SENTENCES[0]])
    assert encoder.text_ids([""], 0) == [[encoder.tokenizer.eos_token_id]]
    assert encoder.counters.empty_texts == 2
    assert np.isfinite(found).all()
    assert found[0].any()
    assert np.abs(found[1] - by_hand(encoder, SENTENCES[0])).max() < TOLERANCE


def test_truncation_cuts_the_text_alone_and_is_counted(folder: Path) -> None:
    """With room for 12 tokens and a prompt, the prompt is whole and the text loses its end; the count says how many."""
    encoder = load(folder, max_text_tokens=12)
    prompt, long = "query: ", " ".join(SENTENCES)
    begin = encoder.prefix_ids(prompt)
    own = encoder.tokenizer(long, add_special_tokens=False)["input_ids"]
    room = 12 - len(begin)
    assert 1 < room < len(own)
    short = "a"
    found = encode(encoder, [long, short], prompt)
    cut = encoder.tokenizer.decode(own[:room])
    assert encoder.tokenizer(cut, add_special_tokens=False)["input_ids"] == own[:room]
    assert np.abs(found[0] - by_hand(encoder, cut, prompt)).max() < TOLERANCE
    assert np.abs(found[1] - by_hand(encoder, short, prompt)).max() < TOLERANCE
    assert encoder.counters.truncated_texts == 1


def test_a_text_of_exactly_the_limit_is_not_cut(folders: dict[str, Path]) -> None:
    """The limit itself is allowed: nothing is cut, nothing counted; one token more is one text counted."""
    text = SENTENCES[0]
    length = len(load_once(folders["llama"]).tokenizer(text, add_special_tokens=False)["input_ids"])
    whole = load(folders["llama"], max_text_tokens=length)
    cut = load(folders["llama"], max_text_tokens=length - 1)
    expected = encode(load_once(folders["llama"]), [text])
    assert np.abs(encode(whole, [text]) - expected).max() < TOLERANCE
    assert np.abs(encode(cut, [text]) - expected).max() > 1e-4
    assert (whole.counters.truncated_texts, cut.counters.truncated_texts) == (0, 1)
    assert (whole.counters.cut_tokens, cut.counters.cut_tokens) == (0, 1)


def test_without_a_limit_the_context_length_is_the_limit(folder: Path) -> None:
    """A text longer than the model's positions is cut there, counted, and no position past the context is fed."""
    encoder = load(folder)
    assert encoder.max_text_tokens == CONTEXT
    assert encoder.describe()["max_text_tokens"] == CONTEXT
    encode(encoder, ["the cat " * 200])
    assert encoder.counters.truncated_texts == 1
    assert encoder.counters.tokens == CONTEXT


def test_tokens_are_counted_without_padding(folder: Path) -> None:
    """The count is that of prefix and text tokens, whatever the batches."""
    encoder = load(folder)
    encode(encoder, list(SENTENCES), "to: ")
    begin = len(encoder.prefix_ids("to: "))
    own = [len(encoder.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in SENTENCES]
    assert encoder.counters.tokens == begin * len(SENTENCES) + sum(own)


@pytest.mark.parametrize("name", list(ODD_TEXTS))
def test_odd_texts_are_encoded(folder: Path, name: str) -> None:
    """Surrogates, NUL, emoji, right-to-left and white space give a finite vector, the same alone and beside others."""
    encoder = load_once(folder)
    text = ODD_TEXTS[name]
    alone = encode(encoder, [text])
    assert np.isfinite(alone).all()
    assert alone.any()
    assert np.abs(encode(encoder, [SENTENCES[0], text])[1] - alone[0]).max() < TOLERANCE


def test_no_texts_give_no_rows(folder: Path) -> None:
    """An empty list is an empty matrix of the right width."""
    assert encode(load_once(folder), []).shape == (0, HIDDEN)


def test_describe_says_what_provenance_needs(folders: dict[str, Path]) -> None:
    """Device, dtype, dimension, limit and parameters are the model's own."""
    encoder = load(folders["llama"], batch_tokens=77)
    facts = encoder.describe()
    assert facts["parameters"] == sum(one.numel() for one in encoder.model.parameters())
    assert (facts["device"], facts["dtype"], facts["dimension"]) == ("cpu", "float32", HIDDEN)
    assert facts["batch_tokens"] == 77
    assert encoder.similarity == "cosine"
    assert load(folders["llama"], similarity="dot").similarity == "dot"


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """LoRA adapters of the llama model: `fresh` as peft makes them (B = 0), `random` with random B."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("adapters")
    torch.manual_seed(3)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folders["llama"]), settings)
    model.save_pretrained(root / "fresh")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    model.save_pretrained(root / "random")
    return {"fresh": root / "fresh", "random": root / "random"}


def test_an_adapter_without_effect_is_refused(folders: dict[str, Path], adapters: dict[str, Path]) -> None:
    """A fresh adapter changes no state: scoring it would score the base in its name."""
    with pytest.raises(AdapterHasNoEffectError, match="had no effect") as caught:
        load(folders["llama"], adapter=adapters["fresh"])
    assert str(adapters["fresh"]) in str(caught.value)


def test_an_adapter_for_other_modules_is_refused(
    folders: dict[str, Path], adapters: dict[str, Path], tmp_path: Path
) -> None:
    """Weights whose names match no module of the base are dropped by peft in silence; here they are an error."""
    from safetensors.torch import load_file, save_file

    weights = load_file(adapters["random"] / "adapter_model.safetensors")
    save_file(
        {name.replace("layers", "blocks"): value for name, value in weights.items()},
        tmp_path / "adapter_model.safetensors",
    )
    (tmp_path / "adapter_config.json").write_text((adapters["random"] / "adapter_config.json").read_text())
    with pytest.raises(WeightsDoNotFitError, match=r"8 of its tensors are missing.*8 of its tensors have no place"):
        load(folders["llama"], adapter=tmp_path)


def test_an_adapter_is_active_and_equals_the_merged_model(folders: dict[str, Path], adapters: dict[str, Path]) -> None:
    """Vectors differ from the base's and equal those of the model with the adapter merged in, to 1e-5."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    encoder = load(folders["llama"], adapter=adapters["random"])
    found = encode(encoder, list(SENTENCES), "to: ")
    base = encode(load_once(folders["llama"]), list(SENTENCES), "to: ")
    assert np.abs(found - base).max() > 0.01
    plain = AutoModelForCausalLM.from_pretrained(folders["llama"])
    merged = PeftModel.from_pretrained(plain, adapters["random"]).merge_and_unload().eval()
    for text, vector in zip(SENTENCES, found, strict=True):
        assert np.abs(vector - by_hand(encoder, text, "to: ", merged)).max() < TOLERANCE


def test_causal_lm_has_the_adapter_active(folders: dict[str, Path], adapters: dict[str, Path]) -> None:
    """The model handed to the ability axis gives the merged model's logits, not the base's, and is in eval mode."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    handed = load(folders["llama"], adapter=adapters["random"]).causal_lm()
    plain = AutoModelForCausalLM.from_pretrained(folders["llama"])
    merged = PeftModel.from_pretrained(plain, adapters["random"]).merge_and_unload().eval()
    ids = torch.tensor([handed.tokenizer(SENTENCES[0])["input_ids"]])
    with torch.no_grad():
        found = handed.model(input_ids=ids).logits
        expected = merged(input_ids=ids).logits
        base = load_once(folders["llama"]).causal_lm().model(input_ids=ids).logits
    assert not handed.model.training
    assert (found - base).abs().max() > 0.01
    assert (found - expected).abs().max() < TOLERANCE


BOTH_WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "roberta": ("roberta", {"pad_token_id": 3}),
    "a decoder that is not causal": ("qwen3", {"is_causal": False}),
    "bidirectional gemma": ("gemma3_text", {"use_bidirectional_attention": True}),
}


def save_family(folder: Path, family: str, *, closes: bool = False, **changes: Any) -> Path:
    """Save a tiny model of any family, with a tokenizer that puts tokens around a text where `closes` says so."""
    from tokenizers import processors

    tokenizer = tiny_tokenizer()
    if closes:
        around = [("<s>", 1), ("<|im_end|>", 4)]
        template = processors.TemplateProcessing(single="<s> $A <|im_end|>", special_tokens=around)
        tokenizer.backend_tokenizer.post_processor = template
    tiny(family, vocab_size=len(tokenizer), **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_model_that_sees_both_ways_has_one_score_whatever_the_batch(name: str, tmp_path: Path) -> None:
    """Its vectors are the means over the text's own tokens of transformers' pass over the tokenizer's own ids."""
    family, changes = BOTH_WAYS[name]
    folder = save_family(tmp_path / "model", family, closes=True, **changes)
    texts = [*SENTENCES, "cat"]
    encoder = load(folder)
    assert (encoder.is_causal, encoder.reading) == (False, "masked")
    truth = []
    for text in texts:
        ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
        assert (ids[0, 0], ids[0, -1]) == (1, 4)
        with torch.no_grad():
            states = encoder.model.base_model(input_ids=ids).last_hidden_state[0]
        truth.append(states[1:-1].double().mean(dim=0).numpy())
    for budget in (1, 40, 100_000):
        found = encode(load(folder, batch_tokens=budget), texts)
        assert np.abs(found - np.array(truth)).max() < TOLERANCE


def test_a_model_that_sees_both_ways_has_no_ability_axis(tmp_path: Path) -> None:
    """It sees the token that it is asked for."""
    encoder = load(save_family(tmp_path / "model", "bert"))
    with pytest.raises(EnvironmentGapError, match=r"BertLMHeadModel .*ability axis"):
        encoder.causal_lm()


@pytest.mark.parametrize("family", ["bloom", "xlnet"])
def test_a_model_whose_configuration_names_no_length_is_not_limited(family: str, tmp_path: Path) -> None:
    """The suite's limit counts, else the tokenizer's, else none; XLNet's configuration says -1."""
    folder = save_family(tmp_path / "model", family)
    assert load(folder, max_text_tokens=7, attn_implementation="eager").max_text_tokens == 7
    encoder = load(folder, attn_implementation="eager")
    assert encoder.describe()["max_text_tokens"] is None
    encode(encoder, ["the cat " * 500])
    assert encoder.counters.truncated_texts == 0
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 9
    tokenizer.save_pretrained(folder)
    assert load(folder, attn_implementation="eager").max_text_tokens == 9


def test_no_text_is_longer_than_the_positions_there_are(tmp_path: Path) -> None:
    """RoBERTa's table has rows for no token; a suite that wants more than there are is told how many."""
    folder = save_family(tmp_path / "model", "roberta", max_position_embeddings=24, pad_token_id=3)
    encoder = load(folder)
    assert encoder.max_text_tokens == 20
    encode(encoder, ["the cat " * 50])
    assert encoder.counters.truncated_texts == 1
    with pytest.raises(InputError, match=r"max_text_tokens: 21: .* say 20 at most"):
        load(folder, max_text_tokens=21)


@pytest.mark.parametrize("family", ["t5", "modernbert", "mpnet"])
def test_encoders_without_a_head_for_the_next_token_are_read_too(family: str, tmp_path: Path) -> None:
    """Of T5 the encoder alone; at one score whatever the batch."""
    from families import tiny_config
    from transformers import AutoModel, AutoModelForTextEncoding

    tokenizer = tiny_tokenizer()
    config = tiny_config(family, vocab_size=len(tokenizer))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = (AutoModelForTextEncoding if family == "t5" else AutoModel).from_config(config).eval()
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    truth = []
    for text in SENTENCES:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            truth.append(model(input_ids=ids).last_hidden_state[0].double().mean(dim=0).numpy())
    attention = "sdpa" if family == "modernbert" else "eager"
    for budget in (1, 100_000):
        encoder = load(folder, batch_tokens=budget, attn_implementation=attention)
        assert np.abs(encode(encoder, list(SENTENCES)) - np.array(truth)).max() < TOLERANCE
    with pytest.raises(EnvironmentGapError, match="ability axis"):
        encoder.causal_lm()


def test_an_attention_that_a_family_does_not_have_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    folder = save_family(tmp_path / "model", "bloom")
    with pytest.raises(EnvironmentGapError, match=r"model .tiny.: attn_implementation: sdpa .*; say eager"):
        load(folder)
