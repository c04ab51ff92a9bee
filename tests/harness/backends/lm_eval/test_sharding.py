"""Cells of the ability axis made in shards, against the same cells run whole by lm-eval; and what is no shard's."""

from __future__ import annotations

import json
import math
import re
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ability_support import SUBJECTS, ability_hub, save_tiny_lm, suite_text

from harness import sandbox
from harness.backends.interface import Job, Outcome, sharding_of
from harness.backends.lm_eval import sharding
from harness.backends.lm_eval.answers import KeptAnswers, answers_for, ids_of
from harness.backends.lm_eval.evaluate import evaluate
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError
from harness.plan.cells import Plan, dataset_name
from harness.plan.planner import make_plan
from harness.shards.files import ShardFiles
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.shipped import shipped_folder
from harness.tasks.humaneval import DATASET, SUBSET

SHORT = {"max_gen_toks": 12}
SAMPLED = {"generation": {"do_sample": True, "temperature": 0.9}}
CODE = {"name": "humaneval", "allow_code_execution": True, "max_gen_toks": 8, "timeout_seconds": 20.0}
MMLU = {"name": "mmlu", "num_fewshot": 3, "subtasks": list(SUBJECTS[:2])}
GSM8K = {"name": "gsm8k", "num_fewshot": 2, **SHORT}
WITHIN = 1e-6
OF_NATS = 1e-5
"""Of a figure that is the exponential of nats a word: their rounding, which hangs on a batch's shape, is as many times
larger there as there are nats."""
NATS_AND_FLAG = re.compile(r"\(-?[\d.e-]+, (True|False)\)")
NOT_COMPARED = ("run_seconds", "seconds", "prompt_tokens", "computed_tokens", "shared_prefixes", "code")
"""What takes time, and what depends on prefixes, which are shared within a shard."""


def demo(name: str, **changes: Any) -> dict[str, Any]:
    """Return one of the task files that ship with the suites, as a user's own."""
    return {"name": name, "file": str(shipped_folder() / f"data/ability/demo_{name}.yaml"), "num_fewshot": 1, **changes}


TASKS = {
    "choices of several parts": (MMLU, None, 3),
    "choices of several parts, limited": (MMLU, 2, 3),
    "examples drawn anew each question": (GSM8K, None, 2),
    "chat template": ({**GSM8K, "chat_template": True}, 5, 2),
    "several answers to choose from": ({**GSM8K, **SAMPLED}, None, 4),
    "parts with answers": ({"name": "bbh", "num_fewshot": 1, "subtasks": ["navigate", "snarks"], **SHORT}, None, 3),
    "own choices": (demo("choices"), 7, 3),
    "own choices with a chat template": (demo("choices", chat_template=True), 7, 5),
    "own problems": (demo("word_problems", **SHORT), 5, 4),
}
"""Entry of a suite, limit, and how many questions a shard holds at most."""


