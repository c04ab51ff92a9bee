"""Is a rationale worth its tokens for every text? Post hoc on vectors: who thinks, chosen on development pairs alone.

    python benchmarks/think_or_not.py CANDIDATE --pairs FILE [--held-out FILE] [--cache DIR] [--out FILE] [-o KEY=VALUE]

CANDIDATE is named as for `grace explain`, and reads rationales (`-o kind=rationale` reads another so). FILE has
sentence1, sentence2 and score (.jsonl, .jsonl.gz, .parquet). Without --held-out the pairs are split by --seed, those
that share a text into one part. Each text has two vectors: alone (`ablation: text-only`, the same prompt without a
rationale) and with its rationale; with --cache they are kept, and a second run loads no model.

    always, never    every text thinks, or none
    mean             mean of both vectors at length 1: pays for every rationale
    short, long      texts of at most, or more than, n tokens think
    router           ridge regression on (vector alone, tokens) predicts what a text gains; it thinks above a threshold
    oracle           knows the score: of the four ways to read a pair, the one whose cosine is nearest to where the
                     score would put it among the means of the four. Much of its gain is picked out of noise.

What a pair gains: with r the rank of its cosine and g that of its score, both at mean 0 and variance 1 over the
development pairs, (r - g)^2 without rationales less the same with both. Its mean is exactly twice the difference of the
two Spearman correlations. Both texts of a pair are given its gain. n, the strength of the ridge and its threshold are
those of the best Spearman on development pairs, at a tie those of fewest rationales; predictions there come from five
folds over pairs, and the router that is judged is fitted on all of them. Entropies of first tokens are not among its
inputs: they are not kept with vectors, and would cost a pass of their own.

Judged on held-out pairs: Spearman x 100, and paired differences to always and never; intervals of 95 %, by bootstrap
over pairs. Tokens are those generated, a text of the pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import oracle
from numpy.typing import NDArray

from harness.candidates.candidate import Candidate
from harness.candidates.named import named_candidate
from harness.cli.options import sources_of
from harness.digests import digest, write_atomically
from harness.encoders.loading import load
from harness.encoders.rationale.template import tokenise
from harness.environment import without_bars
from harness.errors import HarnessError, InputError
from harness.evaluation.made_by import maker_of
from harness.statistics.resampling import interval_of_values, resamples, spearman_statistic

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]
"""(pairs, 2): which texts think."""
SAMPLES = 2000
FOLDS = 5
STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
CUTS = 20
"""Thresholds that are tried: quantiles of what decides, so many parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What is known of texts, in their order."""

    alone: Floats
    """(texts, d): vectors of the texts alone, as the encoder gives them."""
    thinking: Floats
    """(texts, d): with rationales."""
    tokens: Floats
    """(texts,): of the text."""
    generated: Floats
    """(texts,): of the rationale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Judged pairs."""

    read: Read
    at: NDArray[np.int64]
    """(pairs, 2): which texts."""
    scores: Floats
    """(pairs,) gold."""

    def cosines(self, thinks: Chosen) -> Floats:
        """Return each pair's cosine where these texts think, (pairs,)."""
        return cosines(chosen_vectors(self, thinks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who thinks: made from development pairs, then asked about others."""

    thinks: Callable[[Pairs], Chosen]
    about: Mapping[str, Any]
    """What was chosen, as JSON."""
    is_mean: bool = False
    """Whether both vectors are averaged."""

    def values(self, pairs: Pairs) -> Floats:
        """Return the cosines that pairs are judged by, (pairs,)."""
        return cosines(mean_vectors(pairs)) if self.is_mean else pairs.cosines(self.thinks(pairs))


def chosen_vectors(pairs: Pairs, thinks: Chosen) -> Floats:
    """Return (pairs, 2, d): of each text the vector with its rationale where it thinks, else alone."""
    return np.where(thinks[:, :, None], pairs.read.thinking[pairs.at], pairs.read.alone[pairs.at])


def mean_vectors(pairs: Pairs) -> Floats:
    """Return (pairs, 2, d): the mean of each text's two vectors, each at length 1 before."""
    return (unit(pairs.read.alone[pairs.at]) + unit(pairs.read.thinking[pairs.at])) / 2


def unit(vectors: Floats) -> Floats:
    """Return vectors at length 1."""
    found: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def cosines(vectors: Floats) -> Floats:
    """Return the cosine of each two vectors, (pairs, 2, d) -> (pairs,)."""
    found: Floats = unit(vectors).prod(axis=1).sum(axis=-1)
    return found


def all_of(thinks: bool) -> Callable[[Pairs], Chosen]:
    """Return the policy by which every text thinks, or none."""
    return lambda pairs: np.full(pairs.at.shape, thinks)


def gains(pairs: Pairs) -> Floats:
    """Return what rationales gain a pair, (pairs,); the head of this file has the formula."""
    gold = _ranked(pairs.scores)
    never, always = (_ranked(pairs.cosines(all_of(thinks)(pairs))) for thinks in (False, True))
    found: Floats = (never - gold) ** 2 - (always - gold) ** 2
    return found


def choose(dev: Pairs) -> dict[str, Policy]:
    """Return every policy but the oracle, settled on development pairs alone."""
    return {
        "always": Policy(thinks=all_of(True), about={}),
        "never": Policy(thinks=all_of(False), about={}),
        "mean": Policy(thinks=all_of(True), about={}, is_mean=True),
        "short": _by_length(dev, sign=-1.0),
        "long": _by_length(dev, sign=1.0),
        "router": _router(dev),
    }


def _by_length(dev: Pairs, *, sign: float) -> Policy:
    """Return the rule on the number of tokens; sign 1: long texts think, -1: short ones."""
    cut, score = best_cut(dev, sign * dev.read.tokens[dev.at])
    said = {"thinks_if_tokens": f"{'>' if sign > 0 else '<'} {sign * cut:g}", "development": score}
    return Policy(thinks=lambda pairs: sign * pairs.read.tokens[pairs.at] > cut, about=said)


def _router(dev: Pairs) -> Policy:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs, gain = _inputs(dev), np.repeat(gains(dev), 2)
    groups, folds = np.repeat(np.arange(len(dev.at)), 2), GroupKFold(min(FOLDS, len(dev.at)))
    found = []
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), Ridge(strength))
        predicted = cross_val_predict(model, inputs, gain, groups=groups, cv=folds).reshape(dev.at.shape)
        cut, score = best_cut(dev, predicted)
        found.append((score, strength, cut))
    score, strength, cut = max(found)  # at a tie the strongest: it says least
    fitted = make_pipeline(StandardScaler(), Ridge(strength)).fit(inputs, gain)
    said = {"strength": strength, "thinks_if_gain_above": f"{cut:g}", "development": score}
    return Policy(thinks=lambda pairs: fitted.predict(_inputs(pairs)).reshape(pairs.at.shape) > cut, about=said)


