"""HumanEval's answers to scores: cut out the code, run it in the sandbox, pass@k; one part's items, plain values.

What differs from lm-eval's own task: programs run in `harness.sandbox` and not through `evaluate.load("code_eval")`;
the program is the same text, `prompt + completion + test + check(entry_point)`, as in openai/human-eval. A program
that ran out of time beside others is run once more alone, and the second outcome holds.
"""

from __future__ import annotations

import builtins
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from harness.backends.lm_eval.items import PartItems
from harness.errors import HarnessError
from harness.plan.asked import AskedWith, CodeRun
from harness.plan.lm_eval_files import own_task
from harness.sandbox.pool import Limits
from harness.sandbox.programs import Outcome, run_programs, version
from harness.sources.places import Located
from harness.suite.shipped import shipped_folder
from harness.tasks.humaneval import DATASET, DEFAULTS, FILTER, PROBLEMS, SUBSET, samples

TASKS = ("humaneval", "humaneval_instruct")
MIB = 1 << 20
FENCE = "```"
FENCED = ("humaneval_instruct",)
"""Tasks whose answer stands in a code block that the prompt opened."""
TIMED_OUT = "timed out"
SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")


class Scored(NamedTuple):
    """One part's items, and what a report says beside its score."""

    items: PartItems
    facts: dict[str, Any]


def describe(name: str) -> dict[str, Any]:
    """Return the catalogue's entry of a task, read from its file in `suites/tasks/humaneval`."""
    config = own_task(task_file(name))
    generation = dict(config["generation_kwargs"])
    defaults = {
        "num_fewshot": config["num_fewshot"],
        "filter": FILTER,
        "until": generation.pop("until"),
        "max_gen_toks": generation.pop("max_gen_toks"),
        "generation": generation,
        **DEFAULTS,
    }
    return {
        "type": "Code",
        "main_score": "pass@1",
        "splits": [config["test_split"]],
        "subsets": {SUBSET: ["eng-Latn"]},
        "dataset": DATASET,
        "revision": None,
        "runs_code": True,
        "counts": {config["test_split"]: {SUBSET: [PROBLEMS, PROBLEMS, PROBLEMS, 0, 0]}},
        "ability": {
            "output_type": config["output_type"],
            "part_prefix": None,
            "fewshot_split": None,
            "filters": [FILTER],
            "version": config["metadata"]["version"],
            "defaults": defaults,
        },
    }


def task_file(name: str) -> Path:
    """Return the lm-eval file of a task, which ships with the suites."""
    return shipped_folder() / "tasks/humaneval" / f"{name}.yaml"


