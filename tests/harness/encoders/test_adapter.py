"""An adapter that was made for another base, or of which a part is lost, is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from candidates_support import chat_model, tiny_adapter
from cells_support import located
from safetensors.torch import load_file, save_file
from weights_support import Tensors, cut, without

from harness.candidates.adapter_kind import why_not_scaled
from harness.encoders.adapter import with_peft
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.dry_load import adapter_misfit
from harness.errors import WeightsDoNotFitError
from harness.suite.model_entries import MeanPoolSpec


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return chat_model(tmp_path / "base")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return tiny_adapter(base, tmp_path / "adapter")


def change(adapter: Path, how: Callable[[Tensors], Tensors], **config: Any) -> None:
    file = adapter / "adapter_model.safetensors"
    save_file(how(load_file(file)), file)
    about = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(about | config))


def another(folder: Path, **config: Any) -> Path:
    """Save a base of another shape."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    about = AutoConfig.from_pretrained(folder)
    AutoModelForCausalLM.from_config(type(about)(**about.to_dict() | config)).save_pretrained(folder / "other")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder / "other")
    return folder / "other"


def refused(base: Path, adapter: Path, said: str) -> None:
    """Loaded with its weights, and foreseen without them."""
    spec = MeanPoolSpec(name="m", encoder="mean-pool", model=str(base), adapter=str(adapter), device="cpu")
    with pytest.raises(WeightsDoNotFitError, match=said) as error:
        MeanPoolEncoder(spec, located(base), located(adapter))
    assert adapter_misfit(base, located(adapter), name="m", trust=False) == str(error.value)


def test_a_whole_adapter_fits(base: Path, adapter: Path) -> None:
    """And changes the model."""
    spec = MeanPoolSpec(name="m", encoder="mean-pool", model=str(base), adapter=str(adapter), device="cpu")
    assert MeanPoolEncoder(spec, located(base), located(adapter)).dimension
    assert adapter_misfit(base, located(adapter), name="m", trust=False) is None


@pytest.mark.parametrize(
    ("how", "config", "said"),
    [
        (without("layers.1."), {}, r"4 of its tensors are missing: .*layers\.1\.self_attn\.q_proj\.lora_A"),
        (without("v_proj.lora_B"), {}, r"2 of its tensors are missing: .*v_proj\.lora_B"),
        (dict, {"target_modules": ["q_proj", "v_proj", "o_proj"]}, r"4 of its tensors are missing: .*o_proj"),
        (dict, {"target_modules": ["q_proj"]}, r"4 of its tensors have no place in the model: .*v_proj"),
        (lambda one: {name.replace("self_attn", "attn"): tensor for name, tensor in one.items()}, {}, "have no place"),
        (cut("layers.0.self_attn.q_proj.lora_B"), {}, r"size mismatch for .*q_proj\.lora_B"),
        (dict, {"r": 8}, r"size mismatch for .*lora_A"),
        (dict, {"modules_to_save": ["lm_head"]}, r"1 of its tensors at least is missing: .*lm_head\.weight"),
        (dict, {"target_modules": ["gone"]}, r"Target modules .*gone.* not found"),
        (dict, {"megatron_config": {"x": 1}}, "megatron_config makes PEFT import"),
    ],
    ids=["a layer", "one side", "too few", "too many", "names", "a row", "rank", "a whole module", "target", "import"],
)
def test_a_part_of_an_adapter_is_refused(base: Path, adapter: Path, how: Any, config: dict, said: str) -> None:
    """peft loads what fits and warns of the rest, or of nothing."""
    change(adapter, how, **config)
    refused(base, adapter, said)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_hidden_layers": 3}, r"4 of its tensors are missing: .*layers\.2\."),
        ({"num_hidden_layers": 1}, r"4 of its tensors have no place in the model: .*layers\.1\."),
        ({"hidden_size": 64, "head_dim": 8}, "size mismatch"),
    ],
    ids=["more layers", "fewer layers", "wider"],
)
def test_an_adapter_of_another_base_is_refused(base: Path, adapter: Path, config: dict, said: str) -> None:
    """By layers, and by their width."""
    refused(another(base, **config), adapter, said)


