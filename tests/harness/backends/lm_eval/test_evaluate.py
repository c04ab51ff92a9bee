"""The ability axis from suite to score, on a tiny language model and a local hub of invented questions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ability_support import SUBJECTS, ability_hub, save_tiny_lm, suite_text
from places import SHARED_HUB
from scipy.stats import binom, binomtest

from harness.backends.interface import NotRecomputedError, texts_of
from harness.backends.lm_eval.catalogue import MMLU_ITEMS, OWN_FOLDERS, lm_eval_tasks, task_folder
from harness.backends.lm_eval.items import (
    PartItems,
    below_chance,
    chance_level,
    gold_nats,
    interval,
    part_items,
    pooled,
)
from harness.contamination.check import job_of
from harness.cost import make_prompt_facts
from harness.cost.work import Habits, pile_of, total
from harness.errors import EnvironmentGapError, ExitCode, InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.planner import make_plan
from harness.report.formats import csv, markdown
from harness.report.sections.section import Report
from harness.results.outcome import RunOutcome
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.shipped import shipped_folder
from harness.suite.task_entries import CatalogueRef
from harness.summary.build import summarise
from harness.tasks.catalogue import catalogue

REAL_HUB = SHARED_HUB
SHORT = {"max_gen_toks": 12}
TEXTS = ("The child takes the plum cart up the hill.", "So?", "The lamp gives more: seven, twelve, seven. " * 9)


@pytest.fixture(scope="module", autouse=True)
def _own_data_cache(tmp_path_factory):
    """Keep what `datasets` unpacks out of the user's cache."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with a model and a hub."""
    folder = tmp_path_factory.mktemp("ability")
    save_tiny_lm(folder / "lm")
    ability_hub(folder / "hub/datasets")
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS), encoding="utf-8")
    return folder


def suite_in(root: Path, ability: list[Any], *, name: str = "suite", **options: Any):
    """Write and load a suite."""
    path = root / f"{name}.yaml"
    path.write_text(suite_text(root / "lm", ability, **options), encoding="utf-8")
    return load_suite(path).suite


def plan_of(root: Path, ability: list[Any], **options: Any):
    """Return the plan over the invented hub."""
    return make_plan(suite_in(root, ability, name="plan", **options), Sources(hub=root / "hub", offline=True))


def evaluated(root: Path, results: Path, ability: list[Any], *, available: bool = False, **options: Any) -> RunOutcome:
    """Run a suite over the invented hub."""
    sources = Sources(hub=root / "hub", offline=True)
    return run(suite_in(root, ability, **options), RunOptions(results=results, sources=sources, available=available))


def score_of(outcome: RunOutcome, cell: str) -> Score:
    """Return a score, or fail with what went wrong."""
    result = outcome.results[cell]
    assert isinstance(result, Score), result.traceback
    return result


@pytest.fixture(scope="module")
def ran(root, tmp_path_factory) -> tuple[RunOutcome, Store]:
    """One run of every kind of task."""
    results = tmp_path_factory.mktemp("results")
    shipped = shipped_folder() / "data/ability"
    tasks = [
        {"name": "gsm8k", "num_fewshot": 2, **SHORT},
        {"name": "mmlu", "num_fewshot": 3, "subtasks": list(SUBJECTS[:2])},
        {"name": "bbh", "num_fewshot": 1, "subtasks": ["navigate", "snarks"], **SHORT},
        {"name": "own_choices", "file": str(shipped / "demo_choices.yaml"), "num_fewshot": 1},
        {"name": "own_problems", "file": str(shipped / "demo_word_problems.yaml"), "num_fewshot": 1, **SHORT},
        {"name": "lm_nll", "file": "texts.jsonl", "column": "text", "limit": 3, "max_text_tokens": 40},
        {"name": "gsm-nll", "task": "lm_nll", "dataset": "openai/gsm8k", "config": "main", "column": "answer"},
    ]
    return evaluated(root, results, tasks), Store(results)


