"""`seeds: n`: n runs with keys of their own, one model in every report, the spread beside the interval."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
from candidates_support import chat_model
from stored_support import BODY, make_folder, noisy, put, spearman
from suites_support import Command, isolate, suite_file, write

from harness.candidates.candidate import Candidate
from harness.comparison.compare import compare
from harness.comparison.pair import difference
from harness.errors import InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.results.outcome import outcome_of
from harness.results.records import Score, SeededScore
from harness.results.store import Store
from harness.results.stored_items import statistics_of
from harness.sources.places import Sources
from harness.suite.load import load_suite

NEW = "{name: new, encoder: mean-pool, model: weights/new}"
DRAWN = "{name: new, encoder: rationale, model: weights/new, generation: {temperature: 1}, seeds: 3}"
ONCE = DRAWN.replace(", seeds: 3", "")
SEEDS = [f"new@seed-{number}" for number in range(3)]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory whose second model draws its rationales with three seeds."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path)
    suite_file(tmp_path, BODY.replace(NEW, DRAWN))
    return tmp_path


def plan_of(folder: Path) -> Plan:
    """Return the plan of the suite."""
    return make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))


def stored(folder: Path, *, seeds: int = 3) -> list[Score]:
    """Store one task of the seeds and of the baseline, each with the items its score is made of."""
    put(folder, "base/pairs-a", spearman(noisy(9, 2.0)), items=noisy(9, 2.0), n=200)
    drawn = [noisy(number, 1.0) for number in range(seeds)]
    found = [
        put(folder, f"{name}/pairs-a", spearman(items), items=items, n=200)
        for name, items in zip(SEEDS, drawn, strict=False)
    ]
    return [one for one in found if one is not None]


def test_keys_of_the_first_seed_are_those_without_seeds(folder):
    """What was run is not run again; the others have keys of their own; ability is measured once."""
    keys = {str(cell): cell.key for cell in plan_of(folder).cells}
    suite_file(folder, BODY.replace(NEW, ONCE))
    once = {str(cell): cell.key for cell in plan_of(folder).cells}
    assert keys["new@seed-0/pairs-a"] == once["new/pairs-a"]
    assert len({keys[f"{name}/pairs-a"] for name in SEEDS}) == 3
    assert {keys[f"{name}/sums"] for name in SEEDS} == {once["new/sums"]}
    assert {name: key for name, key in keys.items() if "seed" not in name} == {
        name: key for name, key in once.items() if not name.startswith("new/")
    }


def test_the_score_is_the_mean_over_seeds_and_the_interval_is_over_items(folder):
    """The mean by hand; the statistic of the whole is the mean of the seeds' statistics on the same draws."""
    scores = stored(folder)
    store = Store(folder / "results")
    outcome = outcome_of(plan_of(folder), store)
    mean = outcome.results["new/pairs-a"]
    assert isinstance(mean, SeededScore)
    assert mean.score == pytest.approx(np.mean([one.score for one in scores]))
    assert mean.ci_low < mean.score < mean.ci_high
    assert mean.ci_high - mean.ci_low < 30
    assert not any("seed" in name for name in outcome.results)
    assert [one.name for one in outcome.plan.candidates] == ["base", "new", "words"]
    counts = np.random.default_rng(1).multinomial(200, np.full(200, 1 / 200), size=4).astype(float)
    (whole,) = statistics_of(store, mean).values()
    each = [next(iter(statistics_of(store, one).values())).statistic(counts) for one in scores]
    np.testing.assert_allclose(whole.statistic(counts), np.mean(each, axis=0))
    base = outcome.results["base/pairs-a"]
    found = difference(store, mean, base)
    assert found.value == pytest.approx(mean.score - base.score)
    assert found.low < found.value < found.high
    first = difference(store, scores[0], base)
    assert first.value != found.value  # neither is taken for the other where differences are kept


