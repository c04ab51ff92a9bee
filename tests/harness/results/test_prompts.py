"""`prompts: {variants: [...]}`: a candidate a setting with keys of its own; reports show a range beside the score."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cells_support import save_tiny_model
from stored_support import BODY, make_folder, noisy, put, spearman
from suites_support import Command, isolate, suite_file, write

from harness.comparison.pair import difference
from harness.errors import InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.cells import Cell, Plan
from harness.plan.planner import make_plan
from harness.results.outcome import outcome_of
from harness.results.records import PromptedScore, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.prompt_variants import setting_of

NEW = "{name: new, encoder: mean-pool, model: weights/new}"
VARIED = 'variants: ["", "other: ", {STS: "x "}]'
ASKED = f'{{name: new, encoder: mean-pool, model: weights/new, prompts: {{STS: "own: ", {VARIED}}}}}'
ONCE = ASKED.replace(f", {VARIED}", "")
VARIANTS = [f"new@prompt-{number}" for number in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose second model has three settings of its prompts beside its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path)
    suite_file(tmp_path, BODY.replace(NEW, ASKED))
    return tmp_path


def plan_of(folder: Path) -> Plan:
    """Return the plan of the suite."""
    return make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))


def cell_of(plan: Plan, name: str) -> Cell:
    """Return a cell by its name."""
    return next(cell for cell in plan.cells if str(cell) == name)


def stored(folder: Path, noises: dict[str, float]) -> dict[str, Score]:
    """Store the first task of some models, with the items that each score is made of."""
    found = {}
    for seed, (name, noise) in enumerate(noises.items()):
        items = noisy(seed, noise)
        score = put(folder, f"{name}/pairs-a", spearman(items), items=items, n=200)
        assert score is not None
        found[name] = score
    return found


def test_a_models_own_prompts_keep_its_keys_and_variants_have_their_own(folder: Path) -> None:
    """What was run without variants is not run again; ability, which has no prompts, is measured once."""
    plan = plan_of(folder)
    keys = {str(cell): cell.key for cell in plan.cells}
    prints = {one.name: one.fingerprint() for one in plan.candidates}
    suite_file(folder, BODY.replace(NEW, ONCE))
    once = plan_of(folder)
    assert {name: key for name, key in keys.items() if "@" not in name} == {str(one): one.key for one in once.cells}
    assert {one.name: one.fingerprint() for one in once.candidates}.items() <= prints.items()
    assert len({keys[f"{name}/pairs-a"] for name in ("new", *VARIANTS)}) == 4
    assert {keys[f"{name}/sums"] for name in VARIANTS} == {keys["new/sums"]}
    asked = {name: cell_of(plan, f"{name}/pairs-a").prompts for name in ("new", *VARIANTS)}
    assert [asked[name]["text"] for name in ("new", *VARIANTS)] == ["own: ", "", "other: ", "x "]


def test_an_entry_without_variants_is_written_as_it_was(folder: Path) -> None:
    """And one with them is read again from what it writes, as a suite's model behind a command is."""
    once, varied = (
        next(one for one in load_suite(suite_file(folder, BODY.replace(NEW, body))).suite.models if one.name == "new")
        for body in (ONCE, ASKED)
    )
    assert "prompt_variants" not in once.model_dump() | once.model_dump(mode="json")
    assert type(varied).model_validate(varied.model_dump(exclude_unset=True)) == varied
    assert varied.model_dump()["prompt_variants"] == ["", "other: ", {"STS": "x "}]


def test_a_variant_is_a_whole_setting() -> None:
    """A text stands before queries and texts without a role alone; with a place for it, it is an instruction."""
    text = setting_of("q: ")
    assert (text["prompts"]["query"], text["prompts"]["document"], text["prompts"]["STS"]) == ("q: ", "", "q: ")
    assert "Retrieval" not in text["prompts"]
    assert setting_of("Do {instruction}: ") == {"prompts": {}, "instruction": "Do {instruction}: "}
    assert setting_of({"query": "q"}) == {"prompts": {"query": "q"}, "instruction": None}


def test_the_score_stays_that_under_the_models_own_prompts(folder: Path) -> None:
    """No mean is made; one that is not run yet is missing from the range and hides nothing else."""
    noises = {"base": 1.0, "new": 1.1, VARIANTS[0]: 0.8, VARIANTS[1]: 2.0}
    scores = stored(folder, noises)
    outcome = outcome_of(plan_of(folder), Store(folder / "results"))
    assert [one.name for one in outcome.plan.candidates] == ["base", "new", "words"]
    assert not any("@" in str(cell) for cell in outcome.plan.cells)
    assert set(outcome.results) == {"base/pairs-a", "new/pairs-a"}
    found = outcome.results["new/pairs-a"]
    assert isinstance(found, PromptedScore)
    assert (found.score, found.key, found.items) == (scores["new"].score, scores["new"].key, scores["new"].items)
    assert [(one.model, one.score) for one in found.variants] == [(name, scores[name].score) for name in VARIANTS[:2]]
    assert found.wanted == 3