def test_an_adapter_with_embeddings_of_another_vocabulary_is_refused(base: Path, tmp_path: Path) -> None:
    """Trained on a base whose vocabulary had grown."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(model.config.vocab_size + 3)
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"], task_type="CAUSAL_LM")
    get_peft_model(model, config).save_pretrained(tmp_path / "grown")
    refused(base, tmp_path / "grown", r"size mismatch for .*embed_tokens")


def test_a_folder_that_is_no_adapter_is_said(base: Path, tmp_path: Path) -> None:
    """No adapter_config.json."""
    (tmp_path / "empty").mkdir()
    refused(base, tmp_path / "empty", r"adapter_config\.json")


def test_what_is_refused_is_what_peft_warns_of(base: Path, adapter: Path) -> None:
    """Its own warning names the same tensors."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    change(adapter, without("layers.1."))
    with pytest.warns(UserWarning, match="missing adapter keys") as warned:
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    with pytest.raises(WeightsDoNotFitError) as error:
        with_peft(AutoModelForCausalLM.from_pretrained(base), located(adapter))
    named = str(error.value).split("missing: ")[1].split(", ")[0]
    assert any(named in str(one.message) for one in warned)


def merged_by_hand(base: Path, adapter: Path, scale: float) -> Any:
    """Return the base with W + scale x (alpha / r) BA in place of each W, from the files alone."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base).eval()
    about = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, a in tensors.items():
        if "lora_A" in name:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            delta = tensors[name.replace("lora_A", "lora_B")] @ a * (about["lora_alpha"] / about["r"])
            with torch.no_grad():
                model.get_submodule(module).weight += scale * delta
    return model


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 1.5])
def test_a_scaled_adapter_is_the_base_with_so_much_of_its_change(base: Path, adapter: Path, scale: float) -> None:
    """Held to the forward pass of weights that were merged by hand; vectors and answers."""
    import torch

    given = {"name": "m", "encoder": "mean-pool", "model": str(base), "adapter": str(adapter), "device": "cpu"}
    encoder = MeanPoolEncoder(MeanPoolSpec(**given, adapter_scale=scale), located(base), located(adapter))
    by_hand = merged_by_hand(base, adapter, scale)
    ids = encoder.text_ids(["rain fell on the roof all night"], 0)
    with torch.inference_mode():
        states = by_hand.base_model(input_ids=torch.tensor(ids)).last_hidden_state[0]
        logits = by_hand(input_ids=torch.tensor(ids)).logits
        answers = encoder.causal_lm().model(input_ids=torch.tensor(ids)).logits
    vector = encoder.encode(["rain fell on the roof all night"], role=None, prompt=None)[0]
    assert abs(vector - states.mean(dim=0).numpy()).max() < 1e-5
    assert float((answers - logits).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "replaces whole modules"),
        ({"bias": "all"}, "biases of its own"),
        ({"peft_type": "LOHA"}, "of the kind LOHA"),
        ({"trainable_token_indices": [1]}, "rows of the embedding"),
    ],
    ids=["dora", "modules", "bias", "kind", "tokens"],
)
def test_what_is_no_sum_of_matrices_is_not_scaled(config: dict[str, Any], said: str) -> None:
    """An adapter that replaces something has no half."""
    assert said in str(why_not_scaled({"peft_type": "LORA"} | config))
    assert why_not_scaled({"peft_type": "LORA", "bias": "none", "use_dora": False}) is None


def test_an_adapter_of_another_kind_is_not_scaled_at_load(base: Path, tmp_path: Path) -> None:
    """Where its files are on the hub, nobody knows before."""
    from peft import LoHaConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    other = get_peft_model(model, LoHaConfig(r=2, target_modules=["q_proj"], init_weights=False))
    other.save_pretrained(tmp_path / "loha")
    with pytest.raises(WeightsDoNotFitError, match="cannot be scaled: it is of the kind LOHA"):
        with_peft(AutoModelForCausalLM.from_pretrained(base), located(tmp_path / "loha"), scale=0.5)
