"""What the tests of training share: a tiny model, a few triplets, a configuration over them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from cells_support import save_tiny_model
from places import REPOSITORY
from suites_support import write

from grace.config.load import config_of
from grace.config.schema import TrainConfig
from grace.data.rows import load_data
from grace.run.directory import RunDir
from grace.run.progress import Progress
from grace.run.session import Session
from grace.run.trainable import load_trainable, locate_base
from harness.sources.places import Sources

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = [
    "cat",
    "dog",
    "moon",
    "rain",
    "hill",
    "card",
    "road",
    "glass",
    "tree",
    "bread",
    "wind",
    "stone",
    "lamp",
    "river",
    "shoe",
]


class Quiet(Progress):
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Keep quiet."""

    def row(self, *_: Any, **__: Any) -> None:
        """Keep quiet."""


def chat_model(folder: Path) -> Path:
    """Save a tiny model whose tokenizer has a chat template and whose context holds the GRACE prompt."""
    save_tiny_model(folder)
    for name, changes in (
        ("config.json", {"max_position_embeddings": 512}),
        ("tokenizer_config.json", {"chat_template": CHAT_TEMPLATE}),
    ):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def triplets(count: int = 12) -> list[dict[str, str]]:
    """Return triplets of different lengths, all texts different."""
    word = lambda n: WORDS[n % len(WORDS)]  # noqa: E731
    return [
        {
            "query": f"{word(n)} {n} " * (1 + n % 4),
            "positive": f"{word(n)} {word(3 * n + 1)} {n}",
            "negative": f"{word(n + 7)} {n} " * (1 + n % 3),
        }
        for n in range(count)
    ]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    return write(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def plain_config(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the configuration of a short InfoNCE run over `folder`'s model and triplets."""
    plain = {
        "version": 1,
        "name": "tiny",
        "objective": "infonce",
        "model": str(folder / "model"),
        "device": "cpu",
        "data": {"path": str(folder / "triplets.jsonl")},
        "adapter": {"r": 2},
        "optimiser": {"lr": 0.01},
        "max_text_tokens": 32,
        "batch_size": 4,
        "steps": 2,
        "seed": 3,
    }
    return plain | changes


def session_of(folder: Path, out: Path, **changes: Any) -> Session:
    """Load model and data of a run that is not started."""
    config: TrainConfig = config_of(plain_config(folder, **changes))
    run = RunDir(out)
    run.prepare(config, resume=False)
    data = load_data(config.data, Sources(), at_least=config.batch_size)
    trained = load_trainable(config, locate_base(config, Sources()), keep_base=config.needs_base)
    return Session(config=config, run=run, trained=trained, data=data, progress=Quiet())


def adapter_of(out: Path) -> dict[str, Any]:
    """Return the trained tensors of a run's candidate."""
    from safetensors.torch import load_file

    return load_file(out / "adapter" / "adapter_model.safetensors")


def in_two_processes(runs: dict[Path, dict[str, Any]]) -> None:
    """Train configurations one after the other in two processes on this machine, which find each other by gloo.

    Args:
        runs: the directory of each run, and its configuration as plain data.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    told = json.dumps([[str(out), plain] for out, plain in runs.items()])
    code = "import grace, json, sys; [grace.train(plain, out) for out, plain in json.loads(sys.argv[1])]"
    cache = str(next(iter(runs)).parent / "cache")  # what these write, no other test reads
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "HARNESS_CACHE": cache} | world
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, told],
            env=own | {"RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    errors = [one.communicate(timeout=300)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], errors