def items_of(ran: tuple[RunOutcome, Store], cell: str) -> list[dict[str, Any]]:
    """Return the per-item rows of a cell."""
    outcome, store = ran
    return store.items_of(score_of(outcome, cell)).to_pylist()


def test_every_kind_of_task_has_a_score_and_an_encoder_without_a_language_model_has_none(ran):
    """The encoder's cells are n/a, and the exit code is that of a clean run."""
    outcome, _ = ran
    assert outcome.exit_code == ExitCode.OK
    assert all(isinstance(result, Score) for result in outcome.results.values())
    states = {(cell.model, cell.state) for cell in outcome.plan.cells}
    assert states == {("lm", "to run"), ("floor", "n/a")}


def test_gsm8k_reports_both_filters_and_the_gold_solution(ran):
    """The main score is the last number's; the strict one and nats per token stand beside it."""
    score = score_of(ran[0], "lm/gsm8k")
    named = {(metric.name, metric.filter): metric for metric in score.metrics}
    assert set(named) == {
        ("exact_match", "strict-match"),
        ("exact_match", "flexible-extract"),
        ("gold_nll", None),
    }
    assert named["gold_nll", None].unit == "nats"
    assert score.score == named["exact_match", "flexible-extract"].value
    rows = items_of(ran, "lm/gsm8k")
    total = sum(row["gold_nll"] for row in rows) / sum(row["gold_tokens"] for row in rows)
    assert named["gold_nll", None].value == pytest.approx(total)


def test_items_say_what_was_asked_answered_and_extracted(ran):
    """Each row has prompt, target, raw and filtered answers, metrics, lengths and failures."""
    row = items_of(ran, "lm/gsm8k")[0]
    assert {
        "part", "item", "prompt_hash", "target", "answers", "filtered,strict-match", "extraction_failed,strict-match",
        "exact_match,strict-match", "gold_nll", "gold_tokens", "generated_tokens", "truncated", "score",
    } <= set(row)  # fmt: skip
    assert row["extraction_failed,strict-match"] == (row["filtered,strict-match"] == "[invalid]")
    assert row["generated_tokens"] <= SHORT["max_gen_toks"]
    assert row["question"].startswith("Question: ")
    assert row["question"].endswith("Answer:")
    assert row["question"].count("Question:") == 1  # without the two examples before it
    choice = items_of(ran, "lm/own_choices")[0]
    assert len(choice["choice_logprobs"]) == choice["choices"] == 4
    assert choice["answers"][0] in ("", *choice["answers"])


def test_a_limit_takes_the_first_items_of_each_part(ran):
    """As lm-eval's own command line has it."""
    rows = items_of(ran, "lm/mmlu[2/57]")
    assert [(row["part"], row["item"]) for row in rows] == [(part, item) for part in SUBJECTS[:2] for item in (0, 1)]
    assert score_of(ran[0], "lm/mmlu[2/57]").n == 4


def test_chance_and_failures_stand_beside_the_score(ran):
    """Chance is 1/4 for four options and 0 for generated answers; extraction and the limit are counted."""
    of_choices = score_of(ran[0], "lm/mmlu[2/57]").provenance["ability"]
    assert (of_choices["chance"], of_choices["unextractable"], of_choices["truncated"]) == (25.0, {}, None)
    of_answers = score_of(ran[0], "lm/gsm8k").provenance["ability"]
    rows = items_of(ran, "lm/gsm8k")
    assert of_answers["chance"] == 0.0
    failed = [row["extraction_failed,strict-match"] for row in rows]
    assert of_answers["unextractable"]["strict-match"] == sum(failed) / len(failed)
    assert of_answers["truncated"] == sum(row["truncated"] for row in rows) / len(rows)


