"""The study's own parts: jobs that wait for each other, entries that load, intervals over items and seeds."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from places import REPOSITORY
from scipy import stats

from grace.config.load import load_config
from harness.errors import InputError
from harness.suite.load import load_suite

FOLDER = REPOSITORY / "benchmarks" / "study"


@pytest.fixture(scope="module")
def study() -> Iterator[Any]:
    """The study's modules by name; they are found as `python benchmarks/study` finds them."""
    sys.path.insert(0, str(FOLDER))
    try:
        names = ("backbones", "rows", "jobs", "kept", "judge", "choose", "write")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))


def test_every_row_has_a_configuration_that_loads_with_its_options(study: Any) -> None:
    """A row whose file or option is misspelt would be found after an hour of trainings; for every backbone."""
    for backbone in study.backbones.BACKBONES.values():
        for row in study.rows.ROWS:
            file = REPOSITORY / "grace" / "configs" / f"{row.config}.yaml"
            data = "sentences.txt" if row.reads_sentences else "triplets.jsonl"
            options = [f"data.path={data}", *backbone.options(row.budgets), *row.options]
            found = load_config(file, options).config
            assert found.budget_cpu_seconds == row.budgets * backbone.budget
            assert (found.model, found.sha256) == (backbone.weights["model"], backbone.weights["sha256"])
        assert {*backbone.rows} <= {*study.rows.BY_NAME}


def test_the_sentence_is_that_of_the_trainings(study: Any) -> None:
    """What is read with it at test time alone is read with what the others were trained with."""
    configs = (REPOSITORY / "grace" / "configs" / "study").glob("infonce-suffix*.yaml")
    assert {load_config(one, ["data.path=triplets.jsonl"]).config.suffix for one in configs} == {study.rows.SENTENCE}
    rows = [one for one in study.rows.ROWS if one.readings == ("fixed",)]
    files = [REPOSITORY / "grace" / "configs" / f"{row.config}.yaml" for row in rows]
    found = {load_config(file, ["data.path=triplets.jsonl"]).config.rationale.fixed for file in files}
    assert found == {study.rows.SENTENCE.strip()}


