"""How fast a model works here: texts and prompts of the demo data, timed once and remembered for the machine.

Embedding is timed on short and on long texts, rationales included and their cache left out. A language model is timed
on the ability axis's own code besides (`calibrate_language.py`).
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.candidates.candidate import Candidate
from harness.cost.calibrate_language import language_pace
from harness.cost.pace import MEAN_CHARACTERS_PER_TOKEN, LanguagePace, Pace
from harness.cost.work import Habits
from harness.digests import keep, sha256_text, user_cache
from harness.encoders.batching import CPU_BATCH_TOKENS
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.errors import EncoderOutputError
from harness.suite.shipped import shipped_folder
from harness.tasks.types import Role

SHORT_TEXTS = 96
LONG_TEXTS = 32
WRITTEN_SHORT_TEXTS = 32
"""Of an encoder that writes rationales, which takes a hundred times longer."""
WRITTEN_LONG_TEXTS = 12
FORMAT = "4"
"""Of the remembered paces; raised when they mean something else."""


def known_pace(candidate: Candidate) -> Pace | None:
    """Return the pace measured before for this candidate on this machine, or None."""
    path = _path(candidate)
    if path is None or not path.is_file():
        return None
    raw = json.loads(path.read_text(encoding="utf-8"))
    language = raw["language"]
    if language:
        language = LanguagePace(**language | {"habits": Habits(**language["habits"])})
    return Pace(**raw | {"language": language})


def measure(candidate: Candidate, *, seed: int = 0) -> Pace:
    """Load a candidate, time it on short and on long texts, and remember the pace.

    Two runs with different lengths give the two unknowns of seconds = texts x a + tokens x b; an a or b below 0, which
    noise can make, is taken as 0 and the other fitted alone.
    """
    started = time.perf_counter()
    encoder = load(candidate, seed=seed, use_cache=False)
    load_seconds = time.perf_counter() - started
    writes = encoder.take_details() is not None
    short = _texts("sts/test.jsonl", "sentence1", WRITTEN_SHORT_TEXTS if writes else SHORT_TEXTS)
    long = _texts("retrieval/corpus.jsonl", "text", WRITTEN_LONG_TEXTS if writes else LONG_TEXTS)
    encoder.prepare(lambda: [*short, *long])
    role = _role(encoder)
    encoder.encode(short[:8], role=role)  # the first call pays for lazy initialisation
    encoder.take_details()
    rows = [_timed(encoder, texts, role, rounds=1 if writes else 2) for texts in (short, long)]
    details = encoder.take_details()
    per_text, per_token = _solve(rows)
    about = encoder.describe()
    where = f"{platform.node()} {about.get('device', 'cpu')}"
    pace = Pace(
        seconds_per_text=per_text,
        seconds_per_token=per_token,
        load_seconds=load_seconds,
        dimension=about.get("dimension"),
        max_text_tokens=about.get("max_text_tokens"),
        source=f"measured {datetime.now(UTC).date()} on {where}",
        generated_per_text=details["tokens_generated"] / details["rationales"] if details else None,
        language=language_pace(encoder) if candidate.has_language_model else None,
    )
    path = _path(candidate)
    if path is not None:
        keep(path, json.dumps(asdict(pace)).encode("utf-8"))
    return pace


def stated(
    tokens_per_second: float,
    generated_per_second: float | None = None,
    *,
    dimension: int | None = None,
    load_seconds: float = 0.0,
) -> Pace:
    """Return the pace a user states.

    Args:
        tokens_per_second: read.
        generated_per_second: and written; None: not stated.
        dimension: of vectors; None: not stated.
        load_seconds: until the model is loaded.
    """
    writing = f", {generated_per_second:g} written/s" if generated_per_second else ""
    loading = f", loaded in {load_seconds:g} s" if load_seconds else ""
    return Pace(
        seconds_per_text=0.0,
        seconds_per_token=1 / tokens_per_second,
        load_seconds=load_seconds,
        dimension=dimension,
        max_text_tokens=None,
        source=f"stated: {tokens_per_second:g} tokens/s{writing}{loading}",
        language=LanguagePace(
            seconds_per_prompt_token=1 / tokens_per_second,
            seconds_per_step=0.0,
            seconds_per_generated_token=1 / generated_per_second if generated_per_second else None,
            batch_tokens=CPU_BATCH_TOKENS,
        ),
    )


def _role(encoder: CheckedEncoder) -> Role | None:
    """Return a role that the model reads texts in: none, save where it must be told which of its towers to take."""
    try:
        encoder.check_role(None)
    except EncoderOutputError:
        return "document"
    return None


def _timed(
    encoder: CheckedEncoder, texts: Sequence[str], role: Role | None, *, rounds: int
) -> tuple[int, float, float]:
    """Return (texts, estimated tokens, seconds) of one call, the best of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        encoder.encode(texts, role=role)
        best = min(best, time.perf_counter() - started)
    tokens = sum(len(text) for text in texts) / MEAN_CHARACTERS_PER_TOKEN + 2 * len(texts)
    return len(texts), tokens, best


def _solve(rows: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Return (a, b) of seconds = texts x a + tokens x b through two measurements, neither below 0."""
    (n1, t1, s1), (n2, t2, s2) = rows
    determinant = n1 * t2 - n2 * t1
    per_text = (s1 * t2 - s2 * t1) / determinant
    per_token = (n1 * s2 - n2 * s1) / determinant
    if per_text < 0:
        return 0.0, (s1 + s2) / (t1 + t2)
    if per_token < 0:
        return (s1 + s2) / (n1 + n2), 0.0
    return per_text, per_token


def _texts(file: str, column: str, count: int) -> list[str]:
    lines = (shipped_folder() / "data" / file).read_text(encoding="utf-8").splitlines()
    texts = dict.fromkeys(json.loads(line)[column] for line in lines)
    return list(texts)[:count]


def _path(candidate: Candidate) -> Path | None:
    fingerprint = candidate.whole().fingerprint()  # all sizes of its vectors are made at one pace
    if fingerprint is None:
        return None
    machine = f"{FORMAT} {platform.node()} {platform.machine()} {os.cpu_count()} {candidate.spec.device}"
    return user_cache() / "pace" / f"{sha256_text(f'{fingerprint} {machine}')[:32]}.json"
