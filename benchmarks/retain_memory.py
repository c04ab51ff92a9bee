"""Peak memory of `retain_weight`: one part of a step with a vocabulary of 151,936 (Qwen2.5), states of length 64.

    python benchmarks/retain_memory.py [--tokens 1024 4096 8192]

Each size runs in a process of its own; printed is how far its resident memory rose above what it was before the KL.
"""

from __future__ import annotations

import argparse
import copy
import resource
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

VOCABULARY, HIDDEN = 151_936, 64


def measure(tokens: int) -> None:
    """Run the KL term and print the rise in gigabytes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from grace.training.contrastive.packed import Packing, forward, packed_attention_on
    from grace.training.contrastive.step import ContrastiveStep, Part

    shape = {"hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    base = LlamaForCausalLM(LlamaConfig(**shape, vocab_size=VOCABULARY)).eval()
    model = copy.deepcopy(base)
    packing = Packing((5,), [list(range(10, 138))] * (tokens // 128), "cpu")
    with packed_attention_on(model), torch.no_grad():
        states = forward(model.base_model, packing)
    step = object.__new__(ContrastiveStep)
    step._is_packed = True
    step._session = SimpleNamespace(trained=SimpleNamespace(model=model, base=lambda: nullcontext(base)))  # type: ignore[assignment]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step._retain(states, Part(list(range(packing.count)), packing, 0), 1.0)
    rise = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{tokens} tokens: +{rise / 1e6:.2f} GB", flush=True)


def main() -> None:
    """Measure each size by itself."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 8192])
    parser.add_argument("--one", type=int)
    asked = parser.parse_args()
    if asked.one:
        measure(asked.one)
        return
    for tokens in asked.tokens:
        subprocess.run([sys.executable, __file__, "--one", str(tokens)], check=True)


if __name__ == "__main__":
    main()