OWN_TASK = {
    "task": "odd", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}}, "num_fewshot": 1,
    "test_split": "test", "fewshot_split": "test", "doc_to_text": "{{q}}", "doc_to_target": "{{a}}",
}  # fmt: skip
OWN_KINDS = {
    "continuations": {"output_type": "loglikelihood", "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}]},
    "choices by themselves as well": {
        "output_type": "multiple_choice", "doc_to_choice": ["pear", "plum"],
        "metric_list": [{"metric": "acc"}, {"metric": "acc_mutual_info"}, {"metric": "f1", "aggregation": "f1"}],
    },
    "a vote of three sampled answers": {
        "output_type": "generate_until", "repeats": 3, "metric_list": [{"metric": "exact_match"}],
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 6, "do_sample": True, "temperature": 1.0},
        "filter_list": [{"name": "vote", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]}],
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _own_data_cache(tmp_path_factory) -> Iterator[None]:
    """Keep what `datasets` unpacks out of the user's cache."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with two models and a hub."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("sharding")
    save_tiny_lm(folder / "lm")
    save_tiny_lm(folder / "other", seed=1)
    ability_hub(folder / "hub/datasets")
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": f"So {n}"}) + "\n" for n in range(9)), "utf-8")
    data = folder / "hub/datasets" / DATASET
    (data / SUBSET).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([_problem(word) for word in ("plum", "road", "hill", "coin", "lamp")]),
                   data / SUBSET / "test.parquet")  # fmt: skip
    card = f"---\nconfigs:\n- config_name: {SUBSET}\n  data_files:\n  - split: test\n"
    (data / "README.md").write_text(f"{card}    path: {SUBSET}/test.parquet\n---\n", encoding="utf-8")
    return folder


def _problem(word: str) -> dict[str, str]:
    return {
        "task_id": f"Invented/{word}",
        "prompt": f'def {word}(n):\n    """Return {word!r} n times."""\n',
        "canonical_solution": f"    return {word!r} * n\n",
        "test": f"\n\ndef check(candidate):\n    assert candidate(3) == {word * 3!r}\n",
        "entry_point": word,
    }


def plan_of(root: Path, entry: dict[str, Any], *, limit: int | None = None, model: str = "lm") -> Plan:
    """Return the plan of one task over the invented hub."""
    path = root / "suite.yaml"
    path.write_text(suite_text(root / model, [entry], limit=limit), encoding="utf-8")
    return make_plan(load_suite(path).suite, Sources(hub=root / "hub", offline=True))


def job_of(plan: Plan, results: Path, *, most: int) -> Job:
    """Return the tiny model's cell, with a folder for shards of at most `most` questions."""
    cell = next(one for one in plan.cells if one.model == "lm")
    assert cell.key is not None, cell.reason
    return Job(
        cell=cell,
        data={info.name: plan.datasets[dataset_name(info)] for info in cell.task.parts},
        seed=plan.suite.seed,
        fingerprint="f",
        native_folder=results / "native",
        files=ShardFiles(results / "shards"),
        max_questions=most,
    )


def encoder_of(plan: Plan) -> CheckedEncoder:
    """Load the model anew."""
    return loading.load(next(one for one in plan.candidates if one.name == "lm"), use_cache=False)


def made(job: Job, plan: Plan) -> list[Any]:
    """Cut a cell and make its shards the last first, each as if on another machine."""
    shards = sharding.shards(job, sharding.load(job), encoder_of(plan))
    for shard in reversed(shards):
        encoder = encoder_of(plan)
        assert not sharding.is_made(job, shard, encoder)
        sharding.make(job, sharding.load(job), shard, encoder)
        assert sharding.is_made(job, shard, encoder)
    return shards


@contextmanager
def silent(encoder: CheckedEncoder) -> Iterator[None]:
    """Have the model raise where anything is asked of it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was asked")

    with pytest.MonkeyPatch.context() as patch:
        inside = encoder.causal_lm()
        assert inside is not None
        patch.setattr(inside.model, "forward", refuse)
        yield


def looked_up(job: Job, plan: Plan, shards: list[Any]) -> tuple[Outcome, dict[str, Any]]:
    """Score a cell with a model that must not be asked anything."""
    encoder = encoder_of(plan)
    with silent(encoder), sharding.using(job, shards, encoder) as facts:
        return evaluate(job, encoder), facts


def assert_same(found: Outcome, whole: Outcome) -> None:
    """The score and all that is stored beside it: texts and flags are equal, nats to rounding."""
    rel = OF_NATS if "perplexity" in {one.name for one in whole.metrics} else WITHIN
    for name in ("metric", "n", "unit", "score"):
        assert_close(getattr(found, name), getattr(whole, name), rel, at=name)
    for one, other in ((found.interval, whole.interval), *zip(found.metrics, whole.metrics, strict=True)):
        assert_close(one and asdict(one), other and asdict(other), rel, at=f"{other}")
    assert_close(found.items.to_pylist(), whole.items.to_pylist(), WITHIN, at="items")
    assert_close(found.facts["ability"], whole.facts["ability"], rel, at="facts")


def assert_close(found: Any, wanted: Any, rel: float, *, at: str) -> None:
    """The same, numbers to rounding; what takes time, and what is counted a shard, is not looked at."""
    found, wanted = unpacked(found), unpacked(wanted)
    if isinstance(wanted, dict):
        assert set(found) == set(wanted), at
        for name in set(wanted) - set(NOT_COMPARED):
            assert_close(found[name], wanted[name], rel, at=f"{at}.{name}")
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), at
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_close(one, other, rel, at=f"{at}[{place}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=WITHIN, rel=rel, nan_ok=True), at
    else:
        assert found == wanted, at


def unpacked(value: Any) -> Any:
    """Return an answer that is written `(nats, whether greedy)` as both; all else as it is."""
    return literal_eval(value) if isinstance(value, str) and NATS_AND_FLAG.fullmatch(value) else value


@pytest.mark.parametrize(("entry", "limit", "most"), TASKS.values(), ids=TASKS)
def test_a_cell_made_in_shards_is_the_cell_run_whole(root, tmp_path, entry, limit, most):
    """Any order, any machine; what is scored was all looked up, prompts with their drawn examples included."""
    plan = plan_of(root, entry, limit=limit)
    job = job_of(plan, tmp_path, most=most)
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan)
    found, facts = looked_up(job, plan, shards)
    assert len(shards) == math.ceil(whole.n / most) > 1
    borders = [one.start for one in shards] + [whole.n]
    assert borders == [0] + [one.stop for one in shards]
    assert max(one.stop - one.start for one in shards) <= most
    assert (facts["count"], facts["remade"]) == (len(shards), [])
    assert facts["hardware"][0]["threads"] >= 1
    assert_same(found, whole)


@pytest.mark.parametrize("kind", OWN_KINDS.values(), ids=OWN_KINDS)
def test_every_kind_of_own_task_is_the_same_in_shards(root, tmp_path, kind):
    """Figures that are no mean over questions, repeats of a user's own, and questions that are there twice."""
    rows = [{"q": f"So \U0001f600 what is {number}?", "a": "plum"} for number in (1, 2, 3, 1, 1, 7)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(OWN_TASK | kind), encoding="utf-8")
    plan = plan_of(root, {"name": "odd", "file": str(tmp_path / "odd.yaml")})
    job = job_of(plan, tmp_path, most=2)
    whole = evaluate(job, encoder_of(plan))
    found, _ = looked_up(job, plan, made(job, plan))
    assert_same(found, whole)


@pytest.mark.parametrize("more", [{}, {"repeats": 2, **SAMPLED}], ids=["greedy", "two sampled answers"])
def test_programs_are_run_when_the_cell_is_scored_and_answers_are_the_same(root, tmp_path, monkeypatch, more):
    """Nothing is run while shards are made; each of several answers to a problem is looked up."""
    if missing := sandbox.available():
        pytest.skip(missing)
    plan = plan_of(root, {**CODE, **more})
    job = job_of(plan, tmp_path, most=2)
    whole = evaluate(job, encoder_of(plan))
    with monkeypatch.context() as patch:
        patch.setattr("harness.backends.lm_eval.humaneval.run_programs", lambda *_, **__: pytest.fail("a program ran"))
        shards = made(job, plan)
    found, _ = looked_up(job, plan, shards)
    assert_same(found, whole)
    assert found.facts["ability"]["code"]["outcomes"] == whole.facts["ability"]["code"]["outcomes"]


def test_answers_to_programs_are_kept_without_a_sandbox(root, tmp_path):
    """Both sampled answers of each problem, in order: what a machine without bubblewrap can make."""
    plan = plan_of(root, {**CODE, "repeats": 2, **SAMPLED})
    job = job_of(plan, tmp_path, most=2)
    whole = replace(job, max_questions=5)
    loaded = sharding.load(job)
    encoder = encoder_of(plan)
    questions = loaded.ask_for(job, encoder)
    lm = sharding.language_model(encoder, loaded.tasks, chat_template=False)
    answers = lm.generate_until([own[0] for own in questions for _ in range(2)])
    assert sharding.shards(whole, loaded, encoder) == []
    shards = made(job, plan)
    rows = [row for one in shards for row in job.files.get(sharding._maker(job), one.ids).lines("answers")]
    assert [answer for row in rows for answer in row["requests"][0]["answers"]] == answers
    assert len(set(answers)) > len(questions)


def test_what_it_took_is_what_the_shards_took(root, tmp_path):
    """Tokens are summed over the shards; questions count as progress where they are answered, and not once more."""
    plan = plan_of(root, GSM8K)
    job = job_of(plan, tmp_path, most=2)
    whole = evaluate(job, encoder_of(plan)).facts["ability"]
    encoder, loaded = encoder_of(plan), sharding.load(job)
    told: list[int] = []
    encoder.progress = told.append
    shards = sharding.shards(job, loaded, encoder)
    assert told == []
    for shard in shards:
        sharding.make(job, loaded, shard, encoder)
    assert sum(told) == shards[-1].stop
    with sharding.using(job, shards, encoder):
        found = evaluate(job, encoder).facts["ability"]
    assert sum(told) == shards[-1].stop
    assert found["prompt_tokens"] == whole["prompt_tokens"]
    assert found["generated_tokens"] == whole["generated_tokens"] > 0
    assert found["computed_tokens"] > found["generated_tokens"]
    assert found["batch_tokens"] == whole["batch_tokens"]


@pytest.mark.parametrize("entry", [GSM8K, MMLU], ids=["answers", "choices"])
@pytest.mark.parametrize("what", ["payload", "record gone"])
def test_a_damaged_shard_is_answered_again_and_named(root, tmp_path, entry, what):
    """Its questions alone are asked; the score is that of the whole cell."""
    plan = plan_of(root, entry)
    job = job_of(plan, tmp_path, most=4)
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan)
    record = job.files.place(sharding._maker(job), shards[1].ids)
    if what == "payload":
        (payload,) = record.parent.glob(f"{record.stem}.*.jsonl")
        payload.write_bytes(payload.read_bytes().replace(b"e", b"f", 1))
    else:
        record.unlink()
    encoder = encoder_of(plan)
    told: list[int] = []
    encoder.progress = told.append
    with sharding.using(job, shards, encoder) as facts:
        found = evaluate(job, encoder)
    assert facts["remade"] == [shards[1].name]
    assert facts["count"] == len(shards)
    assert sum(told) == shards[1].stop - shards[1].start
    assert len(job.files.damaged) == (what == "payload")
    assert_same(found, whole)
    assert found.facts["ability"]["generated_tokens"] == whole.facts["ability"]["generated_tokens"]


