"""What soft tokens cost: processor time a text behind 16 of them, against the text alone. Exit 1 above 1.2 times.

    python benchmarks/soft_tokens_cost.py --hub HUB [--texts 300] [--tokens 16] [--rounds 3]

SmolLM2-135M-Instruct (from Q4_1), float32, sentences of STSBenchmark; both encoders in turn, the best round of each, so
that a machine that others use as well gives the same answer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rationale_speed import MODEL, SHA256, sentences

import harness
from harness.digests import sha256_file
from harness.encoders.soft_tokens import save_soft_tokens

MOST = 1.2


def main() -> int:
    """Measure both, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, required=True, help="a local hub with mteb/stsbenchmark-sts")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    texts = sentences(told.hub, told.texts)
    entry: dict[str, Any] = {"name": "x", "encoder": "mean-pool", "model": MODEL, "sha256": SHA256, "device": "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "soft_tokens.safetensors"
        save_soft_tokens(torch.randn(told.tokens, 576, generator=torch.Generator().manual_seed(0)), file)
        soft = harness.load(entry | {"soft_tokens": {"file": str(file), "sha256": sha256_file(file)}})
        alone = harness.load(entry)
        took = [[seconds(one, texts) for one in (alone, soft)] for _ in range(told.rounds)]
    plain, ours = (min(one) for one in zip(*took, strict=True))
    print(f"{1000 * plain / len(texts):.1f} CPU-ms a text alone, {1000 * ours / len(texts):.1f} behind {told.tokens}")
    print(f"ratio {ours / plain:.2f}, {MOST} at most")
    return int(ours > MOST * plain)


def seconds(encoder: Any, texts: list[str]) -> float:
    """Return the processor time of encoding `texts`."""
    began = time.process_time()
    encoder.encode(texts, role=None, prompt=None)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
