"""How often the 95 % intervals hold the truth, how often "retained" is wrong, how many discoveries are false.

Run: python benchmarks/retention_simulation.py [--trials 2000] [--only proportions,retained,means,...] [--seed 0]

A row is a count over data sets drawn from a known truth: --trials of them, ten times as many for nats. Of items that
are right or wrong every table that may come up is reckoned with its chance instead: such rows are exact. Nominal: 95 %
coverage; at most 5 % "retained" at a true loss of exactly the margin; at most 5 % of discoveries false. For 2000 trials
at 95 % chance alone moves a row by about +- 1.0 points.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.stats import binom

from harness.backends.mteb.pools import pool_scores, rows_of_draws
from harness.comparison import retention
from harness.comparison.losses import LEVEL, Evidence, p_kept, p_lost
from harness.comparison.retention import TaskRetention, judge, judge_axis
from harness.statistics.conventions import NORMAL_QUANTILE
from harness.statistics.difference import Difference, adjusted, mean_difference
from harness.statistics.items import ItemStatistic, of_columns
from harness.statistics.paired import Estimate, Part, Rounds, of_proportions, of_spread, of_statistics, spread_of_means
from harness.statistics.proportions import score_statistic
from harness.statistics.resampling import resamples
from harness.statistics.tails import shape

MARGIN, NATS_MARGIN = 0.5, 0.01
NATS_TRIALS = 10
"""Times as many data sets where the tail matters."""
POOL_TRIALS = 5
"""Times fewer where every data set takes 220 clusterings."""
NEIGHBOURS = 3
Generator = np.random.Generator


class Row(NamedTuple):
    """One line of the output."""

    what: str
    setting: str
    hits: float
    """How many of the trials; of one where every table was reckoned."""
    trials: int

    def __str__(self) -> str:
        counted = "exactly" if self.trials == 1 else f"{self.hits:5.0f} of {self.trials:5}"
        return f"{self.what:42} {self.setting:48} {counted:>14} {100 * self.hits / self.trials:6.2f} %"


def of_means(parts: Sequence[Part]) -> Estimate | None:
    """Return the estimate for a mean of item scores from 0 to 1; None where a part has under two items."""
    return of_spread(spread_of_means(parts), 1.0)


def flips(rng: Generator, n: int, won: float, lost: float) -> tuple[int, int]:
    """Return wins and losses of n items."""
    wins, losses, _ = rng.multinomial(n, [won, lost, 1 - won - lost])
    return int(wins), int(losses)


def tables(n: int, won: float, lost: float) -> tuple[Any, Any, Any]:
    """Return (w, 1) wins, (1, l) losses and the (w, l) chance of each table that may come up (all but 1e-9)."""
    wins, losses = (np.arange(*binom.interval(1 - 1e-10, n, share)) for share in (won, lost))
    wins, losses = (np.append(one, one[-1] + 1 if len(one) else 0).astype(int) for one in (wins, losses))
    wins, losses = wins[:, None], losses[None, :]
    chance = binom.pmf(wins, n, won) * binom.pmf(losses, n - wins, lost / (1 - won))
    assert abs(chance.sum() - 1) < 1e-8
    return wins, losses, chance


def proportions(rng: Generator, trials: int) -> Iterator[Row]:
    """Tango's interval, exactly, beside the percentile bootstrap over items."""
    cases = (
        (100, 0.10, 0.15), (100, 0.05, 0.05), (300, 0.02, 0.03), (1000, 0.01, 0.02), (1000, 0.002, 0.002),
        (14000, 0.05, 0.055), (100, 0.005, 0.005),
    )  # fmt: skip
    for n, won, lost in cases:
        setting = f"n={n}, {100 * won:g} % won, {100 * lost:g} % lost"
        wins, losses, chance = tables(n, won, lost)
        held = np.abs(score_statistic(wins, losses, n, won - lost)) <= NORMAL_QUANTILE  # what the limits invert
        yield Row("flips: score interval (used)", setting, float(chance[held].sum()), 1)
        boot = 0
        for _ in range(trials):
            seen = flips(rng, n, won, lost)
            drawn = rng.multinomial(n, [seen[0] / n, seen[1] / n, 1 - sum(seen) / n], size=400)
            low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
            boot += low <= won - lost <= high
        yield Row("flips: percentile bootstrap", setting, boot, trials)
    for apart in (2, 3, 4):  # what can be had where hardly an item differs: the last setting
        held = np.abs(wins - losses) < apart
        yield Row(f"flips: 0 left out from {apart} more one way", setting, float(chance[held].sum()), 1)


