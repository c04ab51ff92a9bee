"""Exact search over a million documents: memory beside the model and seconds, against mteb's own search.

    python benchmarks/million.py [--documents 1000000] [--queries 1000] [--dimensions 384 576] [--threads 1]

Documents are six words of a vocabulary of 5,000; a text's vector is the sum of its words' random directions, so texts
that are equal have equal vectors. A query is two words of a document, which is the one that is relevant. Texts and
vectors are written once, to a memory-mapped dataset and .npy files. Then, for each dimension, the product's search
(`harness.backends.mteb.search.ExactSearch`) and mteb's own (`SearchEncoderWrapper`) are each run in a process of
their own through mteb's evaluator, with a model that gives out the stored rows, in memory of its own as an encoder
would. Seconds: `all` is the whole call; `search` is without reading documents and handing out rows (mteb's log says
what that took it); `processor` is the whole call in processor time, which other work on the machine hardly moves.
Memory: the most that the process grew while it searched, sampled every 5 ms; `anonymous` is its own, `files` are pages
of the memory-mapped dataset and vectors, which the system takes back as it likes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

VOCABULARY = 5_000
WORDS = 6
OF_QUERY = 2
TASK = "SciFact"
"""Whose metadata mteb is told; none of its data is read."""
CHUNK = 50_000
METRICS = ("ndcg_at_10", "map_at_1000", "recall_at_1000", "mrr_at_10")
LOGGED = re.compile(r"encoding took ([\d.]+)s, computing similarity took ([\d.]+)s")


def main() -> None:
    """Write the data, run both sides for each dimension, and print what they took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[384, 576])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=["ours", "mteb"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.folder, options.dimensions[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        write_data(Path(folder), options.documents, options.queries, options.dimensions)
        print(
            f"{options.documents:,} documents, {options.queries:,} queries, {options.threads} thread(s); "
            f"written in {time.monotonic() - began:.0f} s"
        )
        for dimension in options.dimensions:
            ours, mteb = (started(side, Path(folder), dimension, options.threads) for side in ("ours", "mteb"))
            report(dimension, ours, mteb)
            compare(Path(folder), dimension)


def started(side: str, folder: Path, dimension: int, threads: int) -> dict[str, Any]:
    """Run one side in a process of its own and return what it measured."""
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--dimensions", str(dimension)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(dimension: int, ours: dict[str, Any], mteb: dict[str, Any]) -> None:
    """Print memory, seconds and scores of both sides."""
    print(f"\nd = {dimension}")
    head = f"{'':6}{'anonymous MiB':>15}{'files MiB':>11}{'all s':>9}{'search s':>10}{'processor s':>13}"
    print(f"{head}  {'  '.join(METRICS)}")
    for name, side in (("ours", ours), ("mteb", mteb)):
        scores = "  ".join(f"{side['scores'][metric]:{len(metric)}.5f}" for metric in METRICS)
        print(
            f"{name:6}{side['anonymous'] / 2**20:15.0f}{side['files'] / 2**20:11.0f}{side['all']:9.1f}"
            f"{side['search']:10.1f}{side['processor']:13.1f}  {scores}"
        )
    product, best = 2 * dimension * ours["products"] / 1e9, min(ours["gemm"], mteb["gemm"])
    print(
        f"faster: {mteb['all'] / ours['all']:.1f} times in all, {mteb['search'] / ours['search']:.1f} times the search "
        f"alone, {mteb['processor'] / ours['processor']:.1f} times in processor time; the bound are the matrix "
        f"products ({product:,.0f} GFLOP), which take one thread {best:.1f} s at the best pace seen"
    )


def compare(folder: Path, dimension: int) -> None:
    """Print how far the two sides' rankings are from one another; asserts that they differ by rounding and ties."""
    ours, mteb = (np.load(folder / f"{side}-{dimension}.npz") for side in ("ours", "mteb"))
    far = float(np.abs(ours["scores"] - mteb["scores"]).max())
    unlike = 0
    for row in range(len(ours["ids"])):
        cut = ours["scores"][row, -1] + 1e-6
        one, two = (side["ids"][row][side["scores"][row] > cut + 1e-6] for side in (ours, mteb))
        both = set(one.tolist()) ^ set(two.tolist())
        known = dict(zip(ours["ids"][row].tolist(), ours["scores"][row].tolist(), strict=True))
        unlike += sum(abs(known.get(document, 0.0) - cut) > 4e-6 for document in both)
    print(f"top lists: scores differ by {far:.1e} at most; {unlike} documents differ other than by ties at the cut")
    assert far < 1e-5
    assert unlike == 0


def write_data(folder: Path, documents: int, queries: int, dimensions: list[int]) -> None:
    """Write texts, judgements and vectors; the same for the same numbers."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    rng = np.random.default_rng(0)
    words = rng.integers(0, VOCABULARY, size=(documents, WORDS))
    relevant = rng.choice(documents, size=queries, replace=False)
    asked = words[relevant, :OF_QUERY]
    text_of = np.array([f"w{word}" for word in range(VOCABULARY)])
    texts, names = ([" ".join(row) for row in text_of[some].tolist()] for some in (words, asked))
    ids = [f"d{place}" for place in rng.permutation(documents)]
    Dataset.from_dict({"id": ids, "text": texts}).save_to_disk(folder / "corpus")
    Dataset.from_dict({"id": [f"q{n}" for n in range(queries)], "text": names}).save_to_disk(folder / "queries")
    judged = {f"q{n}": {ids[place]: 1} for n, place in enumerate(relevant)}
    (folder / "judged.json").write_text(json.dumps(judged), encoding="utf-8")
    for dimension in dimensions:
        directions = rng.normal(size=(VOCABULARY, dimension)).astype(np.float32)
        for name, rows in (("documents", words), ("queries", asked)):
            file = np.lib.format.open_memmap(
                folder / f"{name}-{dimension}.npy", mode="w+", dtype=np.float32, shape=(len(rows), dimension)
            )
            for start in range(0, len(rows), CHUNK):
                file[start : start + CHUNK] = directions[rows[start : start + CHUNK]].sum(axis=1)
            file.flush()


class StoredRows:
    """A model that costs nothing: it gives out stored vectors, in the order in which texts are asked for."""

    similarity_name = "cosine"

    def __init__(self, folder: Path, dimension: int) -> None:
        """Open the vectors."""
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "stored/rows", "revision": "1"})
        self._rows = {
            role: np.load(folder / f"{file}-{dimension}.npy", mmap_mode="r")
            for role, file in (("query", "queries"), ("document", "documents"))
        }
        self._given = {"query": 0, "document": 0}

    def vectors(self, texts: list[str], task_name: str, role: str) -> np.ndarray:  # noqa: ARG002
        """Return the next rows, as the product's search asks for them."""
        start = self._given[role]
        self._given[role] += len(texts)
        return np.array(self._rows[role][start : self._given[role]])

    def encode(self, inputs: Any, *, prompt_type: Any, **_: Any) -> np.ndarray:
        """Return the next rows, as mteb asks for them; the loader is not even read."""
        return self.vectors(range(len(inputs.dataset)), "", prompt_type.value)

    def similarity(self, one: Any, two: Any) -> Any:
        """Cosine, mteb's own."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(one, two)

    def similarity_pairwise(self, one: Any, two: Any) -> Any:
        """Cosine of rows with like index, mteb's own."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(one, two)


class Memory:
    """How far this process grows while it is entered: pages of its own, and pages of mapped files."""

    def __enter__(self) -> Memory:
        """Note what is held, and go on looking."""
        self._before = self._peak = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> tuple[int, int]:
        """Bytes: anonymous, of files."""
        return self._peak[0] - self._before[0], self._peak[1] - self._before[1]

    def _look(self) -> None:
        while not self._done.wait(0.005):
            now = self._now()
            self._peak = max(self._peak[0], now[0]), max(self._peak[1], now[1])

    @staticmethod
    def _now() -> tuple[int, int]:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found = dict(re.findall(r"^(Rss\w+):\s+(\d+) kB", status, re.MULTILINE))
        return int(found["RssAnon"]) * 1024, int(found["RssFile"]) * 1024


class SearchSeconds(logging.Handler):
    """Adds up what mteb logs of its search: the seconds in which it computed similarities and kept the best."""

    total = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Take the numbers of a chunk."""
        if (said := LOGGED.search(record.getMessage())) and record.getMessage().startswith("Corpus chunk"):
            self.total += float(said[2])


def run_side(side: str, folder: Path, dimension: int) -> None:
    """Search, score, keep the rankings, and print what it took as one line of JSON."""
    import mteb
    from datasets import disable_caching, disable_progress_bars, load_from_disk
    from mteb._evaluators.retrieval_evaluator import RetrievalEvaluator
    from mteb.models.search_wrappers import SearchEncoderWrapper
    from mteb.timing import TimingStack

    from harness.backends.mteb.search import ExactSearch

    disable_caching()
    disable_progress_bars()
    logged = SearchSeconds()
    logging.getLogger("mteb.models.search_wrappers").addHandler(logged)
    logging.getLogger("mteb.models.search_wrappers").setLevel(logging.INFO)
    model = StoredRows(folder, dimension)
    wrapper = ExactSearch(model, "float32", "cpu") if side == "ours" else SearchEncoderWrapper(model)
    corpus, queries = load_from_disk(folder / "corpus"), load_from_disk(folder / "queries")
    timer = TimingStack()
    evaluator = RetrievalEvaluator(
        corpus,
        queries,
        task_metadata=mteb.get_task(TASK).metadata,
        hf_split="test",
        hf_subset="default",
        top_k=1000,
        timer=timer,
    )
    gemm = product_seconds(len(queries), len(corpus), dimension)
    with Memory() as memory:
        began, spent = time.monotonic(), time.process_time()
        results = evaluator(wrapper, encode_kwargs={"show_progress_bar": False})
        seconds, spent = time.monotonic() - began, time.process_time() - spent
    judged = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    keep(folder / f"{side}-{dimension}.npz", results)
    scored = SimpleNamespace(**evaluator.evaluate(judged, results, [10, 1000])._asdict())
    phases = {one["name"]: one["end"] - one["start"] for one in timer.phases}
    found = {
        "all": seconds,
        "processor": spent,
        "search": phases["Searching corpus"] if side == "ours" else logged.total,
        "anonymous": memory.grown[0],
        "files": memory.grown[1],
        "gemm": gemm,
        "products": len(queries) * len(corpus),
        "scores": {
            "ndcg_at_10": scored.ndcg["NDCG@10"],
            "map_at_1000": scored.map["MAP@1000"],
            "recall_at_1000": scored.recall["Recall@1000"],
            "mrr_at_10": scored.mrr["MRR@10"],
        },
    }
    print(json.dumps(found))


def product_seconds(queries: int, documents: int, dimension: int) -> float:
    """Return what the matrix products alone would take one thread, from the best of a few."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one, two = torch.ones(queries, dimension), torch.ones(2048, dimension)
    best = float("inf")
    for _ in range(8):
        began = time.monotonic()
        one @ two.T
        best = min(best, time.monotonic() - began)
    torch.set_num_threads(threads)
    return best * documents / 2048


def keep(file: Path, results: dict[str, dict[str, float]]) -> None:
    """Write each query's documents (the numbers in their ids) and scores, the best first."""
    ranked = [sorted(found.items(), key=lambda pair: (pair[1], pair[0]), reverse=True) for found in results.values()]
    ids = np.array([[int(name[1:]) for name, _ in row] for row in ranked])
    scores = np.array([[score for _, score in row] for row in ranked])
    np.savez(file, ids=ids, scores=scores)


if __name__ == "__main__":
    main()
