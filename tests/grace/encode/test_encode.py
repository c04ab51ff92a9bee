"""`grace encode`: what is read, what is written, and a run that is killed goes on to the same file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates_support import GraceCommand, candidate_directory, chat_model
from places import REPOSITORY
from st_support import save_model, transformer
from suites_support import isolate

from grace.encode.encode import METADATA_KEY, Job, finished, open_job
from grace.encode.texts import read_texts
from harness.candidates.named import named_candidate
from harness.encoders.loading import load
from harness.errors import InputError
from harness.sources.places import Sources

TEXTS = ["the cat sat", "", "a small dog 🙂", "the cat sat", "rain\x00fell", "line one"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny chat model."""
    return chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def grace(model: Path, tmp_path: Path, monkeypatch, capsys) -> GraceCommand:
    """Return the command, with candidates `plain` and `writer` and a file of texts in the working directory."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    candidate_directory(tmp_path / "plain", model, kind="mean-pool")
    generation = "{generation: {max_new_tokens: 5, temperature: 1.0}, max_text_tokens: 40}"
    candidate_directory(tmp_path / "writer", model, kind="rationale", encoder=generation)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS), encoding="utf-8")
    return GraceCommand(monkeypatch, capsys)


def vectors_of(table: pa.Table) -> np.ndarray:
    """Return the vectors of a file, (n, d)."""
    column = table["vector"].combine_chunks()
    return column.values.to_numpy().reshape(len(table), column.type.list_size)


@pytest.mark.parametrize("candidate", ["plain", "writer"])
def test_file_holds_what_the_encoder_gives(grace: GraceCommand, tmp_path: Path, candidate: str) -> None:
    """Texts come back in order, vectors are the harness's, and the metadata name the candidate."""
    said = grace("encode", "in.jsonl", "--candidate", candidate, "--out", "x.parquet", "--part-texts", 4)
    assert said.code == 0, said.err
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["text"].to_pylist() == TEXTS
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 32)
    found = named_candidate(candidate, Sources())
    expected = load(found, use_cache=False).encode(TEXTS)
    assert np.abs(vectors_of(table) - expected).max() < 1e-5
    about = json.loads(table.schema.metadata[METADATA_KEY])
    assert about["fingerprint"] == found.fingerprint()
    assert about["settings"]["encoder"] == found.kind
    assert about["texts"] == len(TEXTS)
    assert not (tmp_path / "x.parquet.parts").exists()


