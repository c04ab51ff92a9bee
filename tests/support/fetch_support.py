"""A suite, and the invented repositories it names, for the tests of fetch, lock and doctor."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import HubServer, Repo

from harness.tasks.catalogue import catalogue

TINY = {
    "model_type": "bert",
    "hidden_size": 4,
    "vocab_size": 6,
    "num_hidden_layers": 0,
    "num_attention_heads": 1,
    "max_position_embeddings": 8,
}
"""Configuration of a model that is embeddings alone."""
MODEL_COMMIT = "a" * 40
ABILITY_COMMIT = "b" * 40
SUITE = """
version: 1
name: fetched
models:
  - {name: tiny, encoder: sentence-transformers, model: acme/tiny-encoder}
tasks:
  embedding: {names: [STS12, STS17, SciFact]}
  ability: [gsm8k]
"""


def write_suite(folder: Path, text: str = SUITE) -> Path:
    """Write a suite file and return its path."""
    path = folder / "fetched.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fill(hub: HubServer, *, padding: int = 0) -> None:
    """Serve every repository of the suite.

    Args:
        hub: the server.
        padding: bytes added to the weights, so that a download takes a while.
    """
    hub.add(sts12())
    hub.add(sts17())
    hub.add(scifact())
    hub.add(gsm8k())
    hub.add(tiny_model(padding))


def sts12() -> Repo:
    """Return STS12's repository: no configs in its card, a parquet file a split."""
    rows = {"sentence1": ["a kettle sings", "two cats"], "sentence2": ["a kettle hums", "a tram"], "score": [4.0, 0.5]}
    files = {"README.md": b"# pairs\n", "data/test-00000-of-00001.parquet": parquet(rows), ".gitattributes": b"x\n"}
    return Repo("datasets", "mteb/sts12-sts", pinned("STS12"), files)


def sts17() -> Repo:
    """Return STS17's repository: two languages, of which the suite reads one."""
    rows = {"sentence1": ["a lamp"], "sentence2": ["a light"], "score": [4.5]}
    names = ("en-en", "es-es")
    files = {f"{name}/test.parquet": parquet(rows) for name in names}
    files["README.md"] = card({name: {"test": f"{name}/test.parquet"} for name in names})
    return Repo("datasets", "mteb/sts17-crosslingual-sts", pinned("STS17"), files)


def scifact() -> Repo:
    """Return SciFact's repository: qrels, corpus and queries."""
    files = {
        "corpus/corpus.parquet": parquet({"_id": ["d1", "d2"], "title": ["", ""], "text": ["tin melts", "ice floats"]}),
        "queries/queries.parquet": parquet({"_id": ["q1"], "text": ["does ice float"]}),
        "default/test.parquet": parquet({"query-id": ["q1"], "corpus-id": ["d2"], "score": [1.0]}),
        "README.md": card(
            {
                "default": {"test": "default/test.parquet"},
                "corpus": {"corpus": "corpus/*.parquet"},
                "queries": {"queries": "queries/*"},
            }
        ),
    }
    return Repo("datasets", "mteb/scifact", pinned("SciFact"), files)


def gsm8k() -> Repo:
    """Return gsm8k's repository, which the catalogue does not pin."""
    rows = {"question": ["2 pears and 3 pears?"], "answer": ["5 #### 5"]}
    files = {f"main/{split}.parquet": parquet(rows) for split in ("train", "test")}
    files["README.md"] = card({"main": {split: f"main/{split}.parquet" for split in ("train", "test")}})
    return Repo("datasets", "openai/gsm8k", ABILITY_COMMIT, files)


def tiny_model(padding: int = 0) -> Repo:
    """Return a model that has a config, a tokenizer, and its weights twice, with files of other runtimes."""
    files = {
        "README.md": b"# tiny\n",
        "config.json": json.dumps(TINY).encode(),
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}).encode(),
        "model.safetensors": tiny_weights(padding),
        "pytorch_model.bin": b"the same again",
        "onnx/model.onnx": b"and again",
        "original/consolidated.00.pth": b"and again",
    }
    return Repo("models", "acme/tiny-encoder", MODEL_COMMIT, files)


def parquet(rows: dict[str, list[object]]) -> bytes:
    """Return rows as a parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(rows), buffer)
    return buffer.getvalue()


def card(configs: dict[str, dict[str, str]]) -> bytes:
    """Return a README whose head declares configs: name -> split -> file."""
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", "# invented", ""]).encode()


def tiny_weights(padding: int = 0) -> bytes:
    """Return the weights that `TINY` has, and a head of `padding` bytes."""
    embeddings = {"word_embeddings.weight": 6, "position_embeddings.weight": 8, "token_type_embeddings.weight": 2}
    shapes = {f"embeddings.{name}": [rows, 4] for name, rows in embeddings.items()}
    shapes |= {f"embeddings.LayerNorm.{name}": [4] for name in ("weight", "bias")}
    return safetensors(64 + padding, shapes)


def safetensors(size: int, shapes: Mapping[str, Sequence[int]] = MappingProxyType({})) -> bytes:
    """Return a safetensors file with float32 tensors of `shapes` and one of `size` bytes, no two neighbours alike."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    header["cls.w"] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
    head = json.dumps(header).encode()
    content = bytes(range(256)) * ((end + size) // 256 + 1)
    return struct.pack("<Q", len(head)) + head + content[: end + size]


def tokenizer() -> bytes:
    """Return a word-level tokenizer's file."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: index for index, word in enumerate(["[UNK]", "a", "cat", "kettle", "lamp", "sings"])}
    made = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


def pinned(task: str) -> str:
    """Return the commit that the catalogue pins a task's data to."""
    revision = catalogue().tasks[task].revision
    assert revision
    return revision


def environment(endpoint: str, cache: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the hub is `endpoint`, and caches and tokens are those below `cache`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HARNESS_"))}
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    for name in (*proxies, "TRANSFORMERS_OFFLINE"):
        kept.pop(name, None)
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache / "hf"), "HARNESS_CACHE": str(cache / "harness")}
    return kept | own | {"NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DISABLE_XET": "1"} | more


def harness(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the harness and return what it said."""
    command = [sys.executable, "-m", "harness.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
