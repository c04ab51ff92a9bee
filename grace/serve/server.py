"""One process that listens: the socket, uvicorn, the worker's thread, and how it stops.

SIGTERM and Ctrl-C stop it alike: it takes no more requests, answers those that it has, and leaves. The exit code is 0
after SIGTERM, which is how a server ends, 130 after Ctrl-C and where requests were left unanswered.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from grace.serve.app import Service, application
from grace.serve.worker import Worker
from harness.errors import EnvironmentGapError, ExitCode

KEEP_ALIVE_SECONDS = 30
"""How long a connection may stand idle between two requests."""
LAST_BATCH_SECONDS = 1.0
"""How long the model's thread may take to end once nobody waits for it."""


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        EnvironmentGapError: the address is not to be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        gap = f"--host {host} --port {port}: cannot listen there ({why}); choose another port, or 0 for a free one"
        raise EnvironmentGapError([gap]) from error


def server_of(service: Service) -> uvicorn.Server:
    """Return uvicorn over the application: HTTP/1.1, no web sockets, no log of requests, no trust in proxies."""
    config = uvicorn.Config(
        application(service),
        http="h11",
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=service.settings.limits.drain_seconds,
    )
    return uvicorn.Server(config)


def serve(service: Service, worker: Worker, listener: socket.socket, say: Callable[[str], None]) -> ExitCode:
    """Answer requests until the process is told to stop.

    Args:
        service: with the settings.
        worker: not begun.
        listener: of `listening`; closed at the end.
        say: is given lines for people.

    Returns:
        The exit code after SIGTERM.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once what was under way is answered.
        HarnessError: the model could not be loaded.
    """
    server = server_of(service)
    address = _address(listener)

    def ready() -> None:
        if worker.model is not None:
            say(f"ready: {address}/v1 ({', '.join(service.settings.names)}, {worker.model.dimension} dimensions)")

    def failed() -> None:
        server.should_exit = True

    worker.on_ready, worker.on_failure = ready, failed
    say(f"listening on {address}; /health says when the model is there")
    with _signals_noted():
        worker.start()
        server.run(sockets=[listener])
    worker.stop(LAST_BATCH_SECONDS)
    if worker.failure is not None:
        raise worker.failure
    if service.unanswered:
        say(f"stopped; requests left unanswered: {service.unanswered}")
        return ExitCode.INTERRUPTED
    say("stopped; every request was answered")
    return ExitCode.OK


@contextmanager
def _signals_noted() -> Iterator[None]:
    """Have SIGTERM raise nothing, and SIGINT a KeyboardInterrupt: uvicorn, which stops at both, then sends them again.

    A shell has what it starts in the background ignore SIGINT, which uvicorn does not.
    """
    handlers = {signal.SIGTERM: lambda *_: None, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