def test_lm_nll_is_nats_per_token_of_the_texts(ran, root):
    """By hand: the first token after the beginning of text counts, texts are cut, long ones weigh more."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(root / "lm").eval()
    tokenizer = AutoTokenizer.from_pretrained(root / "lm")
    nats = tokens = 0.0
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False)[:40]
        with torch.no_grad():
            logits = model(torch.tensor([[tokenizer.bos_token_id, *ids]])).logits[0, :-1]
        nats -= float(torch.log_softmax(logits, -1)[torch.arange(len(ids)), torch.tensor(ids)].sum())
        tokens += len(ids)
    score = score_of(ran[0], "lm/lm_nll")
    assert score.score == pytest.approx(nats / tokens, abs=1e-5)
    assert (score.unit, score.lower_is_better, score.n) == ("nats", True, len(TEXTS))
    assert score.ci_low < score.score < score.ci_high
    assert [row["truncated"] for row in items_of(ran, "lm/lm_nll")] == [False, False, True]
    assert [row["question"] for row in items_of(ran, "lm/lm_nll")] == [text[:600] for text in TEXTS]
    assert score_of(ran[0], "lm/gsm-nll").n == 2


def test_a_report_averages_points_alone(ran):
    """Nats are in no mean, have four decimals and say that less is better; chance stands beside each score."""
    outcome, _ = ran
    report = summarise(outcome.plan, outcome.results)
    (axis,) = report.axes
    assert set(axis.apart) == {"lm_nll", "gsm-nll"}
    assert not {"lm_nll", "gsm-nll"} & set(axis.common)
    text = markdown.render(Report(summary=report))
    score = score_of(outcome, "lm/lm_nll")
    assert f"{score.score:.4f}" in text
    assert "lower is better" in text
    assert " / chance 25.00" in text
    assert "## Beside the scores" in text
    line = next(one for one in csv.scores_csv(report).splitlines() if ",lm_nll," in one and "ok" in one)
    assert line.split(",")[5] == f"{score.score:.4f}"
    assert "mmlu[2/57]" in csv.metrics_csv(report)


def test_models_asked_different_parts_share_no_mean(ran):
    """Should a report ever hold mmlu of one model and mmlu[2/57] of another, neither mean nor difference has them."""
    outcome, _ = ran
    cell = next(cell for cell in outcome.plan.cells if str(cell) == "lm/mmlu[2/57]")
    all_of_it = replace(cell.task, label="mmlu", subsets=tuple(cell.task.info.subsets))
    whole = replace(cell, model="other", task=all_of_it)
    candidates = [replace(outcome.plan.candidates[0], name=name) for name in ("lm", "other")]
    plan = replace(outcome.plan, cells=(cell, whole), candidates=tuple(candidates), tasks=(cell.task,))
    score = score_of(outcome, "lm/mmlu[2/57]")
    report = summarise(plan, {str(cell): score, str(whole): replace(score, model="other")})
    (axis,) = report.axes
    assert axis.common == ()
    assert axis.delta["other"].value is None
    assert report.differences == {}
    assert "mmlu[2/57]" in axis.apart["mmlu"]


def test_every_setting_changes_the_key(root):
    """Shots, template, turns, instruction, filter, limits, stops, generation and parts: none is left out."""
    plain = {"name": "gsm8k"}
    changes = [
        {"num_fewshot": 4}, {"chat_template": True}, {"fewshot_as_multiturn": False}, {"system_instruction": "Be."},
        {"filter": "strict-match"}, {"max_gen_toks": 99}, {"until": ["\n"]}, {"generation": {"do_sample": True}},
    ]  # fmt: skip
    keys = [_key(root, plain | change) for change in ({}, *changes)]
    assert len(set(keys)) == len(keys)
    assert None not in keys
    parts = [_key(root, {"name": "mmlu", "subtasks": list(SUBJECTS[:count])}) for count in (1, 2)]
    assert parts[0] != parts[1]


def _key(root: Path, entry: dict[str, Any]) -> str | None:
    return plan_of(root, [entry]).cells[0].key


def test_a_setting_that_says_the_default_changes_nothing(root):
    """The key is made of values, not of who wrote them."""
    said = {"name": "gsm8k", "num_fewshot": 5, "chat_template": False, "max_gen_toks": 256}
    assert _key(root, said) == _key(root, {"name": "gsm8k"})


def test_a_model_entry_overrides_a_task_for_itself(root):
    """Its cell's settings and key change; its vectors' identity does not."""
    plain = plan_of(root, ["gsm8k"])
    own = plan_of(root, ["gsm8k"], of_model={"ability": {"gsm8k": {"chat_template": True}}})
    assert own.cells[0].task.asked.chat_template is True
    assert own.cells[0].key != plain.cells[0].key
    assert own.candidates[0].fingerprint() == plain.candidates[0].fingerprint()


def test_the_shipped_suite_hides_no_default():
    """Every setting that the catalogue would fill in is written in suites/ability.yaml."""
    written = {entry.name: entry for entry in load_suite("ability").suite.tasks.ability}
    known = catalogue().of_axis("ability")
    again = {"humaneval_instruct", *OWN_FOLDERS} - {"fever"}  # the same problems and claims again
    assert not again & set(written)
    for name, task in known.items():
        if task.ability is not None and name not in again:
            said = written[name].model_dump(exclude_none=True)
            assert set(task.ability["defaults"]) | {"chat_template", "fewshot_as_multiturn"} <= set(said), name


def test_the_catalogue_is_the_installed_lm_evals():
    """Shots, filters, stop strings, versions and parts: as the task files of the installed release say."""
    committed = json.loads(files("harness.tasks").joinpath("catalogue.json").read_text(encoding="utf-8"))
    assert committed["lm-eval"] == json.loads(json.dumps(lm_eval_tasks()))
    assert sum(MMLU_ITEMS.values()) == 14042
    bbh = catalogue().tasks["bbh"]
    assert (len(bbh.subsets), sum(one.items for one in bbh.counts["test"].values())) == (27, 6511)


def test_subtasks_that_a_local_hub_lacks_are_named(root):
    """All of them, in one gap."""
    (found, wanted_by), *others = plan_of(
        root, [{"name": "mmlu", "subtasks": ["anatomy", "virology", "nutrition"]}]
    ).gaps
    assert not others
    assert "virology" in found.why
    assert "nutrition" in found.why
    assert wanted_by == ("mmlu[3/57]",)


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "gsm8k", "num_fewshot": 2, **SHORT},
        {"name": "mmlu", "num_fewshot": 3, "subtasks": list(SUBJECTS[:2])},
        {"name": "bbh", "num_fewshot": 1, "subtasks": ["navigate", "snarks"], **SHORT},
    ],
    ids=lambda entry: entry["name"],
)
def test_the_plan_counts_the_tokens_that_a_run_computes(root, ran, entry):
    """With the same tokenizer; a mean over all items stands for the two that are asked, and examples count once."""
    from transformers import AutoTokenizer

    outcome, _ = ran
    sources, tokenizer = Sources(hub=root / "hub", offline=True), AutoTokenizer.from_pretrained(root / "lm")
    facts = make_prompt_facts.measure(CatalogueRef(**entry), sources, tokenizer)
    score = next(one for name, one in outcome.results.items() if name.startswith(f"lm/{entry['name']}"))
    about = score.provenance["ability"]
    asked = next(cell.task.asked for cell in outcome.plan.cells if cell.task.name == entry["name"])
    piles = [pile_of(facts[part], own["n"], asked, Habits())
             for part, own in zip(facts, about["parts"].values(), strict=True)]  # fmt: skip
    computed = about["computed_tokens"] - about["generated_tokens"]
    assert total(piles, "tokens_in") == pytest.approx(computed, rel=0.02 if entry["name"] == "mmlu" else 0.1)
    if entry["name"] != "gsm8k":  # which draws its examples anew
        assert total(piles, "tokens_in") < 0.8 * about["prompt_tokens"]


def test_tasks_without_data_are_gaps_and_the_rest_runs(root, tmp_path):
    """What is not there is listed before anything runs; --available runs the others and keeps exit code 4."""
    tasks = ["triviaqa", {"name": "lm_nll", "file": "texts.jsonl", "column": "text"}]
    with pytest.raises(EnvironmentGapError, match=r"dataset mandarjoshi/trivia_qa"):
        evaluated(root, tmp_path, tasks)
    outcome = evaluated(root, tmp_path, tasks, available=True)
    assert outcome.exit_code == ExitCode.ENVIRONMENT
    assert list(outcome.results) == ["lm/lm_nll"]


def test_own_files_are_keyed_by_content(root, tmp_path):
    """Task file and data file each change the key; where they lie does not."""
    source = shipped_folder() / "data/ability"
    keys = []
    for number, change in enumerate([None, None, "demo_choices.yaml", "choices.jsonl"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("demo_choices.yaml", "choices.jsonl", "choices.fewshot.jsonl"):
            more = "\n" if name == change else ""
            (folder / name).write_text((source / name).read_text(encoding="utf-8") + more, encoding="utf-8")
        keys.append(_key(root, {"name": "own", "file": str(folder / "demo_choices.yaml")}))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_missing_own_file_is_a_gap(root):
    """Named with the key of the suite to mend."""
    ((gap, _),) = plan_of(root, [{"name": "own", "file": "nowhere.yaml"}]).gaps
    assert "nowhere.yaml" in gap.why
    assert "`file`" in gap.command


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "mmlu", "subtasks": ["anatomi"]}, "no subtask 'anatomi'.*did you mean 'anatomy'"),
        ({"name": "gsm8k", "subtasks": ["main2"]}, "it is no group"),
        ({"name": "gsm8k", "filter": "strict"}, "no filter 'strict'.*strict-match"),
        ({"name": "gsm8l"}, "unknown ability task 'gsm8l'.*gsm8k"),
        ({"name": "gsm8k", "column": "x"}, "'column' means nothing"),
        ({"name": "lm_nll", "file": "texts.jsonl"}, "missing key 'column', the one that holds the texts"),
        ({"name": "lm_nll", "column": "text"}, "one of `file`"),
        ({"name": "mmlu", "file": "x.yaml"}, "of the catalogue has no file"),
    ],
)
def test_mistakes_in_ability_entries_are_named_before_anything_runs(root, entry, message):
    """Each with what is valid, or what was probably meant."""
    with pytest.raises(InputError, match=f"(?is){message}"):
        suite_in(root, [entry], name="wrong")


def part(values: list[float], *, choices: int | None = 4, name: str = "a") -> PartItems:
    """Return a part with the given right and wrong answers."""
    columns = {"item": list(range(len(values))), "acc,none": values, "choices": [choices] * len(values)}
    columns |= {"gold_nll": [2.0 * n for n in range(len(values))], "gold_tokens": [2] * len(values)}
    return PartItems(part=name, columns=columns, metrics={"acc,none": sum(values) / len(values)})


def test_chance_is_exact_and_the_flag_is_the_binomials():
    """Four and two options; 3 of 40 right with four options is the exact lower tail."""
    assert chance_level([part([0.0], choices=4), part([0.0, 1.0], choices=2)]) == pytest.approx((0.25 + 0.5 + 0.5) / 3)
    values = [1.0] * 3 + [0.0] * 37
    assert below_chance([part(values)], "acc,none") == pytest.approx(binom.cdf(3, 40, 0.25))
    assert below_chance([part(values, choices=None)], "acc,none") is None


def test_parts_weigh_by_their_size_in_score_and_interval():
    """Two right of two and none of six: 25 points, not 50, and Wilson's interval of two of eight."""
    parts = [part([1.0] * 2), part([0.0] * 6, name="b")]
    assert pooled(parts, "acc,none") == 0.25
    found = interval(parts, "acc,none")
    wilson = binomtest(2, 8).proportion_ci(method="wilson")
    assert (found.low, found.high) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    rng = np.random.default_rng(0)
    mixed = [part(list(map(float, rng.random(n) < 0.4)), name=str(n)) for n in (30, 200)]
    share = np.concatenate([one.columns["acc,none"] for one in mixed]).mean()
    assert interval(mixed, "acc,none").stderr == pytest.approx(math.sqrt(share * (1 - share) / 230))
    assert gold_nats([part([0.0] * 3)]) == pytest.approx((0 + 2 + 4) / 6)