def test_the_report_shows_the_range_and_says_who_changes_places(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In report.md, in the page and in prompts.csv; the interval is the paired one of the best less the worst."""
    scores = stored(folder, {"base": 1.0, "new": 1.1, VARIANTS[0]: 0.8, VARIANTS[1]: 2.0, VARIANTS[2]: 1.3})
    command = Command(monkeypatch, capsys)
    done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    assert "Traceback" not in done.stderr
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    own, most, least = (f"{scores[name].score:.2f}" for name in ("new", VARIANTS[0], VARIANTS[1]))
    assert f" ({least} to {most} over 4 prompts)" in text
    truth = difference(Store(folder / "results"), scores[VARIANTS[0]], scores[VARIANTS[1]])
    between = f"+{truth.value:.2f} [{truth.low:.2f}, {truth.high:.2f}]"
    row = f"| new | pairs-a | cosine_spearman | {own} | 4 | {least} (prompt-2) | {most} (prompt-1) | {between} |"
    assert row in text
    base = f"{scores['base'].score:.2f}"
    turned = f"changes within the ranges of pairs-a: base ({base}) before new ({own}, {least} to {most})."
    assert turned in text
    page = (folder / "out/index.html").read_text(encoding="utf-8")
    section = page.split('<section id="prompts">')[1].split("</section>")[0]
    assert all(said in section for said in (own, most, least, "changes within the ranges"))
    with (folder / "out/prompts.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(one["model"], one["prompt"], one["score"]) for one in rows] == [
        ("new", "own" if name == "new" else name.partition("@")[2], f"{scores[name].score:.2f}")
        for name in ("new", *VARIANTS)
    ]


def test_settings_that_are_one_prompt_of_a_task_count_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An STS task reads nothing that stands before documents, and "" is what a model without prompts has."""
    varied = '{variants: ["q: ", {document: "d: "}, {STS: ""}]}'
    suite_file(folder, BODY.replace(NEW, NEW.replace("}", f", prompts: {varied}}}")))
    same = noisy(1, 1.1)
    for name, items, used in (
        ("new", same, None), (VARIANTS[0], noisy(2, 0.8), "q: "), (VARIANTS[2], same, None),
    ):  # fmt: skip
        provenance = {"cell": f"{name}/pairs-a", "prompts": {"text": used}}
        put(folder, f"{name}/pairs-a", spearman(items), items=items, n=200, provenance=provenance)
    Command(monkeypatch, capsys)("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    own, other = spearman(same), spearman(noisy(2, 0.8))
    assert f" ({own:.2f} to {other:.2f} over 2 prompts)" in text
    assert f"| new | pairs-a | cosine_spearman | {own:.2f} | 2 | {own:.2f} (own) | {other:.2f} (prompt-1) |" in text
    with (folder / "out/prompts.csv").open(encoding="utf-8") as file:
        assert [one["prompt"] for one in csv.DictReader(file)] == ["own", "prompt-1", "prompt-2", "prompt-3"]


def test_a_ranking_that_holds_for_every_prompt_is_said_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the best prompt stays behind the model before it."""
    stored(folder, {"base": 0.3, "new": 1.1, VARIANTS[0]: 0.9, VARIANTS[1]: 2.0, VARIANTS[2]: 1.3})
    Command(monkeypatch, capsys)("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    assert "No two models change places within these ranges." in text
    assert "changes within the ranges of" not in text


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ("{variants: 3}", "prompts.variants: expected a list, each a text or a mapping like `prompts`"),
        ("{variants: []}", "prompts.variants: expected a list"),
        ("{variants: [3]}", "prompts.variants: expected a list"),
        ("{variants: [{query: 3}]}", "prompts.variants: expected a list"),
        ("{variants: [{qery: a}]}", "prompt for 'qery': no such task, type or role; did you mean"),
        ("{variants: [a]}, seeds: 2", "prompts.variants and seeds: every prompt would be run with every seed"),
    ],
)
def test_what_no_variant_can_be_is_refused(folder: Path, prompts: str, said: str) -> None:
    """With its place, before anything is planned."""
    entry = f"{{name: new, encoder: rationale, model: weights/new, generation: {{temperature: 1}}, prompts: {prompts}}}"
    with pytest.raises(InputError, match=r"mine\.yaml:") as caught:
        load_suite(suite_file(folder, BODY.replace(NEW, entry)))
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    """Results of two models would be taken for each other's."""
    suite_file(folder, BODY.replace(NEW, ASKED + "\n  - {name: new@prompt-2, encoder: tf-idf}"))
    with pytest.raises(InputError, match="'new@prompt-2' is a model of its own"):
        plan_of(folder)


def test_a_real_encoder_is_run_under_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny language model: scores that differ, and an earlier run without variants is kept."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "tiny")
    row = '{{"sentence1": "a {0} cat", "sentence2": "one {1} dog sat", "score": {0}}}\n'
    write(tmp_path / "a.jsonl", "".join(row.format(n, n * n) for n in range(30)))
    body = "models: [{name: new, encoder: mean-pool, model: tiny}]\n"
    body += "tasks: {custom: [{name: pairs-a, type: STS, path: a.jsonl}]}\n"
    options = RunOptions(sources=Sources(offline=True))
    once = run(load_suite(suite_file(tmp_path, body)).suite, options)
    suite_file(tmp_path, body.replace("model: tiny", 'model: tiny, prompts: {variants: ["a cat", "dog dog"]}'))
    outcome = run(load_suite(tmp_path / "mine.yaml").suite, options)
    assert (once.ran, outcome.ran, outcome.exit_code) == (1, 2, 0)
    found = outcome.results["new/pairs-a"]
    assert isinstance(found, PromptedScore)
    assert found.score == once.results["new/pairs-a"].score  # type: ignore[union-attr]
    assert len({found.score, *(one.score for one in found.variants)}) == 3