def of_flips(wins: int, losses: int, n: int) -> Evidence:
    """Return evidence of right-or-wrong items."""
    return Evidence(
        measure="acc", unit="points", loss=100 * (losses - wins) / n, base=60.0, n=n, wins=wins, losses=losses,
        scale=100.0, base_right=round(0.6 * n),
    )  # fmt: skip


@lru_cache(maxsize=200_000)
def p_value(test: Callable[[Evidence, float], float], wins: int, losses: int, n: int) -> float:
    """Return the p-value that a verdict hangs on; tables repeat."""
    return test(of_flips(wins, losses, n), MARGIN)


@lru_cache(maxsize=200_000)
def judged(wins: int, losses: int, n: int) -> Any:
    """Return the judgement at the margin, without the search for how many items would decide; tables repeat."""
    with patch.object(retention, "needed", return_value=None):
        return judge(of_flips(wins, losses, n), MARGIN)


def retained(_rng: Generator, _trials: int) -> Iterator[Row]:
    """Wrong "retained" at a true loss of the margin, and wrong "lost" there: exactly."""
    for n in (100, 600, 1000, 5000):
        for won in (0.0, 0.002, 0.01, 0.05):
            setting = f"n={n}, {100 * won:g} % won, {100 * won + MARGIN:g} % lost"
            yield Row('flips: "retained" at the margin', setting, chance_of(p_kept, n, won), 1)
            yield Row('flips: "lost" at the margin', setting, chance_of(p_lost, n, won), 1)


def chance_of(test: Callable[[Evidence, float], float], n: int, won: float) -> float:
    """Return the chance that `test` decides at a true loss of the margin.

    For each number of wins the losses at which it changes its mind are looked for by halving; since its p-value need
    not be monotone there, the tables next to it are tried one by one.
    """
    wins, losses, chance = tables(n, won, won + MARGIN / 100)
    total = 0.0
    for row, win in enumerate(wins[:, 0]):

        def decides(column: int, win: int = int(win)) -> bool:
            lost = int(losses[0, column])
            return win + lost <= n and p_value(test, win, lost, n) <= LEVEL

        ends = decides(0), decides(losses.size - 1)
        low, high = 0, losses.size - 1
        while high - low > 1 and ends[0] != ends[1]:
            middle = (low + high) // 2
            low, high = (middle, high) if decides(middle) == ends[0] else (low, middle)
        decided = np.full(losses.size, ends[0])
        decided[high:] = ends[1]
        for column in range(max(0, low - NEIGHBOURS), min(losses.size, high + NEIGHBOURS + 1)):
            decided[column] = decides(column)
        total += float(chance[row][decided].sum())
    return total


def retained_means(rng: Generator, trials: int) -> Iterator[Row]:
    """Wrong "retained" of a continuous measure at the margin: skewed differences of nats per token."""
    draws: dict[str, Callable[[int], Any]] = {
        "normal": lambda n: rng.normal(0, 0.15, n),
        "skewed to losses (2.0)": lambda n: rng.gamma(1.0, 0.15, n) - 0.15,
        "skewed to losses (2.8)": lambda n: rng.gamma(0.5, 0.2, n) - 0.1,
        "skewed to losses (4.0)": lambda n: rng.gamma(0.25, 0.3, n) - 0.075,
        "skewed to gains (2.8)": lambda n: 0.1 - rng.gamma(0.5, 0.2, n),
        "long tails (t, 5 degrees of freedom)": lambda n: 0.1 * rng.standard_t(5, n),
        "log-normal losses (6.2)": lambda n: 0.1 * (rng.lognormal(0, 1, n) - np.exp(0.5)),
    }
    yield from wrongly_retained(draws, trials)


