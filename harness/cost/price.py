"""What a model's vectors cost here: latency of a query at batch 1, documents a second, tokens, memory, bytes a vector.

Each model is measured in a process of its own, which does nothing else, so that its peak memory is its own. Queries go
through one by one, as a service is asked; documents all at once, in the encoder's own batches, as a corpus is encoded.
Nothing comes from a cache: rationales are written. Texts are those of the shipped demo.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context

import numpy as np

from harness import environment
from harness.candidates.candidate import Candidate
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.errors import EncoderOutputError
from harness.results.prices import Price
from harness.suite.shipped import shipped_folder
from harness.suite.size import vector_bytes
from harness.tasks.types import Role

WARM_UP = 5
"""Queries that are not timed: the first calls pay for lazy initialisation."""
DATA = "data/retrieval"
QUERIES = 200
DOCUMENTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is measured."""

    queries: int = QUERIES
    documents: int = DOCUMENTS


def price(candidate: Candidate, asked: Load) -> Price:
    """Measure a candidate in a process of its own.

    Args:
        candidate: whole, or any size of its vectors: all are made of the whole ones.
        asked: how many queries and documents.

    Raises:
        HarnessError: as loading and encoding do.
        EncoderOutputError: the process was ended from outside.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as alone:
        try:
            return alone.submit(measure, candidate.whole(), asked).result()
        except BrokenProcessPool:
            why = "the process that measured it was killed: out of memory, most often"
            raise EncoderOutputError(f"{candidate.name}: {why}; try `-o dtype=bfloat16`, or a larger machine") from None


def measure(candidate: Candidate, asked: Load) -> Price:
    """Measure a candidate in this process, whose peak memory then counts all that it did before."""
    environment.without_bars()
    began = time.perf_counter()
    encoder = load(candidate, use_cache=False)
    load_seconds = time.perf_counter() - began
    queries, documents = _texts("queries.jsonl", asked.queries), _texts("corpus.jsonl", asked.documents)
    encoder.prepare(lambda: [*queries, *documents])
    as_query, as_document = _role(encoder, "query"), _role(encoder, "document")
    for text in queries[:WARM_UP]:
        encoder.encode([text], role=as_query)
    encoder.take_counters()
    seconds = np.array([_seconds(encoder, [text], as_query) for text in queries])
    of_queries = encoder.take_counters()
    distinct = list(dict.fromkeys(documents))
    of_all = _seconds(encoder, distinct, as_document)
    of_documents = encoder.take_counters()
    about = encoder.describe()
    dimension = encoder.encode(queries[:1], role=as_query).shape[1]
    return Price(
        model=candidate.name,
        fingerprint=str(candidate.fingerprint()),
        queries=len(queries),
        query_p50_ms=1000 * float(np.quantile(seconds, 0.5)),
        query_p95_ms=1000 * float(np.quantile(seconds, 0.95)),
        query_tokens=of_queries["tokens"] / len(queries),
        documents=len(distinct),
        documents_per_second=len(distinct) / of_all,
        document_tokens=of_documents["tokens"] / len(distinct),
        tokens_per_second=of_documents["tokens"] / of_all,
        peak_memory_bytes=environment.peak_memory_bytes(),
        load_seconds=load_seconds,
        dimension=dimension,
        vector_bytes=vector_bytes(dimension, candidate.spec.store_dtype),
        parameters=about.get("parameters"),
        device=str(about.get("device", "cpu")),
        dtype=str(about.get("dtype", "its own")),
        batch_tokens=about.get("batch_tokens"),
        hardware=environment.hardware(),
        versions=environment.versions(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _seconds(encoder: CheckedEncoder, texts: Sequence[str], role: Role | None) -> float:
    began = time.perf_counter()
    encoder.encode(texts, role=role)
    return time.perf_counter() - began


def _role(encoder: CheckedEncoder, wanted: Role) -> Role | None:
    """Return the role, or None where the model has no way to read texts in it."""
    try:
        encoder.check_role(wanted)
    except EncoderOutputError:
        return None
    return wanted


def _texts(file: str, count: int) -> list[str]:
    """Return so many texts of the shipped data, from the beginning again where there are fewer."""
    lines = (shipped_folder() / DATA / file).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [texts[place % len(texts)] for place in range(count)]
