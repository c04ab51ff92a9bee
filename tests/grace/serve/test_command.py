"""The command `grace serve`: a real process that is told to stop, and what it refuses to begin with."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from candidates_support import GraceCommand, candidate_directory, chat_model
from cells_support import hashed
from openai import OpenAI, OpenAIError
from places import REPOSITORY
from suites_support import isolate

import grace.cli.serve as command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny chat model."""
    return chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def grace(model: Path, tmp_path: Path, monkeypatch, capsys) -> GraceCommand:
    """Return the command, with the candidate `plain` in the working directory."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    candidate_directory(tmp_path / "plain", model, kind="mean-pool")
    return GraceCommand(monkeypatch, capsys)


def wait_for(url: str, line: str) -> None:
    """Return once the server's figures have a line."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        asked = httpx2.get(f"{url.removesuffix('/v1')}/metrics", headers={"Authorization": "Bearer s3cret"})
        if line in asked.text.splitlines():
            return
        time.sleep(0.05)
    raise AssertionError(f"{line!r} was never said")


SLOWLY = """
import signal, sys, time
signal.signal(signal.SIGINT, getattr(signal, sys.argv.pop(1)))
from types import SimpleNamespace
import grace.cli.serve as command
from cells_support import HashEncoder
from grace.cli.app import main
from harness.encoders.checked import CheckedEncoder

class Slow(HashEncoder):
    def encode(self, texts, **how):
        time.sleep(2.5 * texts.count("slow"))
        return super().encode(texts, **how)

command.find = lambda *_: SimpleNamespace(name="hash", fingerprint=lambda: None)
command.load_quietly = lambda *_, **__: CheckedEncoder(Slow(8), name="hash")
sys.argv = ["grace", "serve", "any", "--port", "0", *sys.argv[1:]]
main()
"""
"""The command over an encoder that takes its time and needs no engine, which takes longer to import."""


@contextmanager
def running(*arguments: str, of_sigint: str = "default_int_handler") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve in a process of its own; yields it with its address once it is ready.

    Args:
        arguments: of the command.
        of_sigint: what SIGINT does at its start; in the background of a script it is SIG_IGN.
    """
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    own = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "GRACE_SERVE_TOKEN": "s3cret"}
    line = [sys.executable, "-c", SLOWLY, of_sigint, *arguments]
    process = subprocess.Popen(line, env=own, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"ready: (http://\S+)", line):
                yield process, found[1]
                break
        else:
            pytest.fail("it never was ready")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "more", "of_sigint", "code", "is_answered"),
    [
        (signal.SIGTERM, (), "default_int_handler", 0, True),
        (signal.SIGINT, (), "default_int_handler", 130, True),
        (signal.SIGINT, (), "SIG_IGN", 130, True),
        (signal.SIGTERM, ("--drain", "0.1"), "default_int_handler", 130, False),
    ],
)
def test_what_is_under_way_is_answered_before_it_stops(
    number: int, more: tuple[str, ...], of_sigint: str, code: int, is_answered: bool
) -> None:
    """The signal comes while the model is at work; who is not answered in time is counted in words and exit code."""
    got: list[object] = []

    def ask(url: str) -> None:
        client = OpenAI(base_url=url, api_key="s3cret", max_retries=0)
        try:
            got.append(client.embeddings.create(model="hash", input="slow").data[0].embedding)
        except OpenAIError as error:
            got.append(error)

    with running(*more, of_sigint=of_sigint) as (process, url):
        asking = threading.Thread(target=ask, args=(url,))
        asking.start()
        wait_for(url, "grace_under_way 1.0")
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        asking.join(30)
    assert process.returncode == code, said
    assert "Traceback" not in said
    if is_answered:
        assert got[0] == pytest.approx(hashed("slow", 8).tolist())
    else:
        assert isinstance(got[0], OpenAIError)
        assert "requests left unanswered: 1" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere",), 2, "no such directory"),
        (("plain", "--token-file", "none.txt"), 2, "cannot be read"),
        (("plain", "--token-file", "empty.txt"), 2, "expected one token"),
        (("plain", "--token-file", "two.txt"), 2, "expected one token"),
        (("{encoder: tf-idf}",), 2, "fitted to the texts of a task"),
        (("plain", "-o", "max_text_tokens=100000"), 2, "max_text_tokens"),
        (("plain", "--host", "300.1.2.3"), 4, "cannot listen there"),
        (("plain", "--name", "mine", "--name", " "), 2, "no request can call a model by it"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(
    grace: GraceCommand, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """Each with its exit code, and the server is gone."""
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "two.txt").write_text("a b\n")
    said = grace("serve", *arguments, "--port", 0)
    assert (said.code, "Traceback" in said.err) == (code, False), said.err
    assert says in said.err


def test_a_port_that_is_taken_is_named(grace: GraceCommand) -> None:
    """Exit code 4, before the model loads."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = grace("serve", "plain", "--port", port)
    assert said.code == 4
    assert f"--port {port}: cannot listen there" in said.err
    assert "loading" not in said.err


def test_packages_that_are_not_installed_are_named_with_the_line_that_installs_them(
    grace: GraceCommand, monkeypatch
) -> None:
    """Exit code 4."""
    monkeypatch.setattr(command, "is_installed", lambda name: name != "uvicorn")
    said = grace("serve", "plain")
    assert said.code == 4
    assert "(uvicorn): pip install 'encoder-verdict[serve]'" in said.err


def test_a_network_without_a_token_is_warned_of(grace: GraceCommand) -> None:
    """Said before the address turns out not to be ours."""
    said = grace("serve", "plain", "--host", "300.1.2.3")
    assert "without a token" in said.err
