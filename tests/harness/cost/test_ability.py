"""The cost of ability cells by hand: shared examples, rows, gold answers, batches; own files; paces and totals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ability_support import asked_with
from suites_support import ENGINES, harness, isolate, loaded, python, write

from harness.candidates.candidate import Candidate
from harness.cost.ability import work_of
from harness.cost.calibrate import stated
from harness.cost.calibrate_language import step_and_row
from harness.cost.estimate import (
    CELL_SECONDS,
    PART_SECONDS,
    cost_of,
    estimated_tokens,
    writes_of,
)
from harness.cost.own_prompts import long_one, text_tokens
from harness.cost.pace import LanguagePace, Pace
from harness.cost.prompt_facts import PromptFacts, facts_of, mean_of, row_of, shipped
from harness.cost.totals import most_expensive, totals
from harness.cost.work import Habits, batches_of, pile_of
from harness.plan.asked import CodeRun
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.sources.places import Sources
from harness.tasks.catalogue import catalogue

LETTERS = PromptFacts(
    requests=4, rows=1, lead=10, example=50, question=40, options=0, gold=0, answer=0, long_answer=0, fixed=True
)
"""As MMLU: four options that differ in one token are one row."""
WRITTEN = replace(LETTERS, requests=1, gold=30, answer=20, long_answer=45, fixed=False)
"""As GSM8K: examples drawn anew, an answer written and the gold one scored."""
PHRASES = replace(LETTERS, rows=3, options=9, question=40)
"""Options of several tokens: three rows."""
MODEL = "{name: base, encoder: mean-pool, model: some-org/some-model}"
WRITER = "{name: writer, encoder: rationale, model: some-org/some-model, generation: {max_new_tokens: 20}}"
LANGUAGE = LanguagePace(
    seconds_per_prompt_token=0.01, seconds_per_step=0.5, seconds_per_generated_token=0.1, batch_tokens=400
)
PACE = Pace(
    seconds_per_text=0.1, seconds_per_token=0.001, load_seconds=7, dimension=8, max_text_tokens=None, source="by hand",
    language=LANGUAGE,
)  # fmt: skip


def pile(facts: PromptFacts, items: int, *, shots: int = 0, most: int = 0, **habits: float):
    """Return the work of a part."""
    return pile_of(facts, items, asked_with(num_fewshot=shots, max_gen_toks=most), Habits(**habits))  # type: ignore[arg-type]


def plan_of(folder: Path, body: str, models: str = MODEL):
    """Return the plan of a suite, offline and with nothing there."""
    return make_plan(loaded(folder, f"models: [{models}]\n{body}").suite, Sources(offline=True))


# --- one part ---


@pytest.mark.parametrize(
    ("facts", "items", "shots", "tokens"),
    [
        (LETTERS, 7, 2, 10 + 2 * 50 + 7 * 40),  # description and examples once
        (LETTERS, 1, 2, 10 + 2 * 50 + 40),
        (LETTERS, 7, 0, 7 * 50),  # ten tokens are not worth sharing
        (replace(LETTERS, fixed=False), 7, 2, 7 * (10 + 100 + 40)),
        (replace(LETTERS, lead=100, fixed=False), 7, 2, 100 + 7 * (100 + 40)),  # the description is the same for all
        (WRITTEN, 7, 2, 7 * (10 + 100 + 40 + 30)),  # and the gold answer
        (PHRASES, 7, 2, 10 + 100 + 7 * (3 * 40 + 9)),  # examples shared by all, so the question is read three times
        (PHRASES, 7, 0, 7 * (10 + 40 + 9)),  # shared by the three rows of an item
        (replace(PHRASES, question=5), 7, 0, 7 * (3 * 15 + 9)),  # too short to share
    ],
)  # fmt: skip
def test_tokens_are_those_that_are_computed(facts, items, shots, tokens):
    """Beginnings of 32 tokens and more are read once."""
    assert pile(facts, items, shots=shots).tokens_in == tokens


def test_answers_are_as_long_as_the_examples_times_the_models_own_factor_up_to_the_limit():
    """Expected, the longest of a batch, and the limit."""
    one = pile(WRITTEN, 7, shots=2, most=40)
    assert (one.requests, one.answer, one.longest_answer, one.most, one.to_generate) == (7, 20, 40, 40, 140)
    chatty = pile(WRITTEN, 7, most=40, answer_factor=1.5, long_answer_factor=0.5)
    assert (chatty.answer, chatty.longest_answer) == (30, 22.5)
    assert pile(LETTERS, 7, most=40).most == 0  # nothing is written where likelihoods are compared


def test_prompts_longer_than_the_context_are_cut_and_share_nothing():
    """150 tokens in a context of 100: each row is cut to it, from the left."""
    cut = pile(LETTERS, 7, shots=2, context=100)
    assert (cut.tokens_in, cut.row_tokens) == (700, 100)
    assert pile(WRITTEN, 7, shots=2, most=40, context=100).row_tokens == 60


def test_batches_are_cut_by_prompt_and_limit_together():
    """150 + 50 tokens a row: five rows in 1000, so seven items are two batches of 3.5."""
    one = pile(WRITTEN, 7, shots=2, most=50)
    assert batches_of(one, 1000) == (2, 3.5)
    assert batches_of(one, 10) == (7, 1.0)


def test_repeated_answers_cost_as_often():
    """Three answers to each of seven items: twenty-one rows, five a batch; the gold answer is scored once."""
    run = CodeRun(repeats=3, pass_at=[1], timeout_seconds=3.0, memory_mib=1024, python="3.11", code_version=1)
    one = pile_of(WRITTEN, 7, asked_with(num_fewshot=2, max_gen_toks=50, code=run), Habits())
    assert (one.requests, one.to_generate, batches_of(one, 1000)) == (21, 21 * 20, (5, 4.2))
    assert one.tokens_in == 21 * 150 + 7 * 30


def test_facts_survive_the_file_and_their_mean_is_over_parts():
    """One list a part."""
    assert facts_of(json.loads(json.dumps(row_of(WRITTEN)))) == WRITTEN
    mean = mean_of([LETTERS, replace(LETTERS, question=60, fixed=False)])
    assert (mean.question, mean.fixed, mean.requests) == (50, False, 4)


# --- tasks of the catalogue ---


def test_shipped_facts_fit_the_catalogue():
    """Every measured part is one of the task; what was not measured is known."""
    tasks = catalogue().of_axis("ability")
    for name, parts in shipped().tasks.items():
        assert set(parts) <= set(tasks[name].subsets)
    assert [len(shipped().tasks[name]) for name in ("gsm8k", "mmlu", "bbh", "fever")] == [1, 52, 24, 1]
    assert "triviaqa" not in shipped().tasks


def test_mmlu_shares_its_examples_and_names_the_assumed_parts(tmp_path):
    """By hand from the facts of two subjects; virology_x is none, so five of 57 are assumed."""
    plan = plan_of(tmp_path, "tasks: {ability: [{name: mmlu, num_fewshot: 5, subtasks: [anatomy, virology]}]}\n")
    anatomy, virology = (shipped().tasks["mmlu"][name] for name in ("anatomy", "virology"))
    expected = sum(one.lead + 5 * one.example + n * one.question for one, n in ((anatomy, 135), (virology, 166)))
    cost = cost_of(plan.cells[0], None)
    assert (cost.items, cost.requests, cost.tokens_in) == (301, 4 * 301, round(expected))
    assert (cost.tokens_to_generate, cost.tokens_to_generate_at_most, cost.vector_bytes, cost.note) == (0, 0, 0, None)
    whole = plan_of(tmp_path, "tasks: {ability: [mmlu]}\n")
    assert cost_of(whole.cells[0], None).note == "5 of 57 parts assumed: the mean of the 52 measured"


def test_a_limit_is_of_each_part(tmp_path):
    """The first three of 27 subtasks."""
    plan = plan_of(tmp_path, "limit: 3\ntasks: {ability: [bbh]}\n")
    cost = cost_of(plan.cells[0], None)
    assert cost.items == 81
    assert cost.tokens_to_generate_at_most == 81 * 1024
    assert 0 < cost.tokens_to_generate < cost.tokens_to_generate_at_most


def test_what_was_not_measured_is_unknown_and_says_so(tmp_path):
    """No invented figure."""
    body = "tasks: {ability: [triviaqa, {name: lm_nll, dataset: openai/gsm8k, config: main, column: answer}]}\n"
    first, second = (cost_of(cell, None) for cell in plan_of(tmp_path, body).cells)
    assert (first.items, first.tokens_in, first.seconds) == (17944, None, None)
    assert first.note == "lengths unknown: no copy of its data was measured"
    assert second.note == "lengths unknown: dataset openai/gsm8k was not measured"


# --- own files ---


def own_task(folder: Path, **changes: object) -> str:
    """Write a task of five questions and two examples; return its entry in a suite."""
    config = {
        "task": "own", "dataset_path": "json", "output_type": "generate_until", "test_split": "test",
        "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}, "num_fewshot": 3,
        "dataset_kwargs": {"data_files": {"test": "test.jsonl", "shots": "shots.jsonl"}},
        "doc_to_text": "Q: {{q}}", "doc_to_target": "{{a}}", "target_delimiter": " ",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 6},
    } | changes  # fmt: skip
    write(folder / "own.yaml", json.dumps({key: value for key, value in config.items() if value is not None}))
    write(folder / "test.jsonl", (json.dumps({"q": "x" * 81, "a": "y" * 20, "o": ["red", "a blue hat"]}) + "\n") * 5)
    write(folder / "shots.jsonl", (json.dumps({"q": "x" * 39, "a": "y" * 42, "o": ["red", "a blue hat"]}) + "\n") * 2)
    return f"{{name: own, file: {folder / 'own.yaml'}}}"


def test_own_templates_are_rendered(tmp_path):
    """By `text_tokens`: 13 a question, 7 + 6 + 1 an example, 3 a gold answer; three examples are worth sharing."""
    cost = cost_of(plan_of(tmp_path, f"tasks: {{ability: [{own_task(tmp_path)}]}}\n").cells[0], PACE)
    assert cost.items == cost.requests == 5
    assert cost.tokens_in == 3 * 14 + 5 * (13 + 3)
    assert (cost.tokens_to_generate, cost.tokens_to_generate_at_most) == (30, 30)  # six tokens each


def test_own_options_are_rows(tmp_path):
    """`red` is one token and needs no row of its own beside the question's; `a blue hat` is three tokens."""
    entry = own_task(tmp_path, output_type="multiple_choice", doc_to_choice="{{o}}", doc_to_target=1, num_fewshot=2)
    cost = cost_of(plan_of(tmp_path, f"tasks: {{ability: [{entry}]}}\n").cells[0], None)
    assert cost.requests == 10
    assert cost.tokens_in == 5 * (2 * (7 + 3 + 1) + 13 + 2)  # 22 tokens of examples: shared by an item's rows alone
    assert [text_tokens(text) for text in ("red", "a blue hat", "photosynthesis", "")] == [1, 3, 2, 0]
    assert text_tokens("3 x 18 = 54.\n\nSo?") == 11


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"doc_to_text": "functions.question"}, "doc_to_text is the function or constant 'functions.question'"),
        ({"doc_to_text": "{{nothing}}"}, "doc_to_text does not fit the rows: 'nothing' is undefined"),
        ({"dataset_path": "some/dataset", "dataset_kwargs": None}, "its data are no JSON lines named by split"),
        ({"process_docs": "functions.docs"}, "its rows are made by a Python function (process_docs)"),
        ({"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}}, "no such file: gone.jsonl"),
    ],
)
def test_own_files_that_cannot_be_rendered_are_unknown(tmp_path, changes, reason):
    """With the reason, and no figure."""
    (task,) = resolve_tasks(loaded(tmp_path, f"tasks: {{ability: [{own_task(tmp_path, **changes)}]}}\n").suite)
    work = work_of(task, Habits())
    assert work.piles == ()
    assert work.note == f"lengths unknown: {reason}"