def test_other_questions_than_those_of_the_shard_are_refused(root, tmp_path):
    """Other examples, as of another lm-eval; fewer documents; the message says what to look at."""
    plan = plan_of(root, GSM8K)
    job = job_of(plan, tmp_path, most=2)
    shard = sharding.shards(job, sharding.load(job), encoder_of(plan))[1]
    loaded = sharding.load(job)
    for task in loaded.tasks.values():
        task.set_fewshot_seed(7)
    with pytest.raises(HarnessError, match=r"gsm8k test/main \[2:4\]: the questions here are not those.*same data"):
        sharding.make(job, loaded, shard, encoder_of(plan))
    loaded = sharding.load(job)
    loaded.ask_for(job, encoder_of(plan))
    loaded.questions = loaded.questions[:3]
    with pytest.raises(HarnessError, match="not those that the shard was cut from"):
        sharding.make(job, loaded, shard, encoder_of(plan))
    assert not sharding.is_made(job, shard, encoder_of(plan))


def test_another_solution_is_another_question(root, tmp_path):
    """Its nats are in the shard, though the prompt is the same."""
    plan = plan_of(root, GSM8K)
    job = job_of(plan, tmp_path, most=2)
    shards = sharding.shards(job, sharding.load(job), encoder_of(plan))
    loaded = sharding.load(job)
    request = loaded.ask_for(job, encoder_of(plan))[2][0]
    request.doc = {**request.doc, "answer": "#### 3"}
    with pytest.raises(HarnessError, match="prompts and gold answers"):
        sharding.make(job, loaded, shards[1], encoder_of(plan))
    sharding.make(job, loaded, shards[0], encoder_of(plan))


