"""`grace serve`, over real connections: what it answers, whom it refuses, and that no request spoils another."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from candidates_support import GraceCommand, candidate_directory, chat_model
from cells_support import HashEncoder
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI, RateLimitError
from serve_support import Served, served, until
from suites_support import isolate

from grace.serve.settings import Limits
from harness.candidates.named import named_candidate
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.encoders.rationale.with_texts import encode_with_rationales
from harness.sources.places import Sources

TEXTS = ["the cat sat", "", "a small dog 🙂", "the cat sat", "rain\x00fell", "line\nbreak"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the candidates `plain` and `writer` over a tiny chat model."""
    folder = tmp_path_factory.mktemp("tiny")
    model = chat_model(folder / "model")
    candidate_directory(folder / "plain", model, kind="mean-pool", encoder="{max_text_tokens: 24}")
    generation = "{generation: {max_new_tokens: 5, temperature: 1.0}, max_text_tokens: 24}"
    candidate_directory(folder / "writer", model, kind="rationale", encoder=generation)
    return folder


@pytest.fixture
def loaded(tiny: Path, tmp_path: Path, monkeypatch):
    """Return a function that loads one of the candidates, caches in a folder of the test's own."""
    isolate(monkeypatch, tmp_path)
    return lambda name: load(named_candidate(str(tiny / name), Sources()), use_cache=False)


def client_of(server: Served, key: str = "none", **options: Any) -> OpenAI:
    """Return the real client, which tries nothing twice."""
    return OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=60, **options)


def hashing(**changes: Any) -> CheckedEncoder:
    """Return an encoder without a model, as another package brings it."""
    encoder = HashEncoder(8)
    for name, value in changes.items():
        setattr(encoder, name, value)
    return CheckedEncoder(encoder, name="hash")


def test_vectors_are_those_in_the_file_of_grace_encode(tiny: Path, loaded, tmp_path: Path, monkeypatch, capsys) -> None:
    """Text by text, to 1e-6."""
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS), encoding="utf-8")
    grace = GraceCommand(monkeypatch, capsys)
    for kind in ("plain", "writer"):
        file = tmp_path / f"{kind}.parquet"
        said = grace("encode", tmp_path / "in.jsonl", "--candidate", tiny / kind, "--out", file, "--no-cache")
        assert said.code == 0, said.err
        with served(lambda kind=kind: loaded(kind)) as server:
            for text, vector in zip(TEXTS, pq.read_table(file)["vector"].to_pylist(), strict=True):
                given = server.embed(input=text).told["data"][0]["embedding"]
                assert np.abs(np.array(given) - vector).max() < 1e-6


@pytest.mark.parametrize("kind", ["plain", "writer"])
def test_the_real_client_gets_what_the_encoder_gives(loaded, kind: str) -> None:
    """Both formats; vectors are those of `encode` over the same texts, in order, and tokens are counted truly."""
    encoder = loaded(kind)
    expected = encoder.encode(TEXTS)
    with served(lambda: loaded(kind)) as server:
        client = client_of(server)
        for form in ("float", "base64"):
            answer = client.embeddings.create(model="m", input=TEXTS, encoding_format=form)
            given = [one.embedding for one in answer.data]
            if form == "base64":
                given = [np.frombuffer(base64.b64decode(one), dtype="<f4") for one in given]
            assert np.abs(np.array(given) - expected).max() < 1e-6 * np.abs(expected).max()
            assert [one.index for one in answer.data] == list(range(len(TEXTS)))
        unsaid = client.embeddings.create(model="m", input=TEXTS[0])
        assert np.abs(np.array(unsaid.data[0].embedding) - expected[0]).max() < 1e-6 * np.abs(expected).max()
    tokenizer = encoder.inner.tokenizer
    own = [len(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]) for text in TEXTS]
    if kind == "plain":
        assert answer.usage.prompt_tokens == sum(max(count, 1) for count in own)  # an empty text is one end-of-text
        assert answer.usage.total_tokens == answer.usage.prompt_tokens
    else:
        entries = encoder.inner.write(TEXTS, prompt=None)
        assert answer.usage.prompt_tokens == sum(own) + len(TEXTS) * len(encoder.inner.template.suffix)
        assert answer.usage.total_tokens - answer.usage.prompt_tokens == sum(len(one.about["ids"]) for one in entries)


