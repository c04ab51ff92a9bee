"""Large embedding cells in parts: the texts that are encoded in bulk, cut into shards (`interface.Sharding`).

A shard is made by encoding its texts under the prompt of their role, and is found again by their content: of a model,
a role and a prompt, whatever the task. What is drawn at random (training texts of a classifier, the pool of newer
clustering) is a few thousand texts, and is encoded when the cell is scored.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from harness import environment
from harness.backends.interface import Job
from harness.backends.mteb.by_type import file_of
from harness.backends.mteb.loaded import Loaded
from harness.backends.mteb.model import MtebModel
from harness.backends.mteb.prepared import names_of, prepared
from harness.encoders.base import FittedEncoder, Vectors
from harness.encoders.checked import CheckedEncoder
from harness.encoders.kept import KeepingEncoder, KeptEntries, KeptVectors, Recorded, text_key
from harness.errors import EncoderOutputError, HarnessError
from harness.shards.cut import Shard, cut_texts, weight_of
from harness.shards.files import ShardFiles
from harness.shards.ids import DIGEST_BYTES, digest_of, ids_of
from harness.shards.index import as_keys
from harness.shards.used import ShardsUsed
from harness.tasks.types import EMBEDDING_TYPES

COUNTED = ("tokens", "truncated_texts", "cut_tokens", "empty_texts", "out_of_memory", "encode_seconds")
"""Counters of a shard that are those of each cell it is used in; early shards have no `cut_tokens`."""


def load(job: Job) -> dict[str, Any]:
    """Return name -> mteb task of the cell, loaded and limited."""
    return {name: prepared(job, name).task for name in names_of(job)}


def shards(job: Job, loaded: dict[str, Any], encoder: CheckedEncoder) -> Sequence[Shard]:
    """Return the shards of all lists of texts; none where no list is long enough for two.

    An encoder that is fitted on a task's texts gives no vector that another process could use.
    """
    if isinstance(encoder.inner, FittedEncoder):
        return ()
    found: list[Shard] = []
    is_long = False
    for task in loaded.values():
        for subset in task.hf_subsets:
            for split in task.eval_splits:
                for role in EMBEDDING_TYPES[task.metadata.type].roles:
                    of = Loaded(task=task, split=split, subset=subset)
                    own = _cut(job, of, role)
                    is_long = is_long or len(own) > 1
                    found += own
    return found if is_long else ()


def is_made(job: Job, shard: Shard, encoder: CheckedEncoder) -> bool:
    """Whether the shard's file is there and whole."""
    return _files(job).get(_maker(job, shard, encoder), shard.ids) is not None


def make(job: Job, loaded: dict[str, Any], shard: Shard, encoder: CheckedEncoder) -> None:
    """Encode the texts of a shard, each distinct one once, and commit its file.

    Raises:
        HarnessError: the data here are not those that the shard was cut from.
        EncoderOutputError: the encoder returned something that must not be kept.
        ResultsNotWrittenError: it cannot be committed.
    """
    bulk = file_of(loaded[shard.part].metadata.type).bulk
    of = Loaded(task=loaded[shard.part], split=shard.split, subset=shard.subset)
    began = time.perf_counter()
    texts = list(bulk(of, _role(shard))(shard.start, shard.stop))
    if ids_of([digest_of(text) for text in texts]) != shard.ids:
        raise HarnessError(
            f"shard {shard.name}: the texts on this machine are not those that it was cut from (sha256 {shard.ids}): "
            "the data differ from one machine to the other; `harness fetch` gets the same for all"
        )
    encoder.take_counters()
    keys, vectors, about = _encoded(job, shard, list(dict.fromkeys(texts)), encoder)
    encoder.take_details()
    counted = encoder.take_counters()
    _files(job).put(
        _maker(job, shard, encoder),
        shard.ids,
        arrays={"keys": as_keys(keys), "vectors": vectors},
        lines={"about": about} if about is not None else None,
        facts={"counts": counted, "hardware": environment.hardware(), "seconds": time.perf_counter() - began},
    )