def test_the_role_reaches_the_model(grace: GraceCommand, tmp_path: Path) -> None:
    """A model with two towers gives its encode_query and encode_document; without a default route a role is needed."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Pooling

    def modules(bodies: Path) -> list[object]:
        towers = ([transformer(bodies / str(seed), seed=seed), Pooling(32, "mean")] for seed in (1, 2))
        return [Router.for_query_document(*towers, default_route=None, allow_empty_key=False)]

    folder = save_model(tmp_path / "model", modules, prompts={"query": "find : "})
    library = SentenceTransformer(str(folder), device="cpu")
    run = ("encode", "in.jsonl", "--candidate", f"{{encoder: sentence-transformers, model: {folder}}}")
    for role, expected in (("query", library.encode_query(TEXTS)), ("document", library.encode_document(TEXTS))):
        said = grace(*run, "--role", role, "--out", f"{role}.parquet")
        assert said.code == 0, said.err
        table = pq.read_table(tmp_path / f"{role}.parquet")
        assert np.abs(vectors_of(table) - expected).max() < 1e-5
        assert json.loads(table.schema.metadata[METADATA_KEY])["role"] == role
    other = grace(*run, "--role", "document", "--out", "query.parquet")
    assert other.code == 2
    without = grace(*run, "--out", "x.parquet")
    assert without.code == 3
    assert "texts without a role" in without.err
    assert "query, document (default: none)" in without.err


def test_rationales_stand_beside_their_vectors(grace: GraceCommand, tmp_path: Path) -> None:
    """The rationale is what the encoder wrote about the text; without one the columns are null."""
    assert grace("encode", "in.jsonl", "--candidate", "writer", "--out", "x.parquet", "--json").code == 0
    table = pq.read_table(tmp_path / "x.parquet")
    inner = load(named_candidate("writer", Sources()), use_cache=False).inner
    entries = inner.write(list(dict.fromkeys(TEXTS)), prompt=None)
    written = {t: e.about for t, e in zip(dict.fromkeys(TEXTS), entries, strict=True)}
    assert table["rationale"].to_pylist() == [inner.tokenizer.decode(written[text]["ids"]) for text in TEXTS]
    assert table["rationale_cut"].to_pylist() == [written[text]["cut"] for text in TEXTS]
    assert any(table["rationale"].to_pylist())
    assert grace("encode", "in.jsonl", "--candidate", "plain", "--out", "y.parquet").code == 0
    assert pq.read_table(tmp_path / "y.parquet")["rationale"].null_count == len(TEXTS)


def test_killed_run_goes_on_to_the_same_file(grace: GraceCommand, tmp_path: Path) -> None:
    """After kill -9 in the middle the next run keeps the finished parts, and the file is the same to the byte."""
    many = [f"the cat number {n} sat on the mat" for n in range(240)]
    (tmp_path / "many.txt").write_text("\n".join(many) + "\n", encoding="utf-8")
    arguments = ["encode", "many.txt", "--candidate", "writer", "--part-texts", "8", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "grace.cli", *arguments, "--out", "x.parquet"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    parts = tmp_path / "x.parquet.parts"
    deadline = time.monotonic() + 120
    while len(list(parts.glob("part-*"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    kept = {path.name for path in parts.glob("part-*")}
    assert 2 <= len(kept) < 30
    assert not (tmp_path / "x.parquet").exists()
    said = grace(*arguments, "--out", "x.parquet")
    assert said.code == 0, said.err
    assert f"going on: {len(kept)} of 30 parts are done" in said.err
    assert grace(*arguments, "--out", "whole.parquet").code == 0
    whole, cut = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(tmp_path / "x.parquet")
    assert whole["text"].to_pylist() == many
    assert cut["rationale"].to_pylist() == whole["rationale"].to_pylist()
    assert np.abs(vectors_of(cut) - vectors_of(whole)).max() < 1e-6
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_second_run_of_a_finished_file_does_nothing(grace: GraceCommand, tmp_path: Path) -> None:
    """The same command again loads no model; another candidate for the same file is refused, and forced."""
    run = ("encode", "in.jsonl", "--out", "x.parquet")
    assert grace(*run, "--candidate", "plain").code == 0
    again = grace(*run, "--candidate", "plain")
    assert again.code == 0
    assert "loading" not in again.err
    other = grace(*run, "--candidate", "writer")
    assert other.code == 2
    assert "--force" in other.err
    assert grace(*run, "--candidate", "writer", "--force").code == 0
    assert pq.read_table(tmp_path / "x.parquet")["rationale"].null_count == 0


def job(tmp_path: Path, **changes: object) -> Job:
    """Return a job over five texts in parts of two."""
    plain = {"texts": list("abcde"), "out": tmp_path / "x.parquet", "about": {"seed": 0}, "part_texts": 2}
    return Job(**plain | changes)


def test_damaged_part_is_made_again(tmp_path: Path) -> None:
    """A part whose content is not that of its name, a half-written one and one too many are taken away."""
    from grace.encode.encode import _write_part
    from harness.encoders.rationale.with_texts import Encoded

    one = job(tmp_path)
    assert open_job(one) == {}
    whole = _write_part(one, 0, ["a", "b"], Encoded(np.ones((2, 3), dtype=np.float32), None, None))
    torn = _write_part(one, 1, ["c", "d"], Encoded(np.ones((2, 3), dtype=np.float32), None, None))
    torn.write_bytes(torn.read_bytes()[:-1] + b"?")
    (one.folder / ".part-000002.tmp").write_bytes(b"half")
    whole.with_name(whole.name.replace("000000", "000007")).write_bytes(whole.read_bytes())
    assert open_job(one) == {0: whole}
    assert sorted(path.name for path in one.folder.iterdir()) == ["job.json", whole.name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"texts": list("abcdf")}, "other texts_sha256"),
        ({"about": {"seed": 1}}, "other seed"),
        ({"prompt": "on: "}, "other prompt"),
        ({"part_texts": 3}, "other part_texts"),
    ],
)
def test_parts_of_another_job_are_not_mixed_in(tmp_path: Path, changes, words: str) -> None:
    """Whatever would change a row forbids going on, and the message names it."""
    open_job(job(tmp_path))
    with pytest.raises(InputError, match=words):
        open_job(job(tmp_path, **changes))
    assert open_job(job(tmp_path, **changes), force=True) == {}


def test_texts_do_not_run_into_each_other_in_the_identity(tmp_path: Path) -> None:
    """Two lists of texts that join to one string are two jobs."""
    assert job(tmp_path, texts=["ab", "c"]).identity() != job(tmp_path, texts=["a", "bc"]).identity()
    assert not finished(job(tmp_path))


def test_all_formats_give_the_same_texts(tmp_path: Path) -> None:
    """JSON lines, CSV with quoted line ends, parquet and plain lines; a byte-order mark is no text."""
    texts = ["plain", 'a "quoted", one', "שלום", ""]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"t": one}) for one in texts), encoding="utf-8")
    (tmp_path / "a.csv").write_text('t,n\nplain,1\n"a ""quoted"", one",2\nשלום,3\n"",4\n', encoding="utf-8-sig")
    pq.write_table(pa.table({"t": texts}), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_bytes('plain\r\na "quoted", one\nשלום\n\n'.encode())
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert read_texts(tmp_path / name, column="t") == texts
    assert read_texts(tmp_path / "a.txt") == texts
    (tmp_path / "b.csv").write_text('text,n\n"two\nlines",1\n', encoding="utf-8")
    assert read_texts(tmp_path / "b.csv") == ["two\nlines"]
    (tmp_path / "c.txt").write_text("one\u2028text\x0bhere", encoding="utf-8")
    assert read_texts(tmp_path / "c.txt") == ["one\u2028text\x0bhere"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.jsonl",
            b'{"text": "x"}\n{"text": 3}\n{"txt": "x"}\nnope\n[1]\n',
            ["a.jsonl:2: 'text' is no text but int 3"],
        ),
        ("a.jsonl", b'{"text": "x"}\n\n{"txt": "x"}\n', ["a.jsonl:3: no column 'text'; did you mean 'txt'?"]),
        (
            "a.jsonl",
            b'{"text": "x"}\nnope\n[1]\n{"text": null}\n',
            ["a.jsonl:2:1: not JSON", ":3: expected an", "null"],
        ),
        ("a.jsonl", b'{"text": "\xff"}\n', ["a.jsonl:1: not UTF-8 at byte 11"]),
        ("a.csv", b"text,n\nx,1\ny\nz,2\n", ["a.csv:3: 1 field, and there are 2 columns"]),
        ("a.csv", b'text,n\n"x\ny",1\nz\n', ["a.csv:4: 1 field,"]),
        ("a.csv", b"txt\nx\n", ["a.csv: no column 'text'; did you mean 'txt'?"]),
        ("a.csv", b'text\n"x\n', ["a.csv:2: a quoted field begins here and is never closed"]),
        ("a.csv", b"text,text\nx,y\n", ["a.csv:1: the column 'text' is there twice"]),
        ("a.jsonl", b'{"text": "\\ud83d"}\n', ["a.jsonl:1: 'text': half a character"]),
        ("a.parquet", b"no", ["not parquet"]),
        ("a.txt", b"ok\n\xff\n", ["a.txt:2: not UTF-8"]),
        ("a.txt", b"", ["holds no text"]),
        ("a.doc", b"x", ["the ending '.doc' says nothing"]),
    ],
)
def test_problems_have_their_lines(tmp_path: Path, name: str, content: bytes, words: list[str]) -> None:
    """Every problem is named with its line, before anything loads."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_texts(tmp_path / name)
    for one in words:
        assert one in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none.jsonl", "--candidate", "plain", "--out", "x.parquet"), 2, "no such file"),
        (("in.jsonl", "--candidate", "plain", "--out", "x.csv"), 2, "ends in .parquet"),
        (("in.jsonl", "--candidate", "plain", "--out", "no/x.parquet"), 2, "folder that exists"),
        (("in.jsonl", "--candidate", "plain", "--out", "x.parquet", "--column", "txet"), 2, "did you mean 'text'"),
        (("in.jsonl", "--candidate", "plain", "--out", "x.parquet", "--format", "json"), 2, "did you mean 'jsonl'"),
        (("in.jsonl", "--candidate", "gone/x", "--out", "x.parquet"), 2, "no such directory"),
        (("in.jsonl", "--out", "x.parquet"), 2, "--candidate"),
        (("in.jsonl", "--candidate", "writer", "-o", "x=1", "--out", "x.parquet"), 2, "unknown key"),
        (("in.jsonl", "--candidate", "{encoder: tf-idf}", "--out", "x.parquet"), 2, "fitted to the texts of a task"),
        (("in.jsonl", "--candidate", "{encoder: bm25}", "--out", "x.parquet"), 2, "gives no vectors"),
    ],
)
def test_mistakes_end_with_2(grace: GraceCommand, arguments, code: int, words: str) -> None:
    """Each mistake has one message and leaves nothing behind."""
    said = grace("encode", *arguments)
    assert said.code == code, said
    assert words in said.err
    assert not Path("x.parquet.parts").exists()


def test_shuffled_rationales_are_refused(grace: GraceCommand, tmp_path: Path, model: Path) -> None:
    """A vector that depends on its neighbours has no place in a file by parts."""
    entry = "{encoder: rationale, ablation: shuffled-rationale, max_text_tokens: 9, model: " + str(model) + "}"
    said = grace("encode", "in.jsonl", "--candidate", entry, "--out", "x.parquet")
    assert said.code == 2
    assert "neighbours" in said.err