def test_texts_of_lm_nll_are_cut_at_their_limit(tmp_path):
    """Words of 42 and 84 letters are six and eleven tokens, cut at ten."""
    write(tmp_path / "texts.jsonl", "".join(json.dumps({"t": "x" * n}) + "\n" for n in (42, 84)))
    body = f"tasks: {{ability: [{{name: lm_nll, file: {tmp_path / 'texts.jsonl'}, column: t, max_text_tokens: 10}}]}}\n"
    cost = cost_of(plan_of(tmp_path, body).cells[0], None)
    assert (cost.items, cost.tokens_in, cost.tokens_to_generate) == (2, 16, 0)


# --- seconds ---


def test_seconds_are_reading_and_steps(tmp_path):
    """Own task: rows of 55 + 6 tokens, so five rows are one batch of six steps."""
    (cell,) = plan_of(tmp_path, f"tasks: {{ability: [{own_task(tmp_path)}]}}\n").cells
    tokens = 122
    steps = 6 * (0.5 + 5 * 0.1)
    assert cost_of(cell, PACE).seconds == pytest.approx(CELL_SECONDS + PART_SECONDS + 0.01 * tokens + steps)
    two = replace(PACE, language=replace(LANGUAGE, batch_tokens=300))  # four rows: two batches of 2.5
    steps = 2 * 6 * (0.5 + 2.5 * 0.1)
    assert cost_of(cell, two).seconds == pytest.approx(CELL_SECONDS + PART_SECONDS + 0.01 * tokens + steps)


