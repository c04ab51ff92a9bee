"""Time of an InfoNCE step against sentence-transformers' trainer: same rows, same ids, same LoRA, alternating rounds.

    python benchmarks/infonce_step.py grace/configs/trial/infonce.yaml -o data.path=FILE
        [--rounds 3] [--steps 4] [--stock]

Both see the same rows a round, each once, in batches of the configuration's size. sentence-transformers applies the
model's chat template by itself, which makes every text longer; here the template is taken away, and the ids are
asserted to be ours. With --stock it is left, as a user would meet it. Processor seconds a step, so that a busy machine
disturbs less; the two are measured by turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import TrainerCallback

from grace.config.load import load_config
from grace.data.rows import load_data
from grace.data.table import Row
from grace.run.directory import RunDir
from grace.run.session import Session
from grace.run.trainable import attach_lora, load_trainable, locate_base
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.loop import _Loop
from harness.encoders.weights import loadable
from harness.sources.places import Sources


class StepTimes(TrainerCallback):
    """Processor seconds of each optimiser step, data loading included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self._last = time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = time.process_time()
        self.seconds.append(now - self._last)
        self._last = now


def without_template(source: Path, target: Path) -> str:
    """Lay the model's files into `target`, but for the chat template."""
    for file in source.iterdir():
        if file.name == "tokenizer_config.json":
            settings = json.loads(file.read_text())
            settings.pop("chat_template", None)
            (target / file.name).write_text(json.dumps(settings))
        elif file.name != "chat_template.jinja":
            (target / file.name).symlink_to(file)
    return str(target)


def stock_model(session: Session, folder: Path, *, keep_template: bool) -> SentenceTransformer:
    """Return sentence-transformers' model over the same weights, with the same adapter."""
    config = session.config
    source, _ = loadable(session.trained.weights, config.sha256)
    if not keep_template:
        folder.mkdir()
        source = without_template(Path(source), folder)
    transformer = Transformer(source, max_seq_length=config.max_text_tokens)
    model = SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension(), "mean")], device="cpu"
    )
    transformer.auto_model.requires_grad_(False)
    adapter = attach_lora(transformer.auto_model, config.adapter, config.seed, task=None)
    trained = sum(one.numel() for one in adapter.parameters() if one.requires_grad)
    assert trained == sum(one.numel() for one in session.trained.parameters().values()), "another adapter"
    return model


def assert_same_ids(model: SentenceTransformer, session: Session, texts: list[str]) -> None:
    """The comparison is one of speed only if both read the same ids."""
    inputs = make_inputs(session.config, session.trained)
    ours = [[*inputs.prefix, *ids] for ids in inputs.rows(texts, 0)]
    features = model.preprocess(texts)
    theirs = [
        ids[mask.bool()].tolist() for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
    ]
    assert ours == theirs, f"ids differ: {ours[0]} and {theirs[0]}"


def stock_round(model: SentenceTransformer, rows: list[Row], session: Session) -> list[float]:
    """Train on `rows` once with sentence-transformers' trainer; returns seconds a step."""
    config = session.config
    columns = {
        "anchor": [row.query for row in rows],
        "positive": [row.positive for row in rows],
        "negative": [row.negatives[0] for row in rows],
    }
    times = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            per_device_train_batch_size=config.batch_size,
            num_train_epochs=1,
            learning_rate=config.optimiser.lr,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            logging_strategy="no",
        )
        loss = MultipleNegativesRankingLoss(model, scale=1 / config.infonce.temperature)
        trainer = SentenceTransformerTrainer(model, arguments, Dataset.from_dict(columns), loss=loss, callbacks=[times])
        trainer.train()
    return times.seconds


def our_round(loop: _Loop, steps: int) -> list[float]:
    """Make steps; returns seconds each."""
    seconds = []
    for _ in range(steps):
        began = time.process_time()
        loop._one_step(0.0)
        seconds.append(time.process_time() - began)
    return seconds


def main() -> None:
    """Print both medians and their ratio, a round each and over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--stock", action="store_true", help="leave sentence-transformers' chat template on")
    parser.add_argument("-o", action="append", default=[], metavar="KEY=VALUE")
    told = parser.parse_args()
    config = load_config(told.config, [*told.o, "device=cpu"]).config
    data = load_data(config.data, Sources())
    rows = list(data.rows[: config.batch_size * told.steps])
    trained = load_trainable(config, locate_base(config, Sources()))
    with tempfile.TemporaryDirectory() as folder:
        session = Session(
            config=config, run=RunDir(Path(folder)), trained=trained, data=replace(data, rows=tuple(rows))
        )
        model = stock_model(session, Path(folder) / "plain", keep_template=told.stock)
        if not told.stock:
            assert_same_ids(model, session, [rows[0].query, str(rows[1].positive), rows[2].negatives[0]])
        loop = _Loop(session)
        print(f"{torch.get_num_threads()} thread(s), {told.steps} steps a round of {config.batch_size} triplets")
        stock: list[float] = []
        ours: list[float] = []
        for number in range(told.rounds):
            stock += stock_round(model, rows, session)
            ours += our_round(loop, told.steps)
            theirs, own = sum(stock[-told.steps :]), sum(ours[-told.steps :])
            print(
                f"round {number}: stock {theirs / told.steps:.2f}, ours {own / told.steps:.2f} cpu-s a step", flush=True
            )
    ratio = statistics.median(stock) / statistics.median(ours)
    print(f"median: stock {statistics.median(stock):.2f}, ours {statistics.median(ours):.2f} cpu-s; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