def _inputs(pairs: Pairs) -> Floats:
    """Return what the router sees of each text, (2 pairs, d + 1)."""
    places = pairs.at.ravel()
    return np.column_stack([unit(pairs.read.alone[places]), pairs.read.tokens[places]])


def best_cut(dev: Pairs, values: Floats) -> tuple[float, float]:
    """Return the threshold above which texts think and its Spearman; at a tie the fewest think. (pairs, 2) values."""
    cuts = sorted({-np.inf, *np.quantile(values, np.linspace(0, 1, CUTS + 1)).tolist()})
    scored = [(spearman(dev.cosines(values > cut), dev.scores), cut) for cut in cuts]
    score, cut = max(scored)
    return float(cut), score


def oracle_of(pairs: Pairs) -> Chosen:
    """Return who thinks, (pairs, 2), for whoever knows the scores."""
    ways = [np.tile(way, (len(pairs.at), 1)) for way in ((False, False), (True, False), (False, True), (True, True))]
    each = np.stack([pairs.cosines(way) for way in ways], axis=1)  # (pairs, 4)
    wanted = oracle.targets(each.mean(axis=1), pairs.scores)
    best = np.abs(each - wanted[:, None]).argmin(axis=1)
    return np.stack(ways)[best, np.arange(len(best))]


def judged(policies: Mapping[str, Policy], held: Pairs) -> list[dict[str, Any]]:
    """Return a row a policy over held-out pairs, the oracle last."""
    everyone = {**policies, "oracle": Policy(thinks=oracle_of, about={})}
    counts = resamples(len(held.at), np.random.default_rng(0), SAMPLES)
    once = np.ones((1, len(held.at)))
    of = {name: spearman_statistic(policy.values(held), held.scores) for name, policy in everyone.items()}
    drawn = {name: 100 * one(counts) for name, one in of.items()}
    value = {name: 100 * float(one(once)[0]) for name, one in of.items()}
    rows = []
    for name, policy in everyone.items():
        thinks = policy.thinks(held)
        tokens = float((held.read.generated[held.at] * thinks).mean())
        row = {"policy": name, "score": value[name], **_ends(drawn[name]), "thinks": float(thinks.mean())}
        row |= {"tokens": tokens, "chosen": dict(policy.about)}
        for other in ("always", "never"):
            row[f"to {other}"] = {"value": value[name] - value[other], **_ends(drawn[name] - drawn[other])}
        rows.append(row)
    return rows


def _ends(sample: Floats) -> dict[str, float]:
    """Return the ends of an interval; nan where no resample has a value, as of a model whose vectors are one."""
    interval = interval_of_values(finite) if (finite := sample[np.isfinite(sample)]).size else None
    if interval is None:
        return {"low": float("nan"), "high": float("nan")}
    return {"low": interval.low, "high": interval.high}


def spearman(values: Floats, scores: Floats) -> float:
    """Return Spearman's correlation; -1 where one side is constant."""
    found = float(spearman_statistic(values, scores)(np.ones((1, len(values))))[0])
    return found if np.isfinite(found) else -1.0


