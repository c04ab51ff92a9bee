"""What `/metrics` counts, over prometheus_client; each server has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """Counts of one server."""

    def __init__(self, waiting: Callable[[], int], under_way: Callable[[], int]) -> None:
        """Begin at zero; the two say how many requests wait for the model, and how many are under way."""
        self._registry = own = CollectorRegistry()
        self.requests = Counter("grace_requests", "Requests for vectors, by HTTP status", ["status"], registry=own)
        self.rejected = Counter("grace_rejected", "Requests refused, by the code of the error", ["code"], registry=own)
        self.texts = Counter("grace_texts", "Texts embedded", registry=own)
        self.cut = Counter("grace_texts_cut", "Texts longer than the model's window, embedded cut", registry=own)
        self.tokens = Counter("grace_tokens", "Tokens read of texts, and written in rationales", ["kind"], registry=own)
        self.batches = Counter("grace_batches", "Batches embedded", registry=own)
        self.batch_texts = Histogram("grace_batch_texts", "Texts of a batch", buckets=SIZES, registry=own)
        self.batch_requests = Histogram("grace_batch_requests", "Requests of a batch", buckets=SIZES, registry=own)
        self.left = Counter("grace_clients_left", "Requests whose client left before the answer", registry=own)
        self.seconds = Histogram(
            "grace_request_seconds", "From a request's head to its answer", buckets=SECONDS, registry=own
        )
        Gauge("grace_waiting", "Requests that wait for the model", registry=own).set_function(waiting)
        Gauge("grace_under_way", "Requests under way, those that wait included", registry=own).set_function(under_way)

    def text(self) -> bytes:
        """Return all counts in the text format of Prometheus."""
        text: bytes = generate_latest(self._registry)
        return text