def test_rationales_come_beside_their_vectors(loaded) -> None:
    """With the client's `extra_body`; a model that writes none refuses, and without being asked there are none."""
    encoder = loaded("writer")
    texts = ["the cat sat", "rain fell"]
    expected = encode_with_rationales(encoder, texts, role=None, prompt=None)
    with served(lambda: loaded("writer")) as server:
        client = client_of(server)
        told = client.embeddings.create(model="m", input=texts, extra_body={"encoding": "rationale"})
        assert [one.rationale for one in told.data] == expected.rationales
        assert [one.rationale_cut for one in told.data] == expected.cut
        assert "rationale" not in client.embeddings.create(model="m", input=texts).data[0].to_dict()
    with served(lambda: loaded("plain")) as server, pytest.raises(BadRequestError, match="writes no rationales"):
        client_of(server).embeddings.create(model="m", input="a", extra_body={"encoding": "rationale"})


def test_dimensions_are_cut_and_brought_to_length_one(loaded) -> None:
    """By hand: the first values over their length; more than the model has is refused; `normalise` does all."""
    vector = loaded("plain").encode(["the cat sat"])[0].astype(np.float64)
    with served(lambda: loaded("plain")) as server:
        client = client_of(server)
        for count in (1, 5, 32):
            given = client.embeddings.create(model="m", input="the cat sat", dimensions=count).data[0].embedding
            assert np.allclose(given, vector[:count] / np.linalg.norm(vector[:count]), atol=1e-6)
        with pytest.raises(BadRequestError, match="the model's vectors have 32"):
            client.embeddings.create(model="m", input="a", dimensions=33)
        for wrong in (0, -1, 1.5, True, "8"):
            assert server.embed(input="a", dimensions=wrong).status == 400
    with served(lambda: loaded("plain"), is_normalised=True) as server:
        given = client_of(server).embeddings.create(model="m", input="the cat sat").data[0].embedding
        assert np.allclose(given, vector / np.linalg.norm(vector), atol=1e-6)


def test_a_zero_prefix_has_no_direction() -> None:
    """Refused rather than answered with NaN."""
    rows = lambda texts, **_: np.tile(np.array([[0, 0, 1, 0]], dtype=np.float32), (len(texts), 1))  # noqa: E731
    with served(lambda: hashing(encode=rows)) as server:
        answer = server.embed(input="a", dimensions=2)
        assert (answer.status, answer.told["error"]["code"]) == (422, "zero_vector")
        assert server.embed(input="a", dimensions=3).status == 200


def test_cut_texts_are_marked_or_refused(loaded) -> None:
    """In the header and at the text; with `refuses_long` the request is refused, and others go on."""
    long = "the cat sat on the mat and looked at the moon " * 8
    with served(lambda: loaded("plain")) as server:
        raw = client_of(server).embeddings.with_raw_response.create(model="m", input=["a cat", long])
        assert raw.headers["x-texts-cut"] == "1"
        data = raw.parse().data
        assert "cut" not in data[0].to_dict()
        assert data[1].to_dict()["cut"] is True
        assert raw.parse().usage.prompt_tokens == 24 + len(loaded("plain").inner.tokenizer("a cat")["input_ids"])
        assert server.embed(input="a cat").headers["x-texts-cut"] == "0"
        assert server.counted("grace_texts_cut_total") == 1
    with served(lambda: loaded("plain"), refuses_long=True) as server:
        with pytest.raises(BadRequestError) as refused:
            client_of(server).embeddings.create(model="m", input=["a cat", long])
        assert refused.value.code == "context_length_exceeded"
        assert "input[1]" in str(refused.value)
        assert server.embed(input="a cat").status == 200