def test_items_that_do_not_give_the_engines_figure_are_refused():
    """A figure that the items do not recompute is wrong on one side."""

    class Task:
        OUTPUT_TYPE = "generate_until"
        task_name = "t"
        config = SimpleNamespace(doc_to_choice=None)

        def doc_to_text(self, _doc):
            return "asked"

        def aggregation(self):
            from lm_eval.api.metrics import mean

            return {"exact_match": mean}

    sample = {
        "doc_id": 0, "filter": "f", "prompt_hash": "x", "target": "y", "resps": [["y"]], "filtered_resps": ["y"],
        "metrics": ["exact_match"], "exact_match": 1.0, "doc": {},
    }  # fmt: skip
    assert part_items("p", Task(), [sample], {"exact_match,f": 1.0}, traces={}).n == 1
    with pytest.raises(NotRecomputedError, match=r"0\.5"):
        part_items("p", Task(), [sample], {"exact_match,f": 0.5}, traces={})


@pytest.mark.skipif(not REAL_HUB.is_dir(), reason="the mirror of public data is not beside the project")
def test_on_real_data_prompts_and_answers_are_plain_lm_evals(root, tmp_path, monkeypatch):
    """GSM8K, one subject and one subtask: each item's prompt and answer are those of lm-eval's own model class."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tasks = [
        {"name": "gsm8k", "num_fewshot": 1, **SHORT},
        {"name": "mmlu", "num_fewshot": 2, "subtasks": ["global_facts"]},
        {"name": "bbh", "num_fewshot": 1, "subtasks": ["navigate"], **SHORT},
    ]
    native = {"gsm8k": "gsm8k", "mmlu[1/57]": "mmlu_global_facts", "bbh[1/27]": "bbh_cot_fewshot_navigate"}
    suite = suite_in(root, tasks, name="real")
    outcome = run(suite, RunOptions(results=tmp_path, sources=Sources(hub=REAL_HUB, offline=True)))
    folders = [task_folder(name) for name in ("gsm8k", "mmlu", "bbh")]
    manager = TaskManager(include_defaults=False, include_path=folders)
    model = AutoModelForCausalLM.from_pretrained(root / "lm").eval()
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(root / "lm"), batch_size=1)
    monkeypatch.chdir(REAL_HUB / "datasets")
    for (label, name), shots in zip(native.items(), (1, 2, 1), strict=True):
        arguments = None if label.startswith("mmlu") else {"max_gen_toks": 12}
        plain = simple_evaluate(
            lm, tasks=[name], num_fewshot=shots, limit=2, task_manager=manager, bootstrap_iters=0, gen_kwargs=arguments
        )
        rows = {row["item"]: row for row in items_of((outcome, Store(tmp_path)), f"lm/{label}")}
        for sample in plain["samples"][name]:
            row = rows[sample["doc_id"]]
            assert row["prompt_hash"] == sample["prompt_hash"]
            if arguments is None:
                likelihoods = [answer[0][0] for answer in sample["resps"]]
                assert row["choice_logprobs"] == pytest.approx(likelihoods, abs=1e-4)
            else:
                assert row["answers"] == sample["resps"][0]
                assert row[f"filtered,{sample['filter']}"] == sample["filtered_resps"][0]


def test_the_texts_of_a_task_are_its_questions(ran):
    """Those that training files are held against have the places and the words of the stored items, limit included."""
    plan = ran[0].plan
    for label in ("gsm8k", "mmlu[2/57]", "own_choices", "lm_nll"):
        (task,) = (one for one in plan.tasks if one.label == label)
        job = job_of(plan, task)
        assert job is not None
        found = [(one.part, one.split, one.subset, *one.items, one.text[:600]) for one in texts_of(task.engine)(job)]
        rows = items_of(ran, f"lm/{label}")
        assert found == [tuple(row[name] for name in ("part", "split", "subset", "item", "question")) for row in rows]