def _ranked(values: Floats) -> Floats:
    from scipy.stats import rankdata

    ranks = rankdata(values)
    found: Floats = (ranks - ranks.mean()) / max(ranks.std(), np.finfo(np.float64).tiny)
    return found


def split(at: NDArray[np.int64], seed: int) -> Chosen:
    """Return which pairs are held out, (pairs,): about half, and no text is in both parts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts = int(at.max()) + 1
    links = coo_array((np.ones(len(at)), (at[:, 0], at[:, 1])), shape=(texts, texts))
    of_text = connected_components(links, directed=False)[1]
    is_held = np.random.default_rng(seed).permutation(int(of_text.max()) + 1) % 2 == 1
    found: Chosen = is_held[of_text[at[:, 0]]]
    return found


def read_texts(candidate: Candidate, texts: list[str], cache: Path | None) -> Read:
    """Return both vectors of each text, from `cache` where they are in it, of this candidate and these packages."""
    named = candidate.fingerprint()
    about = {"candidate": named, "made_by": maker_of(candidate, seed=0), "texts": texts, "version": 1}
    file = cache / f"{digest(about)}.npz" if cache is not None and named is not None else None
    if file is not None and file.is_file():
        with np.load(file) as kept:
            return Read(**{name: kept[name] for name in Read.__dataclass_fields__})
    encoder: Any = load(candidate).inner
    whole = encoder.write(texts, prompt=None)
    tokens = [len(ids) for ids in tokenise(encoder.tokenizer, texts)]
    del encoder
    spec: Any = candidate.spec
    bare = load(replace(candidate, spec=spec.model_copy(update={"ablation": "text-only"})))
    found = Read(
        alone=bare.encode(texts).astype(np.float64),
        thinking=np.stack([one.vector for one in whole]).astype(np.float64),
        tokens=np.array(tokens, dtype=np.float64),
        generated=np.array([len(one.about["ids"]) for one in whole], dtype=np.float64),
    )
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, **{name: getattr(found, name) for name in Read.__dataclass_fields__})
        part.replace(file)
    return found


def shown(rows: list[dict[str, Any]]) -> str:
    """Return the table for people."""
    lines = ["policy   Spearman x 100, 95 %     think  tokens   to always               to never"]
    for row in rows:
        to = [
            f"{one['value']:+6.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"
            for one in (row["to always"], row["to never"])
        ]
        score = f"{row['score']:6.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(f"{row['policy']:8} {score:22} {row['thinks']:6.0%} {row['tokens']:7.1f}   {to[0]:23} {to[1]}")
    return "\n".join(lines)


def main() -> int:
    """Read, choose, judge, print; returns the exit code."""
    told = _arguments()
    try:
        return _run(told)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)


def _run(told: argparse.Namespace) -> int:
    without_bars()
    files = [told.pairs, *([told.held_out] if told.held_out else [])]
    parts = [oracle.rows_of(path, oracle.PAIR, told.items) for path in files]
    rows = [row for part in parts for row in part]
    texts = sorted({row[key] for row in rows for key in oracle.PAIR[:2]})
    place = {text: index for index, text in enumerate(texts)}
    at = np.array([[place[row[key]] for key in oracle.PAIR[:2]] for row in rows])
    is_held = np.arange(len(rows)) >= len(parts[0]) if told.held_out else split(at, told.seed)
    if min(is_held.sum(), (~is_held).sum()) < 2:
        raise InputError(
            [f"{told.pairs}: too few pairs to split (those that share a text stay together); give --held-out"]
        )
    scores = np.array([row["score"] for row in rows], dtype=np.float64)
    for part, what in ((~is_held, "development pairs"), (is_held, "pairs held out")):
        where = told.held_out if told.held_out and part is is_held else told.pairs
        oracle.refuse_one_score(scores[part].tolist(), f"{where}:", what)
    candidate = named_candidate(told.candidate, sources_of(told.hub, told.offline), told.override)
    if candidate.kind != "rationale":
        raise InputError([f"{told.candidate}: it reads no rationales: -o kind=rationale, or another candidate"])
    read = read_texts(candidate, texts, told.cache)
    dev, held = (Pairs(read=read, at=at[part], scores=scores[part]) for part in (~is_held, is_held))
    table = judged(choose(dev), held)
    print(f"{len(texts)} texts; {len(dev.at)} development pairs, {len(held.at)} held out\n\n{shown(table)}")
    for row in table:
        if row["chosen"]:
            print(f"{row['policy']}: {json.dumps(row['chosen'])}")
    if told.out is not None:
        about = {"candidate": told.candidate, "development": len(dev.at), "held_out": len(held.at), "policies": table}
        write_atomically(told.out, f"{json.dumps(about, indent=1)}\n".encode())
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidate")
    parser.add_argument("--pairs", type=Path, required=True, help="development pairs, or all of them")
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--items", type=int, default=2000, help="the first so many of each file")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--cache", type=Path, help="a folder for vectors")
    parser.add_argument("-o", dest="override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