def test_few_questions_and_texts_are_one_piece(root, tmp_path):
    """As many as a shard holds, none cut; a limit counts; `lm_nll` has no questions."""
    plan = plan_of(root, GSM8K)
    encoder = encoder_of(plan)
    job = job_of(plan, tmp_path, most=6)
    assert sharding.shards(job, sharding.load(job), encoder) == []
    assert len(sharding.shards(replace(job, max_questions=5), sharding.load(job), encoder)) == 2
    limited = job_of(plan_of(root, GSM8K, limit=3), tmp_path, most=3)
    assert sharding.shards(limited, sharding.load(limited), encoder) == []
    texts = job_of(plan_of(root, {"name": "lm_nll", "file": "texts.jsonl", "column": "text"}), tmp_path, most=2)
    assert sharding.shards(texts, sharding.load(texts), encoder) == []


def test_texts_whose_whole_likelihood_is_asked_for_are_one_piece(root, tmp_path):
    """An own task of lm-eval's rolling kind keeps no trace."""
    plan = plan_of(root, demo("choices"), limit=4)
    job = job_of(plan, tmp_path, most=2)
    loaded = sharding.load(job)
    for task in loaded.tasks.values():
        task.OUTPUT_TYPE = "loglikelihood_rolling"
    assert sharding.shards(job, loaded, encoder_of(plan)) == []