def test_a_seed_that_is_missing_or_failed_leaves_no_mean(folder):
    """Never a mean over fewer: missing says how many, a failure names its seed."""
    stored(folder, seeds=2)
    outcome = outcome_of(plan_of(folder), Store(folder / "results"))
    assert "new/pairs-a" not in outcome.results
    (cell,) = (one for one in outcome.plan.cells if str(one) == "new/pairs-a")
    assert cell.reason == "1 of 3 seeds not run yet"
    put(folder, "new@seed-2/pairs-a", None)
    failed = outcome_of(plan_of(folder), Store(folder / "results")).results["new/pairs-a"]
    assert (failed.status, failed.message.splitlines()[0]) == ("error", "new@seed-2: a NaN vector")


def test_the_report_shows_the_spread_beside_the_interval(folder, monkeypatch, capsys):
    """In Markdown and in seeds.csv; `compare` and `gate` take the mean."""
    scores = stored(folder)
    sd = f"{stdev(one.score for one in scores):.2f}"
    command = Command(monkeypatch, capsys)
    done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    assert "Traceback" not in done.stderr
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    mean = f"{np.mean([one.score for one in scores]):.2f}"
    assert f" (mean of 3 seeds, sd {sd})" in text
    assert f"| new | pairs-a | cosine_spearman | {mean} | 3 | {sd} |" in text
    with (folder / "out/seeds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["seed"], row["score"]) for row in rows] == [
        ("new", str(number), f"{one.score:.2f}") for number, one in enumerate(scores)
    ]
    page = (folder / "out/index.html").read_text(encoding="utf-8")
    section = page.split('<section id="seeds">')[1].split("</section>")[0]
    cells = [
        re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", section.split("<tbody>")[1])
    ]
    least, most = (f"{end(one.score for one in scores):.2f}" for end in (min, max))
    assert cells[:8] == ["new", "pairs-a", "cosine_spearman", mean, "3", sd, least, most]
    assert cells[8] == re.search(r"\| 3 \| .*(\[.*\]) \|", text)[1]  # the interval over items, as in Markdown
    assert f"(mean of 3 seeds, sd {sd})" in page
    done = command("compare", "new", "base", "--suite", "mine.yaml", "--offline", "--tasks", "pairs-a", cwd=folder)
    assert mean in done.stdout
    done = command(
        "gate", "mine.yaml", "--offline", "-o", "gates=[{task: pairs-a, models: new, floor: 99}]", cwd=folder
    )
    assert (done.returncode, f"{mean}, asked for at least 99.00" in done.stdout) == (1, True)


def test_seeds_where_nothing_is_drawn_are_refused(folder):
    """With the reason, all at once; a candidate directory as soon as it can be read."""
    body = """\
models:
  - {name: a, encoder: mean-pool, model: weights/new, seeds: 3}
  - {name: b, encoder: tf-idf, seeds: 3}
  - {name: c, encoder: rationale, model: weights/new, seeds: 3}
  - {name: d, encoder: rationale, model: weights/new, generation: {temperature: 1}, seeds: 1}
"""
    with pytest.raises(InputError) as caught:
        load_suite(suite_file(folder, body))
    assert [line.partition(": ")[2] for line in caught.value.problems] == [
        "seeds: encoder mean-pool draws no random numbers, so every run is the same; take it out",
        "seeds: encoder tf-idf draws no random numbers, so every run is the same; take it out",
        "seeds: temperature 0 decodes greedily, so every run is the same; set `generation: {temperature: 1}` or take "
        "`seeds` out",
        "models.3.seeds: expected 2 or more, got 1",
    ]
    write(folder / "run/candidate.yaml", "version: 1\nkind: mean-pool\nbase: {model: weights/new}\n")
    suite_file(folder, BODY.replace(NEW, "{name: new, candidate: run, seeds: 2}"))
    with pytest.raises(InputError, match="every run would be the same: run draws no random numbers"):
        plan_of(folder)
    suite_file(folder, BODY.replace(NEW, DRAWN + "\n  - {name: new@seed-1, encoder: tf-idf}"))
    with pytest.raises(InputError, match="'new@seed-1' is a model of its own"):
        plan_of(folder)


def test_each_run_gets_a_seed_of_its_own(folder):
    """The suite's plus its index; that is what the encoder draws with."""
    of_new = [one for one in plan_of(folder).candidates if one.name.startswith("new")]
    assert [one.name for one in of_new] == SEEDS
    assert all(isinstance(one, Candidate) for one in of_new)
    assert [one.seed_index for one in of_new] == [0, 1, 2]
    assert of_new[0].fingerprint() == replace(of_new[1], seed_index=0).fingerprint() != of_new[1].fingerprint()


