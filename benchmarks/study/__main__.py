"""Who writes, who reads, and what reinforcement is worth: train every row, choose on development data, judge once.

    python benchmarks/study --hub HUB --triplets FILE --sentences FILE --out DIR [--report reports/study]

One command, resumable: what is finished is not done again, a training that was begun goes on from its checkpoint, and
finished cells are kept. Settings are those of chosen.json, which development data alone decided; `--choose` decides
anew, first. Then test splits: the rows that the goals are about with all seeds, the others with seed 0, other readings
and what stands beside the table, further seeds. `--table` makes the report of what there is. `--seeds 0` and `--only
ROW,...` do a part, `--beside ENTRY,...` some of what stands beside the table; a trial of the study itself:
`--train-option steps=1`. `--earlier reports/study` puts the rows of a report beside those that are run now, so that the
study can grow without its runs. `--backbone NAME` makes it with another language model, by the settings that were
chosen for the first: fewer rows, one seed, fewer items.

Start it from a checkout that stays as it is: each job begins with the code that is there then. Budgets are processor
time, so the number of steps is this machine's; two trainings at a time share its caches. A row that `--earlier` has
runs of is trained for as many steps as they took: on another machine the budget would buy more of them, or fewer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import choose
import judge
import kept
import write
import yaml
from backbones import BACKBONES, SMOLLM2, Backbone
from jobs import ROOT, Job, Jobs, done_file
from rows import (
    BASE,
    BASE_THINKING,
    BY_NAME,
    READER,
    ROWS,
    SEEDS,
    Reading,
    Row,
    base_entries,
    entry,
    entry_name,
    further,
    readings_of,
    run_name,
    trained,
)

from harness.digests import write_atomically
from harness.errors import ExitCode, HarnessError, InputError

HERE = Path(__file__).resolve().parent
CHAT_QUESTIONS = 30


class Study:
    """The study's folder, what it is made from, and its jobs."""

    def __init__(self, told: argparse.Namespace) -> None:
        """Take the command line; makes the folder and the suites in it."""
        self.told = told
        self.backbone: Backbone = BACKBONES[told.backbone]
        self.only = told.only or self.backbone.rows
        self.seeds = told.seeds or self.backbone.seeds
        self.earlier = kept.read(told.earlier) if told.earlier else None
        self.out: Path = told.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_chat()
        if not (told.choose or choose.kept(self.out)):
            shutil.copy(HERE / choose.FILE, self.out / choose.FILE)
        for suite in ("dev", "test"):
            self.write_suite(suite)

    def write_suite(self, name: str) -> None:
        """Write the shipped tasks with an entry for every run and reading."""
        suite = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
        chosen = choose.kept(self.out)
        runs = [(row, seed) for row in ROWS for seed in choose.seeds_of(row, chosen)]
        entries = [entry(row.name, seed, of) for row, seed in runs for of in readings_of(row, seed)]
        weights = self.backbone.weights
        suite["models"] = base_entries(weights) + entries + (further(chosen, weights) if name == "test" else [])
        for task in suite["tasks"]["embedding"]["names"]:
            task["limit"] = round(task["limit"] * self.backbone.items)
        suite["baseline"] = BASE
        write_atomically(self.out / f"{name}.yaml", yaml.safe_dump(suite, sort_keys=False).encode())

    def _write_chat(self) -> None:
        """Write questions and replies of a test split in the base's chat form, whose nats a token are measured."""
        if (self.out / "chat.jsonl").exists():
            return
        import datasets

        rows = datasets.load_dataset(str(self.told.hub.resolve() / "datasets/openai/gsm8k"), "main", split="test")
        turn = "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
        texts = [turn.format(**row) for row in rows.select(range(len(rows) - CHAT_QUESTIONS, len(rows)))]
        content = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        write_atomically(self.out / "chat.jsonl", content.encode())

    # ---- jobs

    def first_jobs(self) -> list[Job]:
        """Return what the choice between settings needs; nothing where it was made."""
        if choose.kept(self.out):
            return []
        rows = [row for row in self._rows() if row.name in choose.contenders()]
        jobs = [self._run("dev", "dev-base", [BASE, BASE_THINKING], ())] * bool(rows)
        return jobs + [job for row in rows for job in (self._train(row, 0), self._judge("dev", row, 0))]

    def later_jobs(self, chosen: dict[str, str]) -> list[Job]:
        """Return the trainings and their tests: the core with all seeds, seed 0 of the rest, what stands beside."""
        rows = [row for row in self._rows() if row.name not in choose.losers(chosen)]
        names = {row.name for row in ROWS if row.is_core} | {chosen.get(row.name, "") for row in ROWS if row.is_core}
        core, rest = ([row for row in rows if (row.name in names) is wanted] for wanted in (True, False))
        beside = self._all_beside(rows, chosen)
        if self.told.beside:
            return [self._base(), *self._with_trainings(self._asked(beside))]
        jobs = [self._base(), *self._of_seeds(core, SEEDS, chosen), *self._of_seeds(rest, (0,), chosen)]
        trained = {f"train-{run_name(row.name, seed)}" for row in ROWS for seed in self.seeds}
        jobs += [] if self.only else [job for job in beside.values() if trained.issuperset(job.needs)]
        return jobs + self._of_seeds(rest, SEEDS[1:], chosen)

    def _all_beside(self, rows: Sequence[Row], chosen: dict[str, str]) -> dict[str, Job]:
        """Return entry -> its test: of other readings, and of what stands beside the table, which is of seed 0."""
        runs = [(row, seed) for row in rows for seed in choose.seeds_of(row, chosen)]
        others = [(row, seed, of) for row, seed in runs for of in readings_of(row, seed)[1:]]
        found = {entry_name(row.name, seed, of): self._judge("test", row, seed, of) for row, seed, of in others}
        return found | {one["name"]: self._beside(one) for one in further(chosen, self.backbone.weights)}

    def _asked(self, beside: dict[str, Job]) -> list[Job]:
        """Return the tests that `--beside` names; raises InputError for names that are none."""
        unknown = [name for name in self.told.beside if name not in beside]
        if unknown:
            raise InputError([f"--beside: no entry {', '.join(unknown)}", f"there are: {', '.join(beside)}"])
        return [beside[name] for name in self.told.beside]

    def _with_trainings(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs behind the trainings of whatever they read."""
        runs = {job.name: job for job in (self._train(row, seed) for row in ROWS if not row.of for seed in SEEDS)}
        direct = [name for job in jobs for name in job.needs]
        teachers = [name for one in direct for name in runs[one].needs]
        return [*(runs[name] for name in dict.fromkeys([*teachers, *direct])), *jobs]

    def _of_seeds(self, rows: Sequence[Row], seeds: Sequence[int], chosen: dict[str, str]) -> list[Job]:
        """Return training and test of each run, seed by seed."""
        runs = [(row, seed) for seed in seeds for row in rows if seed in choose.seeds_of(row, chosen)]
        wanted = [(row, seed) for row, seed in runs if seed in self.seeds]
        return [
            job
            for row, seed in wanted
            for job in (*([] if row.of else [self._train(row, seed)]), self._judge("test", row, seed))
        ]

    def _rows(self) -> list[Row]:
        return [row for row in ROWS if not self.only or row.name in self.only]

    def _train(self, row: Row, seed: int) -> Job:
        name = run_name(row.name, seed)
        folder = self.out / "runs" / name
        data = self.told.sentences if row.reads_sentences else self.told.triplets
        options = [f"data.path={data.resolve()}", f"seed={seed}", *self.backbone.options(row.budgets)]
        options += [*row.options, *self._steps_there(row), *self.told.train_option]
        if row.is_taught:
            teacher = entry(READER, seed, "base") | {"name": "teacher"}
            del teacher["serving"]  # a rule of answering
            options += ["distil.max_new_tokens=null", f"distil.teacher={json.dumps(teacher)}"]

        def command() -> list[str]:
            made = ["grace", "train", str(ROOT / "grace" / "configs" / f"{row.config}.yaml"), "--out", f"runs/{name}"]
            made += [part for option in options for part in ("-o", option)]
            return made + self._sources() + (["--resume"] if (folder / "config.yaml").exists() else [])

        needs = (f"train-{run_name(READER, seed)}",) if row.is_taught else ()
        is_done = (folder / "candidate.yaml").exists
        return Job(name=f"train-{name}", needs=needs, is_done=is_done, command=command)

    def _steps_there(self, row: Row) -> list[str]:
        """Return the options that end a training after as many steps as earlier runs of its row; none without them."""
        names = [run_name(row.name, seed) for seed in SEEDS]
        known = self.earlier.trainings if self.earlier else {}
        steps = [known[name]["steps"] for name in names if name in known]
        return ["budget_cpu_seconds=null", f"steps={round(median(steps))}"] if steps else []

    def _judge(self, suite: str, row: Row, seed: int, reading: Reading | None = None) -> Job:
        """Return the test of a run by the row's own reading, or by another."""
        entry = entry_name(row.name, seed, reading or row.readings[0])
        name = entry if reading else run_name(row.name, seed)
        return self._run(suite, f"{suite}-{name}", [entry], (f"train-{run_name(trained(row.name), seed)}",))

    def _base(self) -> Job:
        return self._run("test", "test-base", [BASE, BASE_THINKING], ())

    def _beside(self, one: dict[str, Any]) -> Job:
        """Return the test of an entry beside the main table, after the trainings that it reads."""
        told = json.dumps(one)
        needs = [
            f"train-{run_name(row.name, seed)}"
            for row in ROWS
            for seed in row.seeds
            if run_name(row.name, seed) in told
        ]
        return self._run("test", f"test-{one['name']}", [one["name"]], tuple(needs))

    def _run(self, suite: str, name: str, entries: Sequence[str], needs: tuple[str, ...]) -> Job:
        command = ["harness.cli", "run", f"{suite}.yaml", "--models", ",".join(entries), "--results", "results"]
        command += ["--out", f"reports/{name}", *self._sources()]
        return Job(name=name, needs=needs, is_done=done_file(self.out, name).exists, command=lambda: command)

    def _sources(self) -> list[str]:
        return ["--hub", str(self.told.hub.resolve()), *(["--offline"] if self.told.offline else [])]


def main() -> int:
    """Return 0 when all that was asked for is done."""
    signal.signal(signal.SIGTERM, _leave)
    told = _arguments()
    failed: dict[str, int] = {}
    try:
        study = Study(told)
        if not told.table:
            jobs = Jobs(study.out, told.workers)
            jobs.run(study.first_jobs())
            chosen = choose.choice(study.out, told.hub.resolve())
            print(f"settings: {', '.join(chosen.values())} ({study.out / choose.FILE})", flush=True)
            study.write_suite("test")  # entries beside the table are those of the chosen settings
            jobs.run(study.later_jobs(chosen))
            failed = jobs.failed
        found = judge.Found(study.out, told.hub.resolve(), choose.kept(study.out), study.earlier)
        print(write.write(found, study.out, study.backbone, told.report or study.out / "study"))
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here; --table shows what there is", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.CELLS_FAILED if failed else ExitCode.OK


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.INTERRUPTED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--hub", type=Path, required=True, help="local hub with the study's datasets")
    parser.add_argument("--triplets", type=Path, required=True, help="query, positive, negative: JSON lines or parquet")
    parser.add_argument("--sentences", type=Path, required=True, help="a sentence a line")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study: runs/, results/, logs/")
    parser.add_argument("--report", type=Path, help="where table and pictures go; default OUT/study")
    parser.add_argument(
        "--only",
        type=_names,
        default=(),
        metavar="ROW,...",
        help="these rows by their own readings, nothing beside them",
    )
    parser.add_argument(
        "--beside",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="ENTRY,...",
        help="these other readings, scales, writers, ablations alone, with the trainings that they read",
    )
    parser.add_argument("--seeds", type=_numbers, default=(), metavar="N,...", help="default: those of the backbone")
    parser.add_argument("--backbone", choices=[*BACKBONES], default=SMOLLM2.name)
    parser.add_argument("--workers", type=int, default=2, help="trainings or evaluations at a time, a thread each")
    parser.add_argument("--choose", action="store_true", help="choose settings anew, on development data, in a new OUT")
    parser.add_argument("--earlier", type=Path, metavar="DIR", help="a report of the study whose rows stand here too")
    parser.add_argument("--table", action="store_true", help="train and run nothing")
    parser.add_argument("--train-option", action="append", default=[], metavar="KEY=VALUE", help="for every training")
    parser.add_argument("--offline", action="store_true", help="never ask the network")
    told = parser.parse_args()
    for path in (told.hub, told.triplets, told.sentences):
        if not path.exists():
            parser.error(f"{path}: no such file or folder")
    return told


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {', '.join(unknown)}; there are: {', '.join(BY_NAME)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
