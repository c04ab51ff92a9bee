"""What the tests of `grace serve` share: a server in a thread over an encoder that is at hand, and raw requests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from grace.serve.app import Service
from grace.serve.server import listening, server_of
from grace.serve.settings import Settings
from grace.serve.waiting import Waiting
from grace.serve.worker import Worker
from harness.encoders.checked import CheckedEncoder


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Served:
    """A server that answers."""

    port: int
    service: Service
    worker: Worker
    waiting: Waiting

    @property
    def url(self) -> str:
        """What OpenAI's client takes as its base."""
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def embed(self, **fields: Any) -> Answer:
        """Ask for vectors; the model is `m` where nothing else is said."""
        body = json.dumps({"model": "m"} | fields).encode()
        return self.ask("POST", "/v1/embeddings", body, Content_Type="application/json")

    def counted(self, name: str) -> float:
        """Return the value of a line of `/metrics`."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def connected(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@contextmanager
def served(load: Callable[[], CheckedEncoder], *, waits: bool = True, **settings: Any) -> Iterator[Served]:
    """Serve what `load` returns under the name `m`; waits until it is loaded unless told not to."""
    waiting, own = Waiting(), Settings(**{"names": ("m",)} | settings)
    worker = Worker(load, own, waiting)
    service = Service(own, worker, waiting, lambda model: {})
    listener = listening("127.0.0.1", 0)
    server = server_of(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    port = listener.getsockname()[1]
    worker.start()
    thread.start()
    try:
        until(lambda: server.started)
        if waits:
            until(lambda: worker.model is not None or worker.failure is not None)
        yield Served(port, service, worker, waiting)
    finally:
        server.should_exit = True
        thread.join(30)
        assert worker.stop(30)
        assert not thread.is_alive()


def until(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until something holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.005)