def test_the_suites_load_with_every_entry_and_questions_are_about_rows_that_are_read_so(
    study: Any, tmp_path: Path
) -> None:
    """Names are unique, writers are entries, and no question waits for a reading that is never made."""
    rows = study.rows
    chosen = {"infonce-pool-retain": "infonce-pool-retain-1"}
    runs = [(row, seed) for row in rows.ROWS for seed in study.choose.seeds_of(row, chosen)]
    weights = study.backbones.SMOLLM2.weights
    entries = rows.base_entries(weights) + [
        rows.entry(row.name, seed, of) for row, seed in runs for of in rows.readings_of(row, seed)
    ]
    for name in ("dev", "test"):
        suite = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        suite |= {"models": entries + (rows.further(chosen, weights) if name == "test" else []), "baseline": rows.BASE}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
        (tmp_path / "chat.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
        assert len(load_suite(tmp_path / f"{name}.yaml").suite.models) == len(suite["models"])
    read = {(row.name, reading) for row in rows.ROWS for reading in row.readings}
    read |= {(rows.BASE, "text"), (rows.BASE, "own")}
    assert {side for question in rows.QUESTIONS for side in (question.one, question.other)} <= read
    merged = {side for one in rows.QUESTIONS if one.rule == "merged" for side in (one.one, one.other)}
    assert not [side for side in merged if side[1] == "base"], (
        "the base's rationales are not to be had from merged weights"
    )


def study_of(folder: Path, **options: Any) -> Any:
    """Return the command's study with its folder, before anything is run."""
    folder.mkdir(exist_ok=True)
    (folder / "chat.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    spec = importlib.util.spec_from_file_location("study_command", FOLDER / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    told = {"out": folder, "hub": folder, "triplets": folder / "t.jsonl", "sentences": folder / "s.txt"}
    told |= {
        "only": (),
        "beside": (),
        "seeds": (),
        "choose": False,
        "offline": True,
        "train_option": [],
        "earlier": None,
    }
    return command.Study(SimpleNamespace(**told | {"backbone": "smollm2-135m"} | options))


@pytest.mark.parametrize("seeds", [(), (0,), (0, 2)])
@pytest.mark.parametrize("name", ["smollm2-135m", "qwen2.5-coder-0.5b"])
def test_every_job_finds_its_entry_and_what_it_needs(
    study: Any, tmp_path: Path, name: str, seeds: tuple[int, ...]
) -> None:
    """The whole order of work is made before the first training; a backbone has its own weights, budget and items."""
    backbone = study.backbones.BACKBONES[name]
    jobs = study_of(tmp_path, backbone=name, seeds=seeds).later_jobs(study.choose.kept(tmp_path))
    suite = yaml.safe_load((tmp_path / "test.yaml").read_text(encoding="utf-8"))
    entries, names = {one["name"]: one for one in suite["models"]}, {job.name for job in jobs}
    limits = {task["name"]: task["limit"] for task in suite["tasks"]["embedding"]["names"]}
    assert limits["STS12"] == round(120 * backbone.items)
    assert entries["base"]["model"] == backbone.weights["model"]
    for job in jobs:
        assert {*job.needs} <= names
        said = job.command()
        if said[0] == "harness.cli":
            assert {*said[said.index("--models") + 1].split(",")} <= {*entries}
        else:
            assert f"model={backbone.weights['model']}" in said
            assert f"budget_cpu_seconds={backbone.budget}" in said or "infonce-long" in job.name
    assert not backbone.rows or {job.name for job in jobs if job.name.startswith("train-")} == {
        f"train-{row}-seed-{seed}"
        for row in backbone.rows
        for seed in (seeds or backbone.seeds)
        if seed in study.rows.BY_NAME[row].seeds
    }


def test_what_stands_beside_the_table_can_be_asked_for_by_name(study: Any, tmp_path: Path) -> None:
    """With the trainings that it reads, and those alone; a name that is none is refused with those there are."""
    asked = ("infonce-seed-0-base", "infonce-pool-seed-0-base-shuffled-rationale")
    jobs = study_of(tmp_path, beside=asked).later_jobs(study.choose.kept(tmp_path))
    trained = ["train-infonce-seed-0", "train-infonce-pool-seed-0"]
    assert [job.name for job in jobs] == ["test-base", *trained, *(f"test-{name}" for name in asked)]
    with pytest.raises(InputError) as refused:
        study_of(tmp_path, beside=("infonce-seed-9",)).later_jobs({})
    assert "infonce-seed-9" in str(refused.value)
    assert "infonce-pool-seed-0-base-48" in str(refused.value)


def test_a_chosen_setting_is_trained_with_the_seeds_of_the_row_that_it_stands_for(study: Any) -> None:
    """Else the report would show one seed of it."""
    rows, choose = study.rows, study.choose
    chosen = {"infonce-pool-retain": "infonce-pool-retain-1"}
    assert choose.seeds_of(rows.BY_NAME["infonce-pool-retain-1"], chosen) == rows.SEEDS
    assert choose.losers(chosen) >= {"infonce-pool-retain"}


def test_jobs_begin_in_order_when_what_they_need_is_done_and_not_after_a_failure(study: Any, tmp_path: Path) -> None:
    """What is done is not run; what needs a failed job is left out, the others go on."""
    said = tmp_path / "said"

    def job(letter: str, *needs: str, code: int = 0, done: bool = False) -> Any:
        name = f"job_{letter}"
        script = tmp_path / f"{name}.py"
        script.write_text(f"open({str(said)!r}, 'a').write('{letter} ')\nraise SystemExit({code})\n", encoding="utf-8")
        return study.jobs.Job(
            name=name, needs=tuple(f"job_{one}" for one in needs), is_done=lambda: done, command=lambda: [name]
        )

    jobs = study.jobs.Jobs(tmp_path, workers=1)
    jobs.run([job("a", done=True), job("d", "c"), job("b", "a"), job("c", "b"), job("e", code=3), job("f", "e")])
    assert said.read_text(encoding="utf-8").split() == ["b", "c", "d", "e"]
    assert jobs.failed == {"job_e": 3}
    ended = {letter for letter in "abcdef" if study.jobs.done_file(tmp_path, f"job_{letter}").exists()}
    assert ended == {"b", "c", "d"}, "what failed is tried again"


def test_with_one_seed_the_interval_is_that_over_items(study: Any) -> None:
    """The bootstrap's standard error, by a normal distribution."""
    drawn = np.random.default_rng(0).normal(2.0, 0.5, 20_000)
    found = study.judge.estimated([2.0], drawn)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.5, rel=0.02)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(4.0), rel=0.2)
    assert found.smallest == pytest.approx((1.96 + 0.8416) * 0.5, rel=0.02)