def retained_rare(rng: Generator, trials: int) -> Iterator[Row]:
    """The same where one item in twenty loses much and the others hardly move: few items may hold none of these."""
    draw: Callable[[int], Any] = lambda n: (  # noqa: E731
        np.where(rng.random(n) < 0.05, rng.exponential(0.5, n), rng.normal(0, 0.03, n)) - 0.025
    )
    yield from wrongly_retained({"one item in twenty loses much": draw}, trials)


def of_nats(losses: Any) -> Evidence:
    """Return the evidence of (n,) losses in nats."""
    n, tail = len(losses), shape(losses, len(losses) - 1.0)
    return Evidence(
        measure="nll", unit="nats", loss=float(losses.mean()), base=2.0, n=n, wins=int((losses < 0).sum()),
        losses=int((losses > 0).sum()), scale=float(np.abs(losses).max()),
        stderr=float(losses.std(ddof=1)) / np.sqrt(n), freedom=tail.freedom, skewness=tail.skewness,
        skewness_error=tail.error,
    )  # fmt: skip


def wrongly_retained(draws: dict[str, Callable[[int], Any]], trials: int) -> Iterator[Row]:
    """Count "retained" at a true loss of the margin; `draws` have a mean of 0 and are moved there."""
    for name, draw in draws.items():
        for n in (30, 100, 300, 1000):
            ours = plain = 0
            for _ in range(NATS_TRIALS * trials):
                apart = NATS_MARGIN + draw(n)
                seen = of_nats(apart)
                ours += p_kept(seen, NATS_MARGIN) <= LEVEL
                t = replace(seen, freedom=n - 1.0, skewness=0.0, skewness_error=0.0)
                plain += p_kept(t, NATS_MARGIN) <= LEVEL
            yield Row('nats: "retained" at the margin (used)', f"n={n}, {name}", ours, NATS_TRIALS * trials)
            yield Row("nats: the same by Student's t", f"n={n}, {name}", plain, NATS_TRIALS * trials)


def retained_axis(rng: Generator, trials: int) -> Iterator[Row]:
    """Wrong "retained" of the axis at a mean loss of exactly the margin over tasks of various sizes."""
    cases = {
        "one task at 2.5, four at 0": ((1000, 0.01, 0.035), *(((1000, 0.01, 0.01),) * 4)),
        "five tasks, each at the margin, nothing won": ((600, 0.0, 0.005),) * 5,
        "164, 1319, 1000 items, each at the margin": ((164, 0.02, 0.025), (1319, 0.02, 0.025), (1000, 0.02, 0.025)),
    }
    for name, tasks in cases.items():
        hits = 0
        for _ in range(trials):
            found = []
            for n, won, lost in tasks:
                one = judged(*flips(rng, n, won, lost), n)
                found.append(TaskRetention(task="t", verdict=one.verdict, main=one, nats=None))
            hits += judge_axis("m", "b", found, margin=MARGIN).verdict == "retained"
        yield Row('axis: "retained" at the margin', name, hits, trials)


def lost_axis(rng: Generator, trials: int) -> Iterator[Row]:
    """Wrong "lost" of the axis at a loss of exactly the margin of every task that nats decide, by their number."""
    for count in (1, 2, 6, 12):
        ours = any_ = 0
        for _ in range(NATS_TRIALS * trials):
            found = []
            for _ in range(count):
                one = judge(of_nats(rng.normal(NATS_MARGIN, 0.3, 200)), NATS_MARGIN)
                found.append(TaskRetention(task="t", verdict=one.verdict, main=one, nats=None))
            ours += judge_axis("m", "b", found, margin=MARGIN).verdict == "lost"
            any_ += any(one.verdict == "lost" for one in found)
        said = f"{count} task(s) in nats"
        yield Row('axis: "lost" at every margin (used)', said, ours, NATS_TRIALS * trials)
        yield Row("axis: the same, any task at 5 %", said, any_, NATS_TRIALS * trials)


