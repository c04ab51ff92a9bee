"""The Ray cluster that a run uses: that of RAY_ADDRESS, which is left running, or one of its own on this machine."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentGapError
from harness.writing import why_not_folder

ADDRESS = "RAY_ADDRESS"
ANSWER_SECONDS = 5.0
"""For something to answer at an address."""
OBJECT_STORE_BYTES = 128 * 2**20
"""Of a cluster of our own: nothing large is ever put there."""
SENT = ("HARNESS_", "HF_", "MTEB_", "TRANSFORMERS_", "TOKENIZERS_")
"""How the names of environment variables begin that a cell depends on: actors get them as the driver has them."""
SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|KEY)(_|$)")
"""In names of variables that are not sent: Ray shows an actor's environment to whoever looks at the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster that is alive."""

    id: str
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The actors of a run."""

    actors: int
    threads: int
    """CPUs of each, as Ray counts, and threads that torch uses."""
    gpus: int
    """Of each: 0 or 1."""

    def __str__(self) -> str:
        return f"{self.actors} worker(s) of {self.threads} CPU{' and 1 GPU' if self.gpus else ''} each"


def wanted(nodes: Sequence[Node], workers: int | None, *, most_threads: int | None) -> Wanted:
    """Return which actors to ask for: one a GPU, or without GPUs one a node, unless the user says how many.

    Args:
        nodes: of the cluster.
        workers: that the user asked for; None for the default.
        most_threads: that an actor is to use; None: as many as let all actors be placed.
    """
    has_gpus = any(one.gpus for one in nodes)
    actors = workers or max(1, sum(one.gpus if has_gpus else bool(one.cpus) for one in nodes))
    threads = max([one.cpus for one in nodes], default=1)
    while threads > 1 and _places(nodes, threads, has_gpus=has_gpus) < actors:
        threads -= 1
    return Wanted(actors=actors, threads=max(1, min(threads, most_threads or threads)), gpus=int(has_gpus))


def _places(nodes: Sequence[Node], threads: int, *, has_gpus: bool) -> int:
    return sum(min(one.cpus // threads, one.gpus if has_gpus else one.cpus) for one in nodes)


def nodes() -> list[Node]:
    """Return the machines that are alive."""
    import ray

    return [
        Node(id=one["NodeID"], cpus=int(one["Resources"].get("CPU", 0)), gpus=int(one["Resources"].get("GPU", 0)))
        for one in ray.nodes()
        if one["Alive"]
    ]


def in_words() -> str:
    """Return what the cluster has, and what of it is free."""
    import ray

    has, free = ray.cluster_resources(), ray.available_resources()
    said = ", ".join(f"{has.get(name, 0):g} {name} ({free.get(name, 0):g} free)" for name in ("CPU", "GPU"))
    return f"{said} on {len(nodes())} node(s)"


def environment_of(threads: int) -> dict[str, str]:
    """Return the environment variables that an actor of so many threads is started with."""
    sent = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
    sent = {name: value for name, value in sent.items() if not SECRET.search(name)}
    return sent | {"OMP_NUM_THREADS": str(threads)}


@contextmanager
def connected(workers: int | None) -> Iterator[None]:
    """Be connected to a cluster; afterwards leave it, or end it where it is our own.

    Args:
        workers: that a cluster of our own must have room for.

    Raises:
        EnvironmentGapError: nobody answers at RAY_ADDRESS, or no cluster can be started.
    """
    import ray

    if ray.is_initialized():  # by a program that calls us
        yield
        return
    address = os.environ.get(ADDRESS) or "local"
    _speak_as_we_do()
    before = signal.getsignal(signal.SIGTERM)
    shows = ray._private.worker._worker_logs_enabled
    ray._private.worker._worker_logs_enabled = False  # it prints to stdout, which may have to be one JSON document
    try:
        _connect(address, workers)
        _take_back_signals(before)
        yield
    finally:
        ray.shutdown()
        _take_back_signals(before)
        ray._private.worker._worker_logs_enabled = shows


@contextmanager
def said_where_it_is_lost() -> Iterator[None]:
    """Say it where the cluster itself no longer answers; that of a single worker or node is said elsewhere."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise EnvironmentGapError(
            [f"the Ray cluster no longer answers ({_said(error)}); the same command goes on from what is finished"]
        ) from error


def _speak_as_we_do() -> None:
    """Have what Ray's Python part logs go where all else goes: with its import it took a way of its own to stderr."""
    logger = logging.getLogger("ray")
    logger.handlers.clear()
    logger.propagate = True


def _connect(address: str, workers: int | None) -> None:
    import ray

    settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if why_not_folder(Path.home() / ".ray") is not None:  # where it would keep the secret that its parts share
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        settings |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        if workers and workers > (os.cpu_count() or 1):
            settings["num_cpus"] = workers
    else:
        _refuse_what_does_not_answer(address)
    try:
        ray.init(address=address, **settings)
    except (OSError, RuntimeError, ValueError, SystemExit, ray.exceptions.RayError) as error:
        where = "no Ray cluster can be started here" if address == "local" else f"{ADDRESS}={address}: no Ray cluster"
        raise EnvironmentGapError([f"{where}: {_said(error)}"]) from error


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):  # what Ray raises when it waited in vain
        return "it did not answer as one"
    return " ".join(str(error).split()) or type(error).__name__


def _refuse_what_does_not_answer(address: str) -> None:
    """Ask before Ray does, which waits for minutes and then ends the process."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise EnvironmentGapError(
            [
                f"{ADDRESS}={address}: expected host:port, as `ray start` shows it, or auto; this command is run on "
                "a node of the cluster (`ray job submit` does so)"
            ]
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EnvironmentGapError(
            [
                f"{ADDRESS}={address}: nobody answers there ({error}); start a cluster (`ray start --head`), or unset "
                f"{ADDRESS} for one on this machine"
            ]
        ) from error


def _take_back_signals(before: Any) -> None:
    """Put back what SIGTERM did: Ray's own handler would end the process without what the command does at its end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