def test_with_certain_items_the_interval_is_students_over_seeds(study: Any) -> None:
    """Three trainings, two degrees of freedom."""
    each = [1.0, 2.0, 4.0]
    found = study.judge.estimated(each, np.full(1000, np.mean(each)))
    truth = stats.ttest_1samp(each, 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(truth.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(truth.pvalue)


def test_intervals_over_items_and_seeds_hold_what_they_say(study: Any) -> None:
    """Drawn again and again, with seeds that matter as much as items do; a little too wide, as is said."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        scores = rng.normal(0, 1, 50) + rng.normal(0, 0.15, (3, 1)) + rng.normal(0, 0.5, (3, 50))
        counts = rng.multinomial(50, np.full(50, 1 / 50), 300)
        found = study.judge.estimated(list(scores.mean(axis=1)), counts @ scores.mean(axis=0) / 50)
        held += found.low <= 0 <= found.high
    assert 0.93 <= held / 400 <= 0.995


def test_the_choice_takes_the_best_that_forgets_little(study: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """By the rule that was written down; with the figures kept, and asked once."""

    def cells(points: float, nats: float) -> dict[str, Any]:
        made = SimpleNamespace(score=points, axis="embedding"), SimpleNamespace(score=nats, axis="ability")
        return {"STS": made[0], study.choose.LOSS: made[1]}

    rows = study.rows
    scores = {rows.BASE: cells(50, 2.0)}
    for name, one in {
        "infonce-pool-retain": cells(70, 2.05),
        "infonce-pool-retain-1": cells(75, 2.2),
        "grace-hybrid-kl": cells(60, 2.3),
        "grace-hybrid-kl-.5": cells(59, 2.25),
    }.items():
        scores[rows.entry_name(name, 0, rows.BY_NAME[name].readings[0])] = one
    monkeypatch.setattr(study.choose, "scores_of", lambda *_: scores)
    found = study.choose.choice(tmp_path, tmp_path)
    assert found == {"infonce-pool-retain": "infonce-pool-retain", "grace-hybrid-kl": "grace-hybrid-kl-.5"}
    kept = json.loads((tmp_path / study.choose.FILE).read_text(encoding="utf-8"))
    assert kept["figures"]["infonce-pool-retain"]["infonce-pool-retain-1"] == {"development": 75, "nats": 0.2}
    monkeypatch.setattr(study.choose, "scores_of", lambda *_: {})
    assert study.choose.choice(tmp_path, tmp_path) == found


def test_the_shipped_choice_names_a_setting_of_each_row_that_has_several_by_the_written_rule(study: Any) -> None:
    """The study takes it unless it is told to choose anew; a setting that is gone, or another rule, would be found."""
    shipped = json.loads((FOLDER / study.choose.FILE).read_text(encoding="utf-8"))
    for name, settings in study.choose.groups().items():
        figures = shipped["figures"][name]
        assert set(figures) == {row.name for row in settings}
        under = {row: of["development"] for row, of in figures.items() if of["nats"] <= study.choose.MOST_NATS}
        assert shipped["chosen"][name] == max(under, key=lambda row: under[row])


def cell_of(study: Any, score: float, key: str, **changes: Any) -> Any:
    """Return a cell of STS12."""
    told = {"axis": "embedding", "metric": "cosine_spearman", "unit": "points", "n": 120}
    return study.kept.Cell(score=score, key=key, **told | changes)


def test_another_run_goes_on_from_what_a_report_keeps(study: Any, tmp_path: Path) -> None:
    """Scores to the last bit, bootstrap values, trainings; rows, readings and seeds by name."""
    names = [study.rows.BASE, study.rows.entry_name("infonce", 1, "text"), "infonce-seed-0-text-x0.8"]
    scores = {name: {"STS12": cell_of(study, 60 + n / 3, f"k{n}")} for n, name in enumerate(names)}
    values = {f"k{n}": np.random.default_rng(n).normal(size=study.kept.DRAWS) for n in range(3)}
    trainings = {"infonce-seed-1": {"steps": 104.0, "cpu_seconds": 331.5, "generated_tokens": 0.0}}
    for name, content in study.kept.files(scores, values, trainings).items():
        (tmp_path / name).write_bytes(content)
    found = study.kept.read(tmp_path)
    assert (found.scores, found.trainings) == (scores, trainings)
    for key, drawn in values.items():
        np.testing.assert_allclose(found.values[key], drawn, rtol=1e-6)


def test_a_row_goes_on_with_the_steps_of_its_earlier_runs(study: Any, tmp_path: Path) -> None:
    """On another machine the budget buys other training; others have it, and the report says which had which."""
    trainings = {
        f"infonce-seed-{n}": {"steps": float(steps), "cpu_seconds": 331.5, "generated_tokens": 0.0}
        for n, steps in enumerate((104, 108))
    }
    for name, content in study.kept.files({}, {}, trainings).items():
        (tmp_path / name).write_bytes(content)
    jobs = study_of(tmp_path / "out", earlier=tmp_path, only=("infonce", "simcse")).later_jobs({})
    commands = {job.name: job.command() for job in jobs if job.name.startswith("train-")}
    assert {"steps=106", "budget_cpu_seconds=null"} <= {*commands["train-infonce-seed-2"]}
    assert not [one for one in commands["train-simcse-seed-0"] if one.startswith("steps=")]
    trainings["infonce-seed-2"] = {"steps": 106.0, "cpu_seconds": 1009.4, "generated_tokens": 0.0}
    said = study.write._off_budget(SimpleNamespace(trainings=lambda: trainings), study.backbones.SMOLLM2)
    assert said.startswith("Not within the budget of 330 CPU seconds")
    assert said.endswith(": infonce-seed-2 (106 steps in 1,009).")


def test_a_run_that_was_trained_anew_stands_beside_the_one_that_the_table_has(
    study: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """Unless the row itself is judged again; scales and ablations are held to the training that they are of."""
    folder = tmp_path / "runs" / "infonce-seed-0"
    folder.mkdir(parents=True)
    (folder / "candidate.yaml").write_text("training: {steps: 108, cpu_seconds: 1100.0}\n", encoding="utf-8")
    (folder / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    first = {"steps": 108.0, "cpu_seconds": 333.0, "generated_tokens": 0.0}
    loss = {"axis": "ability", "metric": "nats", "unit": "nats"}
    scores = {
        name: {
            "STS12": cell_of(study, points, f"{name} STS12"),
            "nll-chat": cell_of(study, nats, f"{name} chat", **loss),
        }
        for name, points, nats in (
            ("base", 50.0, 2.0),
            ("infonce-seed-0-text", 60.0, 3.0),
            ("infonce-seed-0-text-again", 62.0, 3.5),
            ("infonce-seed-0-text-x0.8", 61.0, 2.5),
        )
    }
    names = list(scores)
    earlier = study.kept.Earlier(scores={name: scores[name] for name in names[:2]}, trainings={"infonce-seed-0": first})
    monkeypatch.setattr(study.judge, "scores_of", lambda *_: {})
    both = {"infonce-seed-0": 333.0, "infonce-seed-0-again": 1100.0}
    monkeypatch.setattr(study.judge, "plain", lambda _: {})
    same = study.kept.Earlier(trainings={"infonce-seed-0": first | {"cpu_seconds": 1100.0}})
    assert study.judge.Found(tmp_path, tmp_path, {}, same).trainings() == same.trainings, "not judged yet, and no other"
    begun = {names[2]: {"STS12": scores[names[2]]["STS12"]}}
    for now, trained, whole in (
        ({name: scores[name] for name in names[2:]}, both, (62.0, 1.5)),
        ({name: scores[name] for name in names[3:]}, both, (60.0, 1.0)),
        ({name: scores[name] for name in names[3:]} | begun, both, (60.0, 1.0)),
        (scores, both, (62.0, 1.5)),
        ({name: scores[name] for name in names if "again" not in name}, {"infonce-seed-0": 1100.0}, (60.0, 1.0)),
    ):
        monkeypatch.setattr(study.judge, "plain", lambda _, now=now: now)
        found = study.judge.Found(tmp_path, tmp_path, {}, earlier)
        assert {name: one["cpu_seconds"] for name, one in found.trainings().items()} == trained
        assert found.at_scales("infonce", "text") == {0.8: (61.0, 0.5), 1.0: whole}


def test_an_entry_that_is_not_whole_yet_leaves_the_earlier_one_in_its_place(study: Any) -> None:
    """The base on some tasks, to see that it is the same; a row that is judged again, as long as it lacks a task."""
    both, one = {name: cell_of(study, 60.0, name) for name in ("a", "b")}, {"a": cell_of(study, 61.0, "c")}
    earlier = {"base": both, "infonce-seed-0-text": both}
    now = {"base": one, "infonce-seed-0-text": both | one, "infonce-seed-1-text": one}
    judged = {name: now[name] for name in ("infonce-seed-0-text", "infonce-seed-1-text")}
    assert study.kept.whole(earlier, now) == judged
    repeated = {"infonce-seed-0-text-again": both | one}
    assert study.kept.whole(earlier, now | repeated) == {"infonce-seed-1-text": one} | repeated


def test_rows_over_other_items_are_not_put_beside_each_other(study: Any) -> None:
    """The base tells: more items, or another score."""
    before = {study.rows.BASE: {"STS12": cell_of(study, 60.0, "a")}}
    study.kept.refuse_others(before, {study.rows.BASE: {"STS12": cell_of(study, 60.005, "b")}}, study.rows.BASE)
    for changed in ({"n": 40}, {"score": 60.5}):
        other = {study.rows.BASE: {"STS12": cell_of(study, **{"score": 60.0, "key": "b"} | changed)}}
        with pytest.raises(InputError, match="nothing there can be paired"):
            study.kept.refuse_others(before, other, study.rows.BASE)