def load(name: str, place: Located) -> Any:
    """Return the lm-eval task over the problems at `place`: a dataset's folder, its name on the hub, or JSON lines."""
    from lm_eval.tasks import TaskManager

    changed: dict[str, Any] = {"include": str(task_file(name).resolve()), "task": name}
    if Path(place.load_from).is_file():
        changed |= {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": place.load_from}}}
    else:
        changed["dataset_path"] = place.load_from
        if place.revision:
            changed["dataset_kwargs"] = {"revision": place.revision}
    with TemporaryDirectory() as folder:  # lm-eval takes no overrides with a path
        wrapper = Path(folder) / f"{name}.yaml"
        wrapper.write_text(yaml.safe_dump(changed), encoding="utf-8")
        loaded: dict[str, Any] = TaskManager(include_defaults=False).load([str(wrapper)])["tasks"]
    return loaded[name]


def gold_after(prompt: str, solution: str) -> str:
    """Return the canonical solution as it follows a prompt; some chat templates strip the line break before it."""
    return solution if prompt.endswith("\n") else f"\n{solution}"


def completion_of(answer: str, *, is_fenced: bool) -> str:
    """Return the code in an answer: all of it, or what stands before the first code fence."""
    return answer.partition(FENCE)[0] if is_fenced else answer


def program_of(problem: Mapping[str, str], completion: str) -> str:
    """Return the program that decides about a completion; it passes if it runs to its end."""
    return f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"


def pass_at_k(answers: int, right: int, k: int) -> float:
    """Return the unbiased estimate that at least one of `k` answers is right, from `right` of `answers`.

    1 - C(n - c, k) / C(n, k), as a product, so that no large binomial is ever formed: 1 - prod over i from n - c + 1 to
    n of (1 - k / i). Chen et al. 2021 (arXiv 2107.03374), section 2.1.

    Args:
        answers: n, answers to one problem.
        right: c, of them that passed, 0 to n.
        k: 1 to n.

    Raises:
        ValueError: `k` or `right` is out of range.
    """
    if not (0 <= right <= answers and 1 <= k <= answers):
        raise ValueError(f"pass@{k} of {right} right among {answers}: 0 <= right <= answers and 1 <= k <= answers")
    none_right = 1.0
    for i in range(answers - right + 1, answers + 1):
        none_right *= max(0.0, 1.0 - k / i)  # 0 from where fewer than k wrong ones are left
    return 1.0 - none_right


def outcome_kind(reason: str) -> str:
    """Return the kind of a sandbox's reason, from a closed list: a report counts them.

    A program names its own exceptions, so those that Python does not have are one kind.
    """
    if reason.startswith("failed: "):
        name = reason.removeprefix("failed: ").partition(":")[0].partition(" ")[0]
        if name in SYNTAX_ERRORS:
            return "syntax error"
        error = vars(builtins).get(name)
        is_known = isinstance(error, type) and issubclass(error, BaseException)
        return {"AssertionError": "wrong result"}.get(name, name) if is_known else "other exception"
    for start in ("killed by signal", "exited before its end"):
        if reason.startswith(start):
            return start
    return reason


def score(name: str, samples_of: Sequence[Mapping[str, Any]], traces: Mapping[Any, Any], asked: AskedWith) -> Scored:
    """Run every answer's program and return the items with pass@k.

    Args:
        name: the task, which is also the part.
        samples_of: lm-eval's samples, one a problem, each with its `repeats` answers.
        traces: (task, document, request) -> Trace.
        asked: how, with what the programs are run with.

    Raises:
        TypeError: it does not say what programs are run with.
        HarnessError: more than one answer a problem was asked for, and all would be the same.
        EnvironmentGapError: no sandbox can be made; nothing was run.
    """
    code = asked.code
    if code is None:
        raise TypeError(f"{name}: nothing says what its programs are run with")
    if code.repeats > 1 and not samples(asked.generation or {}):
        raise HarnessError(
            f"{name}: {code.repeats} greedy answers a problem are the same; set do_sample: true and a "
            "temperature under `generation`, or repeats: 1"
        )
    ordered = sorted(samples_of, key=lambda sample: int(sample["doc_id"]))
    completions = [
        [completion_of(str(answer), is_fenced=name in FENCED) for answer in sample["resps"][0]] for sample in ordered
    ]
    programs = [program_of(sample["doc"], one) for sample, own in zip(ordered, completions, strict=True) for one in own]
    limits = Limits(timeout_seconds=code.timeout_seconds, memory_bytes=code.memory_mib * MIB)
    outcomes, again = _run(programs, limits)
    remaining = iter(outcomes)
    rows = [
        _row(
            sample,
            own,
            [next(remaining) for _ in own],
            traces[name, int(sample["doc_id"]), 0],
            pass_at=code.pass_at,
        )
        for sample, own in zip(ordered, completions, strict=True)
    ]
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    keys = [f"pass@{k},{FILTER}" for k in code.pass_at]
    metrics = {key: sum(columns[key]) / len(rows) for key in keys}
    return Scored(PartItems(part=name, columns=columns, metrics=metrics), _facts(outcomes, again, code))


def _run(programs: list[str], limits: Limits) -> tuple[list[Outcome], int]:
    """Return the outcome of each program, and how many were run again, alone, since neighbours took their time."""
    outcomes = run_programs(programs, limits)
    late = [place for place, outcome in enumerate(outcomes) if outcome.reason == TIMED_OUT]
    alone = run_programs([programs[place] for place in late], limits, workers=1) if late else []
    for place, outcome in zip(late, alone, strict=True):
        outcomes[place] = outcome
    return outcomes, len(late)


def _row(
    sample: Mapping[str, Any], completions: list[str], outcomes: list[Outcome], trace: Any, *, pass_at: Sequence[int]
) -> dict[str, Any]:
    """Return one problem: what was asked and answered, what became of each answer, and pass@k."""
    right = sum(outcome.passed for outcome in outcomes)
    return {
        "item": int(sample["doc_id"]),
        "task_id": sample["doc"]["task_id"],
        "prompt_hash": sample["prompt_hash"],
        "prompt": sample["arguments"][0][0],
        "target": str(sample["target"]),
        "answers": [str(answer) for answer in sample["resps"][0]],
        "completions": completions,
        "passed": [outcome.passed for outcome in outcomes],
        "outcomes": [outcome_kind(outcome.reason) for outcome in outcomes],
        "reasons": [outcome.reason for outcome in outcomes],
        "run_seconds": [outcome.seconds for outcome in outcomes],
        f"extraction_failed,{FILTER}": any(not one.strip() for one in completions),
        "gold_nll": trace.gold_nll,
        "gold_tokens": trace.gold_tokens,
        "generated_tokens": sum(trace.generated_tokens),
        "truncated": any(trace.truncated),
        **{f"pass@{k},{FILTER}": pass_at_k(len(outcomes), right, k) for k in pass_at},
    }


def _facts(outcomes: list[Outcome], again: int, code: CodeRun) -> dict[str, Any]:
    """Return how the programs ended and what they were run with; goes into provenance."""
    return {
        "programs": len(outcomes),
        "outcomes": dict(Counter(outcome_kind(outcome.reason) for outcome in outcomes).most_common()),
        "run_again_alone": again,
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 3),
        "timeout_seconds": code.timeout_seconds,
        "memory_mib": code.memory_mib,
        "python": platform.python_version(),
        "sandbox": version(),
    }
