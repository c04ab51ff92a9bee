"""What the tests of the ability axis share: a tiny language model and a local hub of invented questions."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.plan.asked import AskedWith

CONTEXT = 1024
SUBJECTS = ("abstract_algebra", "anatomy", "astronomy")
SUBTASKS = ("navigate", "snarks")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = "apple pear plum cart road shop child coin hill lamp seven twelve takes gives left more Question Answer So the"


def asked_with(**changes: Any) -> AskedWith:
    """Return how a task without examples is asked, with `changes`."""
    asked = {"output_type": "generate_until", "filters": ["none"], "version": 1.0, "num_fewshot": 0, "filter": "none"}
    return AskedWith(**(asked | changes))  # type: ignore[arg-type]


def save_tiny_lm(folder: Path, *, seed: int = 0, adds_bos: bool = True) -> Path:
    """Write a random Llama of two layers and a byte-level tokenizer with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    raw.train_from_iterator([WORDS] * 3, trainer)
    if adds_bos:
        raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=1,
        initializer_range=0.5,  # a wide one, so that answers differ from prompt to prompt
    )  # fmt: skip
    torch.manual_seed(seed)
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_adapter(folder: Path, model_folder: Path) -> Path:
    """Write a LoRA adapter that changes what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(folder)
    return folder


def ability_hub(root: Path) -> Path:
    """Write GSM8K, MMLU (three subjects) and BBH (two subtasks) with invented rows, laid out as on the hub."""
    rng = random.Random(0)
    problems = [_problem(rng) for _ in range(14)]
    _repository(root / "openai/gsm8k", {"main": {"train": problems[:8], "test": problems[8:]}})
    subjects = {one: {"test": _choices(rng, one, 5), "dev": _choices(rng, one, 5)} for one in SUBJECTS}
    _repository(root / "cais/mmlu", subjects)
    _repository(root / "SaylorTwift/bbh", {one: {"test": _targets(rng, 4)} for one in SUBTASKS})
    return root.parent


def _problem(rng: random.Random) -> dict[str, str]:
    first, second = rng.randint(2, 9), rng.randint(2, 9)
    question = f"The child has {first} coins and the shop gives {second} more. How many coins?"
    return {"question": question, "answer": f"{first} + {second} = {first + second}\n#### {first + second}"}


def _choices(rng: random.Random, subject: str, count: int) -> list[dict[str, Any]]:
    words = WORDS.split()[:10]
    rows = []
    for number in range(count):
        choices = rng.sample(words, 4)
        question = f"Which word of {subject} is number {number}?"
        rows.append({"question": question, "subject": subject, "choices": choices, "answer": rng.randrange(4)})
    return rows


def _targets(rng: random.Random, count: int) -> list[dict[str, str]]:
    return [
        {"input": f"Go {rng.randint(1, 9)} steps. Back?", "target": rng.choice(["Yes", "No"])} for _ in range(count)
    ]


def _repository(folder: Path, configs: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> None:
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            path = folder / config / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), path)
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


def suite_text(model: Path, ability: list[Any], *, limit: int | None = 2, of_model: Any = None) -> str:
    """Return a suite with one tiny language model, `lm`, an encoder without one, `floor`, and ability tasks."""
    suite = {
        "version": 1,
        "name": "ability-test",
        "models": [
            {"name": "lm", "encoder": "mean-pool", "model": str(model), "device": "cpu", **(of_model or {})},
            {"name": "floor", "encoder": "tf-idf"},
        ],
        "tasks": {"ability": ability},
    }
    return json.dumps(suite | ({"limit": limit} if limit else {}))
