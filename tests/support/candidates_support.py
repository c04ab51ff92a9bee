"""What the tests of `grace explain`, `encode` and `export` share: tiny candidates and the command in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cells_support import save_tiny_model, tiny_tokenizer

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chat_model(folder: Path, family: str = "llama") -> Path:
    """Save a tiny model whose tokenizer has a chat template."""
    save_tiny_model(folder, family)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    return folder


def tiny_adapter(base: Path, folder: Path) -> Path:
    """Save a LoRA adapter over `base` whose weights are far from zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        wrapped = get_peft_model(model, config)
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.2)
    wrapped.save_pretrained(folder)
    return folder


def candidate_directory(folder: Path, base: Path, *, kind: str, adapter: bool = False, encoder: str = "{}") -> Path:
    """Write a candidate directory over `base`, as training writes it."""
    folder.mkdir(parents=True)
    if adapter:
        tiny_adapter(base, folder / "adapter")
    (folder / "candidate.yaml").write_text(
        f"version: 1\nkind: {kind}\nbase: {{model: {base}}}\nencoder: {encoder}\nselected_on: STS-B validation\n"
        + ("adapter: adapter\n" if adapter else "")
        + "training: {objective: infonce, steps: 2}\n",
        encoding="utf-8",
    )
    return folder


class Said(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class GraceCommand:
    """`grace` in this process, as `main` runs it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Keep what the command may change, so that it is put back."""
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("COLUMNS", "100")
        for name in ("TQDM_DISABLE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.setenv(name, "1")

    def __call__(self, *arguments: object) -> Said:
        """Run the command and return how it ended."""
        from grace.cli.app import app
        from harness.cli.shell import run_app

        self._monkeypatch.setattr(sys, "argv", ["grace", *map(str, arguments)])
        self._capsys.readouterr()
        code = run_app(app)
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)
