"""How much the best of n rationales a text would gain at test time over any one of them: room that a policy has.

    python benchmarks/oracle.py CANDIDATE --pairs FILE [--triplets FILE] [--n 8] [--items 300] [-o KEY=VALUE]

CANDIDATE is named as for `grace explain`, and writes rationales (`-o kind=rationale` reads another so). FILE is
development data, never a test split: `--pairs` has sentence1, sentence2 and score, `--triplets` query, positive and
negative (.jsonl, .jsonl.gz, .parquet). n rationales a text are drawn at `generation.temperature` (1.0 where -o says
nothing), each with a seed of its own.

Pairs are judged by Spearman's correlation. The oracle knows the score: of all combinations of m rationales of the one
text and m of the other it takes the one whose cosine is nearest to where the pair's score would put it among the mean
cosines of all pairs. Triplets are judged by how often the positive is nearer than the negative, and by the margin; of
query and positive the oracle takes what brings them nearest together and farthest from the negative, whose rationale is
one that was drawn. No policy can choose better than that by these data; one that learns can do no more than approach it
on others. Much of an oracle's gain is picked out of noise: a small one rules a policy out, a large one promises none.
So pairs are judged once more with every pair given the spread of another pair's cosines around its own mean: where that
gains as much, the room is the spread's and not the rationales'.

`best of 1` is the mean over all single draws, and the difference is to that, over the same items: intervals of 95 %, by
bootstrap over items. Best of m is averaged over the n runs of m draws in a circle, so that no draw counts more.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.candidates.named import named_candidate
from harness.cli.options import sources_of
from harness.digests import write_atomically
from harness.encoders.loading import load
from harness.environment import without_bars
from harness.errors import HarnessError, InputError
from harness.row_files import json_rows, parquet_rows
from harness.statistics.resampling import interval_of_values, resamples, spearman_statistic
from harness.suite.overrides import apply_overrides
from harness.yaml_source import Position, from_plain

Floats = NDArray[np.float64]
Counts = NDArray[Any]
Statistic = Callable[[Counts], Floats]
"""(B, items) how often each item is drawn -> (B,) values."""
SAMPLES = 1000
TEMPERATURE = 1.0
"""At which rationales are drawn where nobody says another."""
PAIR, TRIPLET = ("sentence1", "sentence2", "score"), ("query", "positive", "negative")


def main() -> int:
    """Write, choose, print; returns the exit code."""
    told = _arguments()
    try:
        return _run(told)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)


def _run(told: argparse.Namespace) -> int:
    without_bars()
    given = {name: path for name, path in (("pairs", told.pairs), ("triplets", told.triplets)) if path is not None}
    if not given:
        raise InputError(["nothing to judge by: give --pairs FILE, --triplets FILE, or both"])
    if told.n < 2:
        raise InputError([f"--n {told.n}: the best of 2 rationales at least is asked for"])
    rows = {name: rows_of(path, PAIR if name == "pairs" else TRIPLET, told.items) for name, path in given.items()}
    if told.pairs is not None:
        refuse_one_score([row["score"] for row in rows["pairs"]], f"{told.pairs}:", "pairs")
    texts = sorted({value for one in rows.values() for row in one for value in row.values() if isinstance(value, str)})
    vectors, tokens = written(told, texts)
    print(f"{told.n} rationales for each of {len(texts)} texts: {tokens} tokens generated\n")
    found = {}
    for name, own in rows.items():
        at = [[texts.index(row[key]) for row in own] for key in (PAIR[:2] if name == "pairs" else TRIPLET)]
        chosen = [vectors[:, places] for places in at]
        of = of_pairs(*chosen, np.array([row["score"] for row in own])) if name == "pairs" else of_triplets(*chosen)
        for measure, statistics in of.items():
            found[f"{name}: {measure}"] = table = judged(statistics, len(own))
            print(f"{name}: {measure}, {len(own)} items\n{shown(table)}\n")
    if told.out is not None:
        about = {"candidate": told.candidate, "n": told.n, "generated_tokens": tokens, "results": found}
        write_atomically(told.out, f"{json.dumps(about, indent=1)}\n".encode())
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidate")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--triplets", type=Path)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--items", type=int, default=300, help="the first so many of each file")
    parser.add_argument("-o", dest="override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser.parse_args()


def rows_of(path: Path, columns: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the first rows of a file, of each its `columns`; raises InputError with every problem."""
    problems: list[str] = []
    rows = []
    for row in (parquet_rows if path.suffix == ".parquet" else json_rows)(path, problems):
        if len(rows) == most:
            break
        own = {name: row.values.get(name) for name in columns}
        wrong = [name for name, value in own.items() if not isinstance(value, int | float if name == "score" else str)]
        problems += [f"{row.place}: {name}: expected {'a number' if name == 'score' else 'text'}" for name in wrong]
        rows.append(own)
    if problems or len(rows) < 2:
        raise InputError(problems or [f"{path}: {len(rows)} row(s); two at least are needed"])
    return rows


def refuse_one_score(scores: Sequence[float], where: str, what: str) -> None:
    """Raise InputError where all scores are one: nothing can be more like them, or less."""
    if len(set(scores)) == 1:
        why = f"the score of all {len(scores)} {what} is {scores[0]!r}: there is no order to judge by"
        raise InputError([f"{where} {why}; give pairs that are scored apart"])