def test_a_real_encoder_is_run_with_each_seed(tmp_path, monkeypatch):
    """A tiny language model samples its rationales: three scores that differ, and an earlier single run is kept."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    chat_model(tmp_path / "tiny")
    row = '{{"sentence1": "a {0} cat", "sentence2": "one {1} dog sat", "score": {0}}}\n'
    write(tmp_path / "a.jsonl", "".join(row.format(n, n * n) for n in range(40)))
    settings = "generation: {temperature: 1, max_new_tokens: 8}, max_text_tokens: 40"
    entry = f"{{name: new, encoder: rationale, model: tiny, {settings}}}"
    body = f"models: [{entry}]\ntasks: {{custom: [{{name: pairs-a, type: STS, path: a.jsonl}}]}}\n"
    options = RunOptions(sources=Sources(offline=True))
    once = run(load_suite(suite_file(tmp_path, body)).suite, options)
    suite_file(tmp_path, body.replace("max_text", "seeds: 3, max_text"))
    outcome = run(load_suite(tmp_path / "mine.yaml").suite, options)
    assert (once.ran, outcome.ran, outcome.exit_code) == (1, 2, 0)
    mean = outcome.results["new/pairs-a"]
    assert isinstance(mean, SeededScore)
    assert len({one.score for one in mean.parts}) == 3
    assert mean.parts[0].score == once.results["new/pairs-a"].score


def put_task(folder: Path, task: str, names: list[str]) -> None:
    """Store a pair task for each of `names`, items by place."""
    for number, name in enumerate(names):
        items = noisy(number, 1.0)
        put(folder, f"{name}/{task}", spearman(items), items=items, n=200)


def test_compare_without_a_suite_takes_the_seeds_as_one_model(folder):
    """The same rows as with the suite: pairs by the mean over seeds, ability once; one seed can be named by itself."""
    scores = stored(folder)
    put(folder, "base/sums", 60.0)
    put(folder, f"{SEEDS[0]}/sums", 40.0)
    found, planned = compare("new", "base"), compare("new", "base", suite="mine.yaml")
    assert found.rows == planned.rows
    first = found.of("task")[0]
    assert (first.name, first.a) == ("pairs-a", pytest.approx(np.mean([one.score for one in scores])))
    assert first.difference.low < first.difference.value < first.difference.high
    assert [row.a for row in found.of("task") if row.name == "sums"] == [40.0]
    assert compare(SEEDS[1], "base").of("task")[0].a == pytest.approx(scores[1].score)
    with pytest.raises(InputError, match="there are: base, new, new@seed-0"):
        compare("nwe", "base")


def test_compare_without_a_suite_makes_no_mean_over_fewer_seeds(folder):
    """A seed that another task has is missing, a failed one fails; what ran without `seeds` is the first seed."""
    put_task(folder, "pairs-a", [*SEEDS, "base"])
    put_task(folder, "pairs-b", [*SEEDS[:2], "base"])
    assert compare("new", "base").left_out == (("pairs-b", "new: 1 of 3 seeds not run yet"),)
    put(folder, f"{SEEDS[2]}/pairs-b", None)
    assert compare("new", "base").left_out == (("pairs-b", "new failed: ValueError"),)
    for path in (folder / "results/cells/pairs-a").glob("*.json"):
        path.write_text(path.read_text("utf-8").replace(SEEDS[0], "new"), encoding="utf-8")
    assert compare("new", "base").of("task")[0].a == pytest.approx(
        np.mean([spearman(noisy(number, 1.0)) for number in range(3)])
    )
    (path,) = (one for one in (folder / "results/cells/pairs-a").glob("*.json") if SEEDS[1] in one.read_text("utf-8"))
    path.with_name("f" * 20 + ".json").write_text(
        path.read_text("utf-8").replace(path.stem, "f" * 20), encoding="utf-8"
    )
    with pytest.raises(InputError, match="new/pairs-a was scored 2 times"):
        compare("new", "base")