def test_under_load_everybody_gets_their_own(loaded) -> None:
    """32 threads with several requests each: every vector is that of the text alone, and requests shared batches."""
    texts = [f"the cat number {n} ran over {n % 7} hills" for n in range(160)]
    expected = dict(zip(texts, loaded("plain").encode(texts), strict=True))
    with served(lambda: loaded("plain"), limits=Limits(requests=64, window_seconds=0.02)) as server:
        client = client_of(server)

        def ask(thread: int) -> None:
            for turn in range(5):
                own = [texts[(thread * 5 + turn + step * 11) % 160] for step in range(1 + turn)]
                given = client.embeddings.create(model="m", input=own).data
                for text, one in zip(own, given, strict=True):
                    assert np.abs(np.array(one.embedding) - expected[text]).max() < 1e-6

        with ThreadPoolExecutor(32) as threads:
            list(threads.map(ask, range(32)))
        assert server.counted('grace_requests_total{status="200"}') == 160
        assert server.counted("grace_texts_total") == 32 * 15
        assert server.counted("grace_batches_total") < 160
        assert server.counted("grace_request_seconds_count") == 160
        assert server.counted("grace_waiting") == server.counted("grace_under_way") == 0


def test_ready_means_that_the_model_has_embedded_a_text() -> None:
    """Until then requests are told to come again, and /health is not well."""
    there = threading.Event()

    def slowly() -> CheckedEncoder:
        assert there.wait(30)
        return hashing()

    with served(slowly, waits=False) as server:
        early = server.embed(input="a")
        assert (early.status, early.headers["retry-after"], early.told["error"]["code"]) == (503, "1", "loading")
        health = server.ask("GET", "/health")
        assert (health.status, health.told) == (503, {"status": "loading"})
        assert server.ask("GET", "/v1/models").told["data"] == []
        there.set()
        until(lambda: server.ask("GET", "/health").status == 200)
        assert server.embed(input="a").status == 200


class Stopped:
    """An encoder that holds its batch until it is let go on, and notes what it is given."""

    def __init__(self) -> None:
        """Let the first text through, by which the server finds that the model works."""
        self.open = threading.Event()
        self.at_work = threading.Event()
        self.seen: list[list[str]] = []

    def __call__(self, texts: list[str], **_: Any) -> np.ndarray:
        """Return rows that tell texts apart."""
        self.seen.append(list(texts))
        if len(self.seen) > 1:
            self.at_work.set()
            assert self.open.wait(30)
        if any("poison" in text for text in texts):
            raise ValueError("a text that the model stumbles over")
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def together(monkeypatch) -> None:
    """Have requests of an encoder without a model share batches, as those of models do."""
    from harness.encoders.lengths import Lengths

    monkeypatch.setattr("grace.serve.worker.tells_lengths", lambda encoder: True)
    counted = lambda encoder, texts, **_: Lengths([1] * len(texts), [False] * len(texts))  # noqa: E731
    monkeypatch.setattr("grace.serve.worker.lengths", counted)


def test_a_request_that_fails_fails_alone(monkeypatch) -> None:
    """Three requests share a batch with one that breaks the model: they are answered, and it learns why not."""
    together(monkeypatch)
    stopped = Stopped()
    with served(lambda: hashing(encode=stopped)) as server, ThreadPoolExecutor(5) as threads:
        first = threads.submit(server.embed, input="first")
        assert stopped.at_work.wait(30)
        others = [threads.submit(server.embed, input=text) for text in ("aa", "bbb", "poison", "dddd")]
        until(lambda: len(server.waiting) == 4)
        stopped.open.set()
        answers = [one.result(30) for one in others]
        assert first.result(30).status == 200
        assert [one.status for one in answers] == [200, 200, 500, 200]
        assert [answers[n].told["data"][0]["embedding"][0] for n in (0, 1, 3)] == [2, 3, 4]
        assert answers[2].told["error"]["type"] == "server_error"
        assert any(len(texts) == 4 for texts in stopped.seen)  # they did share one
        assert server.embed(input="poison").status == 500
        assert server.ask("GET", "/health").status == 200  # the model works: it was that text


def test_a_model_that_fails_at_everything_is_not_healthy() -> None:
    """And is again once it embeds."""
    broken = threading.Event()

    def encode(texts: list[str], **_: Any) -> np.ndarray:
        if broken.is_set():
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return np.ones((len(texts), 2), dtype=np.float32)

    with served(lambda: hashing(encode=encode)) as server:
        broken.set()
        assert server.embed(input="a").status == 500
        assert server.ask("GET", "/health").status == 503
        broken.clear()
        assert server.embed(input="a").status == 200
        assert server.ask("GET", "/health").status == 200


