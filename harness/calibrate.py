"""How fast a model encodes here: short and long texts of the demo data, timed once and remembered for the machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.candidates import Candidate
from harness.cost import Pace
from harness.digests import sha256_text, user_cache, write_atomically
from harness.suite_load import shipped_folder

SHORT_TEXTS = 96
LONG_TEXTS = 32


def known_pace(candidate: Candidate) -> Pace | None:
    """Return the pace measured before for this candidate on this machine, or None."""
    path = _path(candidate)
    if path is None or not path.is_file():
        return None
    return Pace(**json.loads(path.read_text(encoding="utf-8")))


def measure(candidate: Candidate, *, seed: int = 0) -> Pace:
    """Load a candidate, time it on short and on long texts, and remember the pace.

    Two runs with different lengths give the two unknowns of seconds = texts x a + tokens x b; an a or b below 0, which
    noise can make, is taken as 0 and the other fitted alone.
    """
    from harness import encoders

    started = time.perf_counter()
    encoder = encoders.load(candidate, seed=seed)
    load_seconds = time.perf_counter() - started
    short, long = (
        _texts("sts/test.jsonl", "sentence1", SHORT_TEXTS),
        _texts("retrieval/corpus.jsonl", "text", LONG_TEXTS),
    )
    encoder.prepare(lambda: [*short, *long])
    encoder.encode(short[:8])  # the first call pays for lazy initialisation
    rows = [_timed(encoder, texts) for texts in (short, long)]
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
    )
    path = _path(candidate)
    if path is not None:
        write_atomically(path, json.dumps(asdict(pace)).encode("utf-8"))
    return pace


def stated(tokens_per_second: float) -> Pace:
    """Return the pace a user states."""
    return Pace(
        seconds_per_text=0.0,
        seconds_per_token=1 / tokens_per_second,
        load_seconds=0.0,
        dimension=None,
        max_text_tokens=None,
        source=f"stated: {tokens_per_second:g} tokens/s",
    )


def _timed(encoder: object, texts: Sequence[str]) -> tuple[int, float, float]:
    """Return (texts, estimated tokens, seconds) of one call, the better of two."""
    from harness.cost import CHARACTERS_PER_TOKEN
    from harness.encoders.checked import CheckedEncoder

    assert isinstance(encoder, CheckedEncoder)  # noqa: S101
    best = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        encoder.encode(texts)
        best = min(best, time.perf_counter() - started)
    tokens = sum(len(text) for text in texts) / CHARACTERS_PER_TOKEN + 2 * len(texts)
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
    fingerprint = candidate.fingerprint()
    if fingerprint is None:
        return None
    machine = f"{platform.node()} {platform.machine()} {os.cpu_count()} {candidate.spec.device}"
    return user_cache() / "pace" / f"{sha256_text(f'{fingerprint} {machine}')[:32]}.json"