def test_no_other_cell_sees_the_answers(root, tmp_path):
    """Neither another model's, asked the same questions inside the context, nor anybody's after it."""
    plan, other = plan_of(root, MMLU), plan_of(root, MMLU, model="other")
    job, others = job_of(plan, tmp_path, most=3), job_of(other, tmp_path, most=3)
    whole = evaluate(others, encoder_of(other))
    shards = made(job, plan)
    assert [one.ids for one in sharding.shards(others, sharding.load(others), encoder_of(other))] == [
        one.ids for one in shards
    ]
    assert not any(sharding.is_made(others, shard, encoder_of(other)) for shard in shards)
    with sharding.using(job, shards, encoder_of(plan)):
        assert answers_for(job) is not None
        inside = evaluate(others, encoder_of(other))
    assert inside.items.equals(whole.items)
    with pytest.raises(RuntimeError), sharding.using(job, shards, encoder_of(plan)):
        raise RuntimeError
    assert answers_for(job) is None


@pytest.mark.parametrize("value", [-math.inf, math.nan], ids=["impossible", "broken"])
def test_likelihoods_that_are_no_numbers_are_kept_as_they_are(root, tmp_path, value):
    """A token that cannot be has -inf nats, and a model that breaks over a prompt gives NaN: what a whole run has."""
    plan = plan_of(root, demo("choices"), limit=4)
    job = job_of(plan, tmp_path, most=2)
    encoder = encoder_of(plan)
    inside = encoder.causal_lm()
    assert inside is not None
    (banned,) = inside.tokenizer.encode("e", add_special_tokens=False)
    lm = sharding.language_model(encoder, sharding.load(job).tasks, chat_template=False)  # probed while it is sound

    def spoil(_: Any, __: Any, logits: Any) -> Any:
        logits[..., banned] = value
        return logits

    inside.model.lm_head.register_forward_hook(spoil)
    loaded = sharding.load(job)
    shards = sharding.shards(job, loaded, encoder)
    for shard in shards:
        sharding.make(job, loaded, shard, encoder)
    lm = sharding.language_model(encoder, loaded.tasks, chat_template=False)
    wanted = lm.loglikelihood([one for own in loaded.ask_for(job, encoder) for one in own])
    kept = KeptAnswers(cell=str(job.cell.key))
    for shard in shards:
        kept.add(job.files.get(sharding._maker(job), shard.ids))
    looking = sharding.language_model(encoder, loaded.tasks, chat_template=False, kept=kept)
    found = looking.loglikelihood([one for own in loaded.ask_for(job, encoder) for one in own])
    nats = np.array([one for one, _ in wanted])
    assert not np.isfinite(nats).all()
    assert np.allclose([one for one, _ in found], nats, rtol=WITHIN, atol=WITHIN, equal_nan=True)
    assert [flag for _, flag in found] == [flag for _, flag in wanted]


@pytest.mark.parametrize("entry", [GSM8K, MMLU], ids=["answers", "choices"])
def test_where_the_batches_are_the_same_so_is_every_bit(root, tmp_path, entry):
    """One shard that is the whole cell: what was written and read again is what was computed."""
    plan = plan_of(root, entry)
    job = job_of(plan, tmp_path, most=4)
    encoder, loaded = encoder_of(plan), sharding.load(job)
    whole = evaluate(job, encoder)
    keys = loaded.keys(loaded.ask_for(job, encoder))
    first = sharding.shards(job, loaded, encoder)[0]
    everything = replace(first, stop=len(keys), ids=ids_of(keys))
    sharding.make(job, loaded, everything, encoder)
    found, _ = looked_up(job, plan, [everything])
    assert found.items.equals(whole.items)
    assert (found.score, found.interval, found.metrics) == (whole.score, whole.interval, whole.metrics)
    assert found.facts["ability"] == whole.facts["ability"]


def test_a_shard_weighs_what_is_read_and_written(root, tmp_path):
    """By hand: characters / 4, options behind one prompt, and 20 for each of 12 tokens that may be written."""
    for entry, written in ((GSM8K, 240.0), (MMLU, 0.0)):
        plan = plan_of(root, entry)
        job = job_of(plan, tmp_path, most=4)
        loaded = sharding.load(job)
        shards = sharding.shards(job, loaded, encoder_of(plan))
        texts = [own[0].args[0] + "".join(one.args[1] for one in own if not written) for own in loaded.questions]
        assert sum(one.weight for one in shards) == pytest.approx(sum(len(one) / 4 + written for one in texts))


def test_the_table_of_engines_names_this_module():
    """It has what the protocol asks for."""
    found = sharding_of("lm-eval")
    assert found is sharding
    assert all(callable(getattr(found, name)) for name in ("load", "shards", "is_made", "make", "using"))