def test_roles_do_not_share_a_batch(monkeypatch) -> None:
    """Texts of a role are embedded as such; a request says which, or the server does."""
    together(monkeypatch)
    asked: list[tuple[list[str], str | None]] = []

    def encode(texts: list[str], *, role: str | None, prompt: str | None) -> np.ndarray:
        asked.append((list(texts), role))
        return np.ones((len(texts), 2), dtype=np.float32)

    with served(lambda: hashing(encode=encode), role="document") as server, ThreadPoolExecutor(6) as threads:
        roles = [None, "query"] * 3
        fields = [{"input": f"text {n}"} | ({"role": role} if role else {}) for n, role in enumerate(roles)]
        assert all(one.status == 200 for one in threads.map(lambda one: server.embed(**one), fields))
        assert server.embed(input="a", role="passage").status == 400
    expected = {f"text {n}": role or "document" for n, role in enumerate(roles)}
    assert {text: role for texts, role in asked[1:] for text in texts} == expected


def test_more_requests_than_it_takes_are_told_to_come_again() -> None:
    """429 with Retry-After, at once; those that were taken are answered."""
    stopped = Stopped()
    with served(lambda: hashing(encode=stopped), limits=Limits(requests=3)) as server:
        with ThreadPoolExecutor(3) as threads:
            taken = [threads.submit(server.embed, input=f"text {n}") for n in range(3)]
            until(lambda: len(server.waiting) == 2)
            with pytest.raises(RateLimitError) as refused:
                client_of(server).embeddings.create(model="m", input="late")
            assert refused.value.response.headers["retry-after"] == "1"
            assert server.ask("GET", "/health").status == 200
            stopped.open.set()
            assert [one.result(30).status for one in taken] == [200] * 3
        assert server.embed(input="now").status == 200
        assert server.counted('grace_rejected_total{code="server_busy"}') == 1
    assert not any("late" in texts for texts in stopped.seen)


def test_who_leaves_is_dropped_from_the_queue() -> None:
    """The model never sees the text of a client that closed its connection while it waited."""
    stopped = Stopped()
    with served(lambda: hashing(encode=stopped)) as server, ThreadPoolExecutor(1) as threads:
        first = threads.submit(server.embed, input="first")
        assert stopped.at_work.wait(30)
        body = json.dumps({"model": "m", "input": "leaving"}).encode()
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        leaving = server.connected()
        leaving.sendall(head.encode() + b"\r\n\r\n" + body)
        until(lambda: len(server.waiting) == 1)
        leaving.close()
        until(lambda: server.counted("grace_clients_left_total") == 1)
        stopped.open.set()
        assert first.result(30).status == 200
        assert server.embed(input="last").status == 200
    assert stopped.seen[1:] == [["first"], ["last"]]