def written(told: argparse.Namespace, texts: list[str]) -> tuple[Floats, int]:
    """Return the vector of each text with each of n rationales at length 1, (n, texts, d), and the tokens they took."""
    candidate = named_candidate(told.candidate, sources_of(told.hub, told.offline), drawing(told.override))
    if not candidate.draws_random_numbers or candidate.kind != "rationale":
        raise InputError([f"{told.candidate}: it draws nothing at random: a temperature above 0, and kind rationale"])
    found, tokens = [], 0
    for seed in range(told.n):
        encoder = load(candidate, seed=seed)
        vectors = encoder.encode(texts).astype(np.float64)
        tokens += int(encoder.take_details().get("tokens_generated", 0))
        found.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return np.stack(found), tokens


def drawing(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of the command line, with a temperature where they say none."""
    said = apply_overrides(from_plain({}, Position("-o")), overrides).plain()
    generation = said.get("generation") if isinstance(said, dict) else None
    has_temperature = isinstance(generation, dict) and "temperature" in generation
    return [*overrides] if has_temperature else [*overrides, f"generation.temperature={TEMPERATURE}"]


def of_pairs(first: Floats, second: Floats, scores: Floats) -> dict[str, list[list[Statistic]]]:
    """Return Spearman's correlation for m = 1..n, a statistic for each run of m draws in a circle.

    Args:
        first, second: (n, items, d) at length 1.
        scores: (items,) gold.
    """
    cosines = np.einsum("kid,lid->ikl", first, second)  # (items, n, n)
    wanted = targets(cosines.mean(axis=(1, 2)), scores)
    means = cosines.mean(axis=(1, 2), keepdims=True)
    foreign = means + np.roll(cosines - means, 1, axis=0)
    found, n = {}, len(first)
    for name, own in (("Spearman x 100", cosines), ("Spearman x 100, each pair with another's spread", foreign)):
        chosen = [[nearest(own[:, run][:, :, run], wanted) for run in runs(n, m)] for m in range(1, n + 1)]
        found[name] = [[_hundredfold(spearman_statistic(one, scores)) for one in of_m] for of_m in chosen]
    return found


def targets(means: Floats, scores: Floats) -> Floats:
    """Return where each score would put its pair among the mean cosines, (items,); equal scores share their place."""
    order = np.argsort(scores, kind="stable")
    found = np.empty_like(means)
    found[order] = np.sort(means)
    for score in np.unique(scores):
        found[scores == score] = found[scores == score].mean()
    return found


def nearest(cosines: Floats, wanted: Floats) -> Floats:
    """Return of each item's (m, m) cosines the one nearest to its target, (items,)."""
    flat = cosines.reshape(len(cosines), -1)
    return flat[np.arange(len(flat)), np.abs(flat - wanted[:, None]).argmin(axis=1)]


def of_triplets(queries: Floats, positives: Floats, negatives: Floats) -> dict[str, list[list[Statistic]]]:
    """Return accuracy and margin for m = 1..n, a statistic for each run of m draws in a circle.

    Args:
        queries, positives, negatives: (n, items, d) at length 1.
    """
    near = np.einsum("kid,lid->ikl", queries, positives)
    far = np.einsum("kid,lid->ikl", queries, negatives)
    n = len(queries)
    chosen = [[best_margins(near, far, run) for run in runs(n, m)] for m in range(1, n + 1)]
    right = [[(one > 0).astype(np.float64) for one in own] for own in chosen]
    return {
        "positive nearer than negative, %": [[_hundredfold(_mean(one)) for one in own] for own in right],
        "margin x 100": [[_hundredfold(_mean(one)) for one in own] for own in chosen],
    }


def best_margins(near: Floats, far: Floats, run: Sequence[int]) -> Floats:
    """Return cosine to the positive less that to the negative, (items,), of the best query and positive of a run.

    Args:
        near, far: (items, n, n) cosines of query and positive, of query and negative.
        run: the draws that there are; the negative has the first of them.
    """
    margins = near[:, run][:, :, run] - far[:, run, run[0]][:, :, None]
    best: Floats = margins.reshape(len(margins), -1).max(axis=1)
    return best


def runs(n: int, m: int) -> list[list[int]]:
    """Return the runs of m of n draws in a circle; one where it is all of them."""
    return [[(start + step) % n for step in range(m)] for start in range(n if m < n else 1)]


def judged(statistics: Sequence[Sequence[Statistic]], items: int) -> list[dict[str, float]]:
    """Return for each m the value, and its difference to the mean single draw with its interval."""
    once, counts = np.ones((1, items)), resamples(items, np.random.default_rng(0), SAMPLES)
    values = [float(np.mean([one(once)[0] for one in own])) for own in statistics]
    drawn = [np.mean([one(counts) for one in own], axis=0) for own in statistics]
    table = []
    for m, (value, sample) in enumerate(zip(values, drawn, strict=True), start=1):
        interval = interval_of_values(sample - drawn[0])
        assert interval is not None
        gain = {"gain": value - values[0], "low": interval.low, "high": interval.high}
        table.append({"best_of": m, "value": value, **gain})
    return table


def shown(table: Sequence[dict[str, float]]) -> str:
    """Return the table for people."""
    head = "best of   value    gain over one, 95 %"
    lines = [
        f"{row['best_of']:7.0f} {row['value']:7.2f} {row['gain']:+8.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
        for row in table
    ]
    return "\n".join([head, *lines])


def _mean(values: Floats) -> Statistic:
    return lambda counts: (counts @ values) / counts.sum(axis=1)


def _hundredfold(statistic: Statistic) -> Statistic:
    return lambda counts: 100 * statistic(counts)


if __name__ == "__main__":
    sys.exit(main())