def test_a_stated_pace_reads_and_writes_at_two_speeds(tmp_path):
    """Without that of writing, cells that write have no time and say so in the totals."""
    plan = plan_of(tmp_path, "limit: 10\ntasks: {ability: [gsm8k, {name: mmlu, subtasks: [anatomy]}]}\n")
    reading = [(cell, cost_of(cell, stated(100))) for cell in plan.cells]
    assert [cost.seconds is None for _, cost in reading] == [True, False]
    assert totals(reading, {"base": stated(100)}).untimed == 1
    cost = cost_of(plan.cells[0], stated(100, 10))
    assert cost.seconds == pytest.approx(
        CELL_SECONDS + PART_SECONDS + cost.tokens_in / 100 + cost.tokens_to_generate / 10, rel=1e-3
    )


def test_a_step_costs_a_share_and_a_share_a_row():
    """0.2 + rows x 0.1, both found again; noise that would make one negative does not."""
    assert step_and_row(0.3, 1.0, few_rows=1, many_rows=8) == pytest.approx((0.2, 0.1))
    assert step_and_row(0.3, 0.2, few_rows=1, many_rows=8) == (0.3, 0.0)
    assert step_and_row(0.1, 1.6, few_rows=1, many_rows=8) == pytest.approx((0.0, 0.2))