def unread(server: Served, texts: int) -> socket.socket:
    """Ask for vectors and read nothing of the answer."""
    body = json.dumps({"model": "m", "input": [f"text {n}" for n in range(texts)]}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(head.encode() + b"\r\n\r\n" + body)
    return connection


WIDE = {"dimension": 4096}
"""So that an answer is larger than what lies in the sockets on the way."""


def test_an_answer_that_nobody_reads_is_under_way_until_its_time_is_over() -> None:
    """It takes a place among the requests, is counted as one whose client left, and holds nobody else up."""
    with served(lambda: hashing(**WIDE), limits=Limits(requests=2, answer_seconds=1.5)) as server:
        connections = [unread(server, 400) for _ in range(2)]
        until(lambda: server.counted("grace_under_way") == 2)
        assert server.embed(input="late").status == 429
        until(lambda: server.counted("grace_clients_left_total") == 2)
        assert server.counted("grace_under_way") == 0
        assert server.counted('grace_requests_total{status="200"}') == 0
        assert len(server.embed(input=["now"] * 400).told["data"]) == 400
        assert server.counted('grace_requests_total{status="200"}') == 1
        for one in connections:
            one.close()


def test_an_answer_that_is_being_read_slowly_is_sent_to_its_end() -> None:
    """Each piece has the time for itself."""
    with served(lambda: hashing(**WIDE), limits=Limits(answer_seconds=1.5)) as server:
        connection, got = unread(server, 400), bytearray()
        while not got.endswith(b"}"):
            time.sleep(0.002)
            got += connection.recv(2**16)
        assert len(json.loads(got.partition(b"\r\n\r\n")[2])["data"]) == 400
        until(lambda: server.counted('grace_requests_total{status="200"}') == 1)
        connection.close()


def test_a_server_that_stops_says_that_an_answer_was_not_taken() -> None:
    """What was made and not sent is unanswered."""
    with served(lambda: hashing(**WIDE), limits=Limits(drain_seconds=1)) as server:
        connection = unread(server, 400)
        until(lambda: server.counted("grace_under_way") == 1)
        service = server.service
    assert service.unanswered == 1
    connection.close()


def test_a_body_of_many_unknown_fields_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are only counted are compared with nothing."""
    asked: list[str] = []
    monkeypatch.setattr("grace.serve.asked.did_you_mean", lambda name, _: asked.append(name) or "")
    with served(hashing) as server:
        answer = server.embed(input="a", **{f"format_code{n}": 1 for n in range(20_000)})
    assert answer.status == 400
    assert "and 19995 more" in answer.told["error"]["message"]
    assert len(asked) == 5


def test_the_token_is_asked_for_before_the_body() -> None:
    """Everywhere but at /health; a wrong one is refused whatever the body is, and none is read."""
    with served(hashing, token="s3cret") as server:
        assert client_of(server, "s3cret").embeddings.create(model="m", input="a").data
        assert [one.id for one in client_of(server, "s3cret").models.list()] == ["m"]
        for key in ("s3cre", "s3cret2", "S3CRET", "wrong"):
            with pytest.raises(AuthenticationError, match="api_key"):
                client_of(server, key).embeddings.create(model="m", input="a")
        for header in (
            {},
            {"Authorization": "s3cret"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "Bearer é"},
        ):
            assert server.ask("POST", "/v1/embeddings", b"x" * 100, **header).status == 401
        assert {server.ask("GET", path).status for path in ("/v1/models", "/v1/models/m", "/metrics")} == {401}
        assert server.ask("GET", "/health").status == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe\x00", 400, "not JSON"),
        (b"[" * 100_000, 400, "nested"),
        (b'{"model": "m", "input": ' + b"[" * 900 + b"]" * 900 + b"}", 400, "expected a text, got a list"),
        (b'{"a":' * 100_000, 400, "nested"),
        (b"[1]", 400, "no object"),
        (b"null", 400, "no object"),
        (b'{"model": "m"}', 400, "input: expected a text or a list"),
        (b'{"input": "a"}', 400, "model: expected"),
        (b'{"model": 3, "input": {}, "encoding_format": "int8"}', 400, "expected float, base64"),
        (b'{"model": "m", "input": []}', 400, "an empty list"),
        (b'{"model": "m", "input": ["a", null]}', 400, "input[1]: expected a text, got null"),
        (b'{"model": "m", "input": [1, 2, 3]}', 400, "token ids are not taken"),
        (b'{"model": "m", "input": [[1, 2], [3]]}', 400, "token ids are not taken"),
        (b'{"model": "m", "input": [true]}', 400, "input[0]: expected a text, got True"),
        (b'{"model": "m", "input": "a", "encoding": ["rationale"]}', 400, "expected rationale, got a list"),
        (b'{"model": "m", "input": "a", "dimension": 3}', 400, "did you mean 'dimensions'"),
        (b'{"model": "m", "input": "a", "\\ud800": 3}', 400, "half a character"),
        (b'{"model": "m", "input": "a", "input": "b"}', 400, "given twice"),
        (b'{"model": "m", "input": "a", "dimensions": 1e999}', 400, "too large"),
        (b'{"model": "m", "input": "a", "dimensions": ' + b"9" * 5000 + b"}", 400, "too large"),
        (b'{"model": "m", "input": "a", "dimensions": ' + b"9" * 20 + b"}", 400, "vectors have 8"),
        (b'{"model": "m", "input": ["a", "half a \\ud83d pair"]}', 400, "half a character (\\ud83d without"),
        (b'{"model": "m", "input": "half a \xed\xa0\xbd pair"}', 400, "not JSON in UTF-8"),
        (b'{"model": "other", "input": "a"}', 404, "this server has m"),
        (b'{"model": "m", "input": [' + b'"",' * 40 + b'""]}', 413, "41 texts, and a request may have 40"),
        (b'{"model": "m", "input": "' + b"x" * 2001 + b'"}', 413, "2001 characters, and a text may have 2000"),
        (b'{"model": "m", "input": "' + b"x" * 2_000_000 + b'"}', 413, "longer than 1000000 bytes"),
    ],
)
def test_hostile_bodies_are_refused_in_the_shape_of_the_api(
    hostile: Served, body: bytes, status: int, says: str
) -> None:
    """With what is wrong, and never with an error of ours."""
    answer = hostile.ask("POST", "/v1/embeddings", body, Content_Type="application/json")
    assert answer.status == status, answer.body
    assert answer.told["error"].keys() == {"message", "type", "param", "code"}
    assert says in answer.told["error"]["message"]
    assert hostile.embed(input="a").status == 200


@pytest.fixture(scope="module")
def hostile():
    """Return a server that takes little."""
    with served(hashing, limits=Limits(texts=40, characters=2000, body_bytes=1_000_000, body_seconds=1.0)) as server:
        yield server


def test_a_body_without_a_length_is_counted_as_it_comes(hostile: Served) -> None:
    """In chunks; it is refused once it is too long, and not read to its end."""
    with hostile.connected() as link:
        link.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        link.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(17):
            link.sendall(chunk)
        assert link.recv(12) == b"HTTP/1.1 413"


def test_what_is_not_called_json_is_refused(hostile: Served) -> None:
    """A page in a browser can send text/plain to this machine without asking; JSON it cannot, and no CORS lets it."""
    body = b'{"model": "m", "input": "a"}'
    assert hostile.ask("POST", "/v1/embeddings", body, Content_Type="text/plain").status == 415
    assert hostile.ask("POST", "/v1/embeddings", body).status == 415
    before = {"Origin": "http://evil.example", "Access_Control_Request_Method": "POST"}
    answer = hostile.ask("OPTIONS", "/v1/embeddings", **before)
    assert answer.status == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_other_paths_and_methods_answer_in_the_same_shape(hostile: Served) -> None:
    """404 and 405; models are found by name."""
    for method, path, status in (("GET", "/", 404), ("GET", "/v1/embeddings", 405), ("POST", "/v1/completions", 404)):
        answer = hostile.ask(method, path)
        assert (answer.status, answer.told["error"]["code"]) == (status, "no_such_route")
    assert client_of(hostile).models.retrieve("m").dimension == 8
    with pytest.raises(NotFoundError, match="this server has m"):
        client_of(hostile).models.retrieve("a/b")


def test_half_open_connections_hold_nobody_up(hostile: Served) -> None:
    """Heads and bodies that never come to an end: others are answered, and the body is given up in time."""
    silent = [hostile.connected() for _ in range(20)]
    for link in silent[:10]:
        link.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\n")
    late = silent[-1]
    late.sendall(
        b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    assert hostile.embed(input="a").status == 200
    late.settimeout(30)
    assert late.recv(12) == b"HTTP/1.1 408"
    until(lambda: hostile.counted("grace_under_way") == 0)
    for link in silent:
        link.close()
    assert hostile.embed(input="a").status == 200


def test_a_client_that_sends_half_and_closes_is_forgotten(hostile: Served) -> None:
    """The body ends before it is whole."""
    link = hostile.connected()
    link.sendall(
        b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    until(lambda: hostile.counted("grace_under_way") == 1)
    link.shutdown(socket.SHUT_RDWR)
    link.close()
    until(lambda: hostile.counted("grace_under_way") == 0)


def test_an_encoder_of_another_package_is_counted_by_itself() -> None:
    """Its requests share no batch, so that its counters are the request's own."""
    encoder = HashEncoder(4)

    def encode(texts: list[str], **_: Any) -> np.ndarray:
        encoder.counters.tokens += sum(len(text.split()) for text in texts)
        encoder.counters.truncated_texts += sum(len(text) > 10 for text in texts)
        return np.ones((len(texts), 4), dtype=np.float32)

    encoder.encode = encode
    with served(lambda: CheckedEncoder(encoder, name="own")) as server, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: server.embed(input=["a b c"] + ["a long long text"] * n), range(4)))
        assert [one.told["usage"]["prompt_tokens"] for one in answers] == [3, 7, 7, 7]  # repeated texts are read once
        assert [one.headers["x-texts-cut"] for one in answers] == ["0", "1", "1", "1"]