def means(rng: Generator, trials: int) -> Iterator[Row]:
    """Differences of item scores: Student's t, beside the percentile bootstrap."""
    draws: dict[str, tuple[Callable[[int], Any], float]] = {
        "normal": (lambda n: rng.normal(0.05, 0.3, n), 0.05),
        "nDCG-like, half tied": (lambda n: np.where(rng.random(n) < 0.5, 0, rng.beta(0.6, 0.4, n) - 0.5), 0.05),
        "3 % of items differ": (lambda n: np.where(rng.random(n) < 0.03, rng.normal(0.2, 0.3, n), 0.0), 0.006),
    }
    for name, (draw, truth) in draws.items():
        for n in (10, 30, 300):
            ours = boot = 0
            for _ in range(trials):
                apart = draw(n)
                found = of_means([Part(apart, np.zeros(n), 1.0)])
                assert found is not None
                ours += found.low <= truth <= found.high
                values = resamples(n, rng, 400) @ apart / n
                low, high = np.quantile(values, [0.025, 0.975])
                boot += low <= truth <= high
            yield Row("means: t (used)", f"n={n}, {name}", ours, trials)
            yield Row("means: percentile bootstrap", f"n={n}, {name}", boot, trials)


def rounds(rng: Generator, trials: int) -> Iterator[Row]:
    """Classification (texts x training samples) and clustering (sets x seeds)."""
    for items in (60, 500):
        with_rounds = without = 0
        for _ in range(trials):
            values = (
                0.03 + rng.normal(0, 0.2, (items, 1)) + rng.normal(0, 0.02, (1, 10)) + rng.normal(0, 0.3, (items, 10))
            )
            nothing = np.zeros(items)
            crossed = of_means([Part(values.mean(axis=1), nothing, 1.0, Rounds(values, np.zeros_like(values), True))])
            plain = of_means([Part(values.mean(axis=1), nothing, 1.0)])
            assert crossed is not None
            assert plain is not None
            with_rounds += crossed.low <= 0.03 <= crossed.high
            without += plain.low <= 0.03 <= plain.high
        yield Row("classification: texts x samples (used)", f"{items} texts", with_rounds, trials)
        yield Row("classification: texts alone", f"{items} texts", without, trials)
    for sets in (3, 5, 10):
        ours = 0
        for _ in range(trials):
            values = 0.05 + rng.normal(0, 0.03, (sets, 1)) + rng.normal(0, 0.08, (sets, 10))
            found = of_means([Part(values[:, 0], np.zeros(sets), 1.0, Rounds(values, np.zeros_like(values), False))])
            assert found is not None
            ours += found.low <= 0.05 <= found.high
        yield Row("clustering: sets x seeds (used)", f"{sets} sets, seed noise 8, set noise 3", ours, trials)


def pools(rng: Generator, trials: int) -> Iterator[Row]:
    """MTEB's newer clustering over small pools."""
    yield from over_pools(((200, 1600, (1.0, 0.7)), (200, 400, (1.0, 0.7)), (500, 1000, (0.8, 0.75))), rng, trials)


def larger_pools(rng: Generator, trials: int) -> Iterator[Row]:
    """The same over larger ones, of which each text is drawn 4 or 16 times."""
    yield from over_pools(((1000, 4000, (0.8, 0.75)), (500, 8000, (1.0, 0.7))), rng, trials)