def test_long_answers_are_the_higher_neighbour():
    """Of two lengths the longer; of twenty the last but one."""
    assert (long_one([3, 9]), long_one(list(range(1, 22))), long_one([])) == (9, 20, 0.0)


# --- rationales ---


def test_rationales_are_counted_on_every_unique_text(tmp_path):
    """STSBenchmark: 2593 distinct texts, 20 tokens each at most; as long as measured once that is known."""
    plan = plan_of(tmp_path, "tasks: {embedding: {names: [STSBenchmark]}}\n", f"{MODEL}, {WRITER}")
    writes = writes_of(plan)
    assert writes == {"base": 0, "writer": 20}
    plain, written = plan.cells
    assert cost_of(plain, None, writes=0).tokens_to_generate == 0
    unknown = cost_of(written, None, writes=20)
    assert unknown.tokens_to_generate == unknown.tokens_to_generate_at_most == 2593 * 20
    assert unknown.note == "rationales are taken to be as long as they may be"
    measured = cost_of(written, replace(PACE, generated_per_text=7.5), writes=20)
    assert (measured.tokens_to_generate, measured.tokens_to_generate_at_most) == (round(2593 * 7.5), 2593 * 20)
    assert measured.seconds == pytest.approx(2593 * 0.1 + measured.tokens_in * 0.001 + CELL_SECONDS)
    assert cost_of(written, stated(100), writes=20).seconds is None
    read = cost_of(plain, stated(100)).seconds
    assert cost_of(written, stated(100, 10), writes=20).seconds == pytest.approx(read + 2593 * 20 / 10)


def test_of_an_untrained_candidate_nobody_knows_what_it_writes(tmp_path):
    """Unknown, not nothing."""
    plan = plan_of(tmp_path, "tasks: {embedding: {names: [BIOSSES]}}\n", "{name: later, candidate: runs/later}")
    assert writes_of(plan) == {"later": None}
    cost = cost_of(plan.cells[0], PACE, writes=None)
    assert (cost.tokens_to_generate, cost.seconds) == (None, None)
    assert cost.tokens_in > 0


