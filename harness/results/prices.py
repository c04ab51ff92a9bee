"""What a model's vectors cost on a machine, as it was measured: beside the scores, in no key of theirs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from harness.digests import digest, write_atomically
from harness.results.store import Store

FOLDER = "prices"
FORMAT = 1
NAME_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One measurement; it holds for its machine, its threads and its versions alone."""

    model: str
    """As it was called when it was measured."""
    fingerprint: str
    """Of the candidate with its vectors whole: by it reports find the price."""
    queries: int
    """Calls of one query each, after some that were not timed."""
    query_p50_ms: float
    query_p95_ms: float
    query_tokens: float
    """Through the model for a query, on average; 0 where the encoder cannot count them."""
    documents: int
    """In one call, so that the encoder makes its own batches."""
    documents_per_second: float
    document_tokens: float
    tokens_per_second: float
    """Of the documents; 0 where the encoder cannot count them."""
    peak_memory_bytes: dict[str, int]
    """Of a process that did nothing else: host, and each GPU."""
    load_seconds: float
    dimension: int
    """Of the whole vector."""
    vector_bytes: int
    """Of the whole vector as it is stored."""
    parameters: int | None
    device: str
    dtype: str
    batch_tokens: int | None
    hardware: dict[str, Any]
    """Processor, cores, threads, memory, GPUs, platform."""
    versions: dict[str, str]
    at: str
    """When, in ISO format."""

    @property
    def where(self) -> str:
        """The machine in words: GPUs or processor, with the threads used."""
        what = ", ".join(self.hardware.get("gpus") or ()) if self.device != "cpu" else ""
        return f"{what or self.hardware.get('processor')}, {self.hardware.get('threads')} thread(s)"


def keep(price: Price, store: Store) -> None:
    """Keep a price; another of the same model on the same machine, device and dtype is replaced.

    Raises:
        OSError: it cannot be written; nothing makes it again by itself.
    """
    settings = [price.device, price.dtype, price.batch_tokens, price.hardware]
    name = f"{price.fingerprint[:NAME_CHARACTERS]}-{digest(settings)[:NAME_CHARACTERS]}.json"
    record = {"format": FORMAT} | asdict(price)
    content = json.dumps(record, indent=1, ensure_ascii=False).encode("utf-8")
    write_atomically(store.folder(FOLDER) / name, content)


def prices_in(store: Store) -> list[Price]:
    """Return every price of a results folder, in the order of their names; files that are none are passed over."""
    found = []
    for path in sorted((store.root / FOLDER).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record.pop("format") == FORMAT:
                found.append(Price(**record))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return found