def over_pools(settings: Sequence[tuple[int, int, tuple[float, float]]], rng: Generator, trials: int) -> Iterator[Row]:
    """Ten draws from one pool of texts, clustered; two models that share half their noise."""
    shape_of = np.random.default_rng(5)
    centres = shape_of.normal(0, 1, (7, 16))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    shares = shape_of.dirichlet(np.full(7, 5.0))
    fewer = max(10, trials // POOL_TRIALS)
    for n, drawn, apart in settings:
        seen = []
        for _ in range(fewer):
            labels = rng.choice(7, n, p=shares)
            shared = rng.normal(0, 0.25, (n, 16))
            seed = int(rng.integers(1 << 31))
            each = [
                clustered(centres[labels] * by + shared + rng.normal(0, 0.25, (n, 16)), labels, drawn, seed)
                for by in apart
            ]
            paired = of_means([Part(each[0], each[1], 1.0)])
            alone = of_means([Part(each[0], np.zeros(len(each[0])), 1.0)])
            assert paired is not None
            assert alone is not None
            seen.append((each[0].mean() - each[1].mean(), *paired[1:3], each[0].mean(), *alone[1:3]))
        found = np.array(seen)
        for name, first in (("difference", 0), ("score", 3)):
            value, low, high = found[:, first : first + 3].T
            held = (low <= value.mean()) & (value.mean() <= high)  # the truth: the mean over all data sets
            setting = f"{n} texts, {drawn} drawn, {100 * value.mean():.0f} +- {100 * value.std():.1f} points"
            yield Row(f"clustering: halves of a pool, {name}", setting, int(held.sum()), fewer)


def clustered(vectors: Any, labels: Any, drawn: int, seed: int) -> Any:
    """Return the scores of one evaluation as the harness has them from its rows, halves of the pool among them."""
    from sklearn.cluster import MiniBatchKMeans

    task = SimpleNamespace(seed=42, k_mean_batch_size=512)
    generator, nested = random.Random(seed), [[label] for label in labels]
    replay = random.Random(seed)
    model = MiniBatchKMeans(
        n_clusters=len(np.unique(labels)), batch_size=512, init="k-means++", n_init=1, random_state=task.seed
    )
    draws = [generator.choices(range(len(labels)), k=drawn) for _ in range(10)]
    predictions = {"Level 0": [model.fit_predict(vectors[one]).tolist() for one in draws]}
    rows, _ = rows_of_draws(nested, range(len(labels)), predictions, replay)
    rows |= {name: [value] for name, value in pool_scores(task, vectors, nested, predictions).items()}
    made = of_columns("Clustering", rows)
    assert made is not None
    return made.scores


def paired_statistic(own: ItemStatistic, base: ItemStatistic) -> Any:
    """Return the difference of two statistics over the same counts."""
    return lambda counts: own.statistic(counts) - base.statistic(counts)


def correlations(rng: Generator, trials: int) -> Iterator[Row]:
    """STS: the difference of two Spearman correlations with the same gold scores."""
    shape = np.array([[1, 0.8, 0.6], [0.8, 1, 0.65], [0.6, 0.65, 1]])
    truth = 6 / np.pi * (np.arcsin(0.4) - np.arcsin(0.3))
    for n in (30, 60, 250, 1000):
        hits = 0
        for _ in range(trials):
            drawn = rng.multivariate_normal(np.zeros(3), shape, n)
            each = [of_columns("STS", {"item": range(n), "gold": drawn[:, 0], "cosine": drawn[:, k]}) for k in (1, 2)]
            assert each[0] is not None
            assert each[1] is not None
            found = of_statistics([(n, paired_statistic(*each))])  # type: ignore[arg-type]
            assert found is not None
            hits += found.low <= truth <= found.high
        yield Row("Spearman: paired bootstrap", f"n={n}, 0.79 against 0.58", hits, trials)


def precisions(rng: Generator, trials: int) -> Iterator[Row]:
    """Pair classification: the difference of two average precisions; the truth from a very large sample."""

    def draw(n: int) -> tuple[Any, list[Any]]:
        labels = (rng.random(n) < 0.4).astype(int)
        shared = rng.normal(0, 0.7, n)
        return labels, [labels * gap + shared + rng.normal(0, 0.7, n) for gap in (1.6, 1.2)]

    def statistic(labels: Any, scores: Any) -> Any:
        names = ("similarity", "cosine", "manhattan", "euclidean", "dot")
        columns = {"item": range(len(labels)), "label": labels} | dict.fromkeys(names, scores)
        return of_columns("PairClassification", columns)

    labels, scores = draw(1_000_000)
    ones = np.ones((1, len(labels)))
    first, second = (float(statistic(labels, one).statistic(ones)[0]) for one in scores)
    for n in (60, 250, 1000):
        hits, fewer = 0, max(200, trials // 4)
        for _ in range(fewer):
            labels, scores = draw(n)
            found = of_statistics([(n, paired_statistic(*(statistic(labels, one) for one in scores)))])
            assert found is not None
            hits += found.low <= first - second <= found.high
        yield Row(
            "average precision: paired bootstrap", f"n={n}, {first:.2f} : {second:.2f}", hits, max(200, trials // 4)
        )


def over_tasks(rng: Generator, trials: int) -> Iterator[Row]:
    """The mean over five tasks: flips on three, item scores on two."""
    hits = 0
    truth = (3 * -0.01 + 2 * 0.05) / 5
    for _ in range(trials):
        each = []
        for n in (100, 400, 1000):
            wins, losses = flips(rng, n, 0.03, 0.04)
            each.append(_difference((wins - losses) / n, of_proportions(wins, losses, n), n))
        for n in (30, 300):
            apart = rng.normal(0.05, 0.3, n)
            each.append(_difference(float(apart.mean()), of_means([Part(apart, np.zeros(n), 1.0)]), n))
        found = mean_difference(each)
        assert found is not None
        hits += (found.low or 0) <= truth <= (found.high or 0)
    yield Row("mean over tasks", "three of flips, two of means", hits, trials)


def _difference(value: float, estimate: Any, n: int) -> Difference:
    return Difference(
        value=value, stderr=estimate.stderr, low=estimate.low, high=estimate.high, n=n, p_value=estimate.p_value
    )


def discoveries(rng: Generator, trials: int) -> Iterator[Row]:
    """False discoveries among 40 cells, 30 without a difference, at q < 0.05; the share is averaged over trials."""
    share = uncorrected = 0.0
    for _ in range(trials):
        cells = {}
        for cell in range(40):
            n = int(rng.choice([100, 300, 1000]))
            shift = 0.0 if cell < 30 else 0.06
            if cell % 2:
                wins, losses = flips(rng, n, 0.08 + shift, 0.08)
                cells[cell] = _difference((wins - losses) / n, of_proportions(wins, losses, n), n)
            else:
                apart = rng.normal(shift, 0.3, n)
                cells[cell] = _difference(float(apart.mean()), of_means([Part(apart, np.zeros(n), 1.0)]), n)
        found = [cell for cell, one in adjusted(cells).items() if one.q_value is not None and one.q_value < 0.05]
        plain = [cell for cell, one in cells.items() if one.p_value is not None and one.p_value < 0.05]
        share += sum(cell < 30 for cell in found) / max(1, len(found))
        uncorrected += sum(cell < 30 for cell in plain) / max(1, len(plain))
    yield Row("false discoveries, Benjamini-Hochberg", "30 of 40 cells without a difference", round(share), trials)
    yield Row("false discoveries, uncorrected", "30 of 40 cells without a difference", round(uncorrected), trials)


PARTS: dict[str, Callable[[Generator, int], Iterator[Row]]] = {
    "proportions": proportions, "retained": retained, "nats": retained_means, "rare": retained_rare,
    "axis": retained_axis, "lost-axis": lost_axis, "means": means, "rounds": rounds, "pools": pools,
    "larger-pools": larger_pools, "spearman": correlations, "precision": precisions, "tasks": over_tasks,
    "discoveries": discoveries,
}  # fmt: skip


def main() -> None:
    """Print a row for every setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in given.only.split(","):
        for row in PARTS[name](np.random.default_rng(given.seed), given.trials):
            print(row, flush=True)


if __name__ == "__main__":
    main()
