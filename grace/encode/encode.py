"""Texts to a parquet file of text, rationale and vector, in parts that a killed run keeps.

Beside `x.parquet`, while it is made, stands the folder `x.parquet.parts`: `job.json` says what is being encoded, and
each finished part is a parquet file that carries the sha256 of its content in its name and was renamed into place. The
next run of the same job keeps the parts that are whole and goes on; one of another job is refused. A part is encoded on
its own, so where a run was cut changes no part. At the end the parts become the file, by a rename.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.digests import sha256_file, sha256_text, write_atomically
from harness.encoders.checked import CheckedEncoder
from harness.encoders.rationale.with_texts import Encoded, encode_with_rationales
from harness.errors import InputError

METADATA_KEY = b"encoder_verdict"
"""Of the parquet file: what made the vectors, as JSON."""
FORMAT_VERSION = 1
PART = re.compile(r"^part-(?P<index>\d{6})-(?P<sha256>[0-9a-f]{64})\.parquet$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is encoded, and how."""

    texts: Sequence[str]
    """In the order of the file's rows."""
    out: Path
    """The parquet file."""
    about: dict[str, Any]
    """Candidate, fingerprint, settings, seed: goes into the file's metadata; no clock, no host."""
    prompt: str | None = None
    """Stands before every text; None: what the model puts there by itself, which is nothing for most."""
    role: Literal["query", "document"] | None = None
    """What the texts are, for models that tell queries from documents."""
    part_texts: int = 512
    """Texts a part: what a killed run loses at most."""

    @property
    def folder(self) -> Path:
        """Where parts stand."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def parts(self) -> int:
        """How many parts the job has."""
        return -(-len(self.texts) // self.part_texts)

    def part(self, index: int) -> Sequence[str]:
        """Return the texts of a part."""
        return self.texts[index * self.part_texts : (index + 1) * self.part_texts]

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on with another's parts; also the file's metadata."""
        joined = "".join(f"{len(text)}\0{text}" for text in self.texts)
        own = {"format": FORMAT_VERSION, "prompt": self.prompt, "texts": len(self.texts)}
        own |= {"role": self.role} if self.role else {}
        return self.about | own | {"texts_sha256": sha256_text(joined), "part_texts": self.part_texts}


def finished(job: Job) -> bool:
    """Return whether `job.out` is there and is this job's."""
    import pyarrow.parquet as pq

    if not job.out.is_file():
        return False
    try:
        metadata = pq.read_schema(job.out).metadata or {}
    except (OSError, ValueError):  # not parquet
        return False
    return bool(metadata.get(METADATA_KEY) == _identity_bytes(job))


def open_job(job: Job, *, force: bool = False) -> dict[int, Path]:
    """Prepare the folder of parts and return those that are done.

    Args:
        job: what is to be encoded.
        force: throw away the file and the parts of another job.

    Raises:
        InputError: the file or the parts belong to another job.
    """
    if force:
        job.out.unlink(missing_ok=True)
        shutil.rmtree(job.folder, ignore_errors=True)
    if job.out.exists():
        raise InputError([f"{job.out} exists and is not of these texts and settings; --force overwrites it"])
    note = job.folder / "job.json"
    if note.exists() and note.read_bytes() != _identity_bytes(job):
        changed = _changed(note.read_bytes(), job.identity())
        raise InputError([f"{job.folder} is of another run ({changed}); choose another --out, or --force starts anew"])
    job.folder.mkdir(parents=True, exist_ok=True)
    if not note.exists():
        write_atomically(note, _identity_bytes(job))
    return _done(job)


def run(job: Job, encoder: CheckedEncoder, done: dict[int, Path], on_texts: Callable[[int], None]) -> Path:
    """Encode the parts that are not done and put the file together.

    Args:
        job: from whose folder `done` was read.
        encoder: of the candidate.
        done: parts by index.
        on_texts: told how many more texts are finished, those of finished parts first.

    Returns:
        The file: columns text, rationale, rationale_cut (null where the candidate writes none), and vector, a list of
        d float32.
    """
    files = dict(done)
    on_texts(sum(len(job.part(index)) for index in files))
    encoder.progress = on_texts
    for index in range(job.parts):
        if index not in files:
            texts = job.part(index)
            encoded = encode_with_rationales(encoder, texts, role=job.role, prompt=job.prompt)
            files[index] = _write_part(job, index, texts, encoded)
    _join(job, [files[index] for index in range(job.parts)])
    shutil.rmtree(job.folder)
    return job.out


def _done(job: Job) -> dict[int, Path]:
    """Return whole parts by index; what is not whole is taken away."""
    found: dict[int, Path] = {}
    for path in sorted(job.folder.iterdir()):
        match = PART.match(path.name)
        if match and sha256_file(path, anew=True) == match["sha256"] and int(match["index"]) < job.parts:
            found[int(match["index"])] = path
        elif path.name != "job.json":
            path.unlink()
    return found


def _write_part(job: Job, index: int, texts: Sequence[str], encoded: Encoded) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.large_string()
    n, d = encoded.vectors.shape
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(encoded.vectors.reshape(-1), pa.float32()), d)
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # as the encoder reads lone surrogates
    columns = {
        "text": pa.array(clean, text),
        "rationale": pa.nulls(n, text) if encoded.rationales is None else pa.array(encoded.rationales, text),
        "rationale_cut": pa.nulls(n, pa.bool_()) if encoded.cut is None else pa.array(encoded.cut, pa.bool_()),
        "vector": vectors,
    }
    temporary = job.folder / f".part-{index:06d}.tmp"
    pq.write_table(pa.table(columns), temporary)
    return _settle(temporary, job.folder / f"part-{index:06d}-{sha256_file(temporary, anew=True)}.parquet")


def _join(job: Job, parts: list[Path]) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(parts[0]).with_metadata({METADATA_KEY: _identity_bytes(job)})
    temporary = job.folder / ".whole.tmp"
    with pq.ParquetWriter(temporary, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).replace_schema_metadata(schema.metadata))
    _settle(temporary, job.out)


def _settle(temporary: Path, target: Path) -> Path:
    """Rename a whole file into place, its content on the disk first."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    return target


def _identity_bytes(job: Job) -> bytes:
    return json.dumps(job.identity(), sort_keys=True, indent=1).encode("ascii")


def _changed(before: bytes, now: dict[str, Any]) -> str:
    """Return which entries differ, for people."""
    try:
        then = json.loads(before)
    except ValueError:
        return "its job.json is damaged"
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return "other " + ", ".join(names)