@contextmanager
def using(job: Job, shards: Sequence[Shard], encoder: CheckedEncoder) -> Iterator[dict[str, Any]]:
    """Have `encoder` find the vectors of `shards`; yields what the cell's provenance says of them."""
    kept, used = KeptVectors(), ShardsUsed(_files(job))
    for shard in shards:
        stored = _files(job).get(_maker(job, shard, encoder), shard.ids)
        used.note(shard.name, stored)
        if stored is not None:
            kept.add(stored)
            encoder.inner.counters.add({name: stored.facts["counts"].get(name, 0) for name in COUNTED})
    inner = encoder.inner
    before = inner.entries if isinstance(inner, KeepingEncoder) else None
    if isinstance(inner, KeepingEncoder):
        inner.entries = KeptEntries(kept, before)
    else:
        encoder.kept = kept
    try:
        yield used.facts()
    finally:
        encoder.kept = None
        if isinstance(inner, KeepingEncoder):
            inner.entries = before


def _cut(job: Job, of: Loaded, role: Any) -> list[Shard]:
    weights, digests = array("d"), bytearray()  # of millions of texts
    for text in file_of(of.task.metadata.type).bulk(of, role)(0, None):
        weights.append(weight_of(len(text), job.writes))
        digests += digest_of(text)
    draws = np.frombuffer(bytes(digests), dtype=">u8")[:: DIGEST_BYTES // 8]
    return [
        Shard(
            part=of.part,
            split=of.split,
            subset=of.subset,
            role=role,
            start=start,
            stop=stop,
            ids=ids_of([bytes(digests[start * DIGEST_BYTES : stop * DIGEST_BYTES])]),
            weight=float(sum(weights[start:stop])),
        )
        for start, stop in cut_texts(weights, draws, max_texts=job.max_texts)
    ]


def _encoded(
    job: Job, shard: Shard, texts: list[str], encoder: CheckedEncoder
) -> tuple[list[bytes], Vectors, list[Any] | None]:
    """Return keys, vectors as they are kept and, of an encoder that writes, what it wrote; a row an entry."""
    role, prompt = _role(shard), _prompt(job, shard, encoder)
    inner = encoder.inner
    if not isinstance(inner, KeepingEncoder):
        vectors = encoder.encode(texts, role=role, prompt=prompt)
        return [text_key(text, role, prompt) for text in texts], _as_kept(vectors, encoder), None
    recorded = Recorded(inner.entries)
    before, inner.entries = inner.entries, recorded
    try:
        encoder.checked(texts, lambda unique: np.stack([one.vector for one in inner.write(unique, prompt=prompt)]))
    finally:
        inner.entries = before
    entries = recorded.entries
    stacked = np.stack([one.vector for one in entries.values()])
    if not np.isfinite(stacked).all():
        raise EncoderOutputError(f"encoder of {encoder.name!r} returned NaN or infinity in shard {shard.name}")
    # An ablation has two entries a text and subtracts one from the other, which rounding must not come before.
    as_kept = _as_kept(stacked, encoder) if len(entries) == len(texts) else stacked
    return list(entries), as_kept, [one.about for one in entries.values()]


def _as_kept(vectors: Vectors, encoder: CheckedEncoder) -> Any:
    return vectors.astype(encoder.store_dtype, copy=False)


def _maker(job: Job, shard: Shard, encoder: CheckedEncoder) -> dict[str, Any]:
    return {"encoder": job.maker, "role": shard.role, "prompt": _prompt(job, shard, encoder)}


def _prompt(job: Job, shard: Shard, encoder: CheckedEncoder) -> str | None:
    return MtebModel(job, encoder).prompt(shard.part, _role(shard))


def _role(shard: Shard) -> Any:
    return shard.role


def _files(job: Job) -> ShardFiles:
    assert job.files is not None  # noqa: S101 - a cell that is cut has a place for its shards
    return job.files