# --- a plan ---


def test_the_most_expensive_are_ranked_over_both_axes(tmp_path):
    """By tokens while no pace is known, by seconds where all are."""
    body = "tasks: {embedding: {names: [BIOSSES, STSBenchmark]}, ability: [{name: mmlu, subtasks: [anatomy]}, gsm8k]}\n"
    plan = plan_of(tmp_path, body)
    costs = [(cell, cost_of(cell, None)) for cell in plan.cells]
    ranked, unit = most_expensive(costs)
    assert unit == "tokens"
    assert [name for name, _ in ranked] == ["gsm8k", "STSBenchmark", "mmlu[1/57]", "BIOSSES"]
    ranked, unit = most_expensive([(cell, cost_of(cell, PACE)) for cell in plan.cells])
    assert unit == "seconds"
    assert ranked[0][0] == "gsm8k"
    assert estimated_tokens(plan.tasks) == pytest.approx(sum(tokens for _, tokens in most_expensive(costs)[0]), rel=0.1)


def test_totals_add_up(tmp_path):
    """Items, requests, tokens and seconds of what is known; the model is loaded once."""
    plan = plan_of(tmp_path, "limit: 5\ntasks: {ability: [fever, triviaqa]}\n")
    costs = [(cell, cost_of(cell, PACE)) for cell in plan.cells]
    summed = totals(costs, {"base": PACE})
    fever = costs[0][1]
    assert (summed.items, summed.requests, summed.unknown, summed.untimed) == (5, 10, 1, 0)
    assert (summed.tokens_in, summed.seconds) == (fever.tokens_in, fever.seconds + 7 + 10)


def test_na_cells_cost_nothing_and_are_not_unknown(tmp_path, monkeypatch):
    """An encoder without a language model."""
    isolate(monkeypatch, tmp_path)
    plan = plan_of(tmp_path, "tasks: {ability: [gsm8k]}\n", "{name: floor, encoder: tf-idf}")
    assert isinstance(plan.candidates[0], Candidate)
    assert cost_of(plan.cells[0], PACE).tokens_in is None


def test_a_large_plan_is_quick_and_imports_no_engine(tmp_path):
    """56 + 6 tasks x 6 models, both axes, under two seconds of this process."""
    models = ", ".join(MODEL.replace("base", f"base{number}") for number in range(6))
    body = f"extends: [mteb-eng-v1.yaml, ability.yaml]\nmodels: [{models}]\n"
    suite = write(tmp_path / "big.yaml", f"version: 1\nname: big\n{body}")
    code = f"""
import sys, time
started = time.process_time()
from pathlib import Path
from harness.cli.pacing import Pacing
from harness.cli.plan import show
from harness.sources.places import Sources
from harness.plan.asked import CodeRun
from harness.plan.planner import make_plan
from harness.results.store import Store
from harness.suite.load import load_suite
loaded = load_suite({str(suite)!r})
plan = make_plan(loaded.suite, Sources(offline=True))
pacing = Pacing(tokens_per_second=300, generated_per_second=50)
show(loaded, plan, Store(Path("results")), pacing=pacing, as_json=True)
print(len(plan.cells), time.process_time() - started, file=sys.stderr)
assert not set({ENGINES!r}) & set(sys.modules)
"""
    done = python(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cells, seconds = done.stderr.split()[-2:]
    assert int(cells) == 62 * 6
    assert float(seconds) < 2


def test_the_plan_as_a_user_sees_it(tmp_path):
    """Both axes, what is to be written, what is assumed, and the flags that state a pace."""
    suite = write(
        tmp_path / "mine.yaml",
        f"version: 1\nname: mine\nmodels: [{MODEL}, {WRITER}]\nlimit: 10\n"
        "tasks: {embedding: {names: [BIOSSES]}, ability: [mmlu, triviaqa]}\n",
    )
    done = harness("plan", suite, "--offline", "--tokens-per-second", "300", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 of 57 parts assumed" in done.stdout
    assert "lengths unknown: no copy of its data was measured" in done.stdout
    assert "most expensive, all models together: mmlu" in done.stdout
    wrong = harness("plan", suite, "--offline", "--generated-per-second", "30", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--generated-per-second, the pace of writing, goes with a stated pace of reading" in wrong.stderr
