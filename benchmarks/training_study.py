"""Train every configuration of grace/configs/trial, judge each on suite `dev`, and say what came of it: one command.

    python benchmarks/training_study.py --hub HUB --triplets FILE --sentences FILE --out DIR [--report reports/trial]

Resumable: what is finished is not done again, a training that was begun goes on from its checkpoint, and finished cells
are kept. One run after the other is trained and evaluated, so that an interruption loses little. `--table` makes table
and pictures of what there is. Trials of the study itself: `--train-option steps=1 --limit 8`.

Start it from a checkout that stays as it is: where the code that makes scores changes in between, cells are run again,
and runs would be compared that different code has trained.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import training_study_table
import yaml

from harness.environment import git_revision
from harness.errors import ExitCode, HarnessError

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "grace" / "configs" / "trial"
ORDER = (
    "infonce",
    "grace-corrected",
    "grace-hybrid",
    "infonce-retain",
    "grace-paper-off",
    "infonce-rationale",
    "grace-paper-published",
    "grace-symmetric",
    "simcse",
    "grace-unsupervised",
    "infonce-rationale-retain",
)
UNSUPERVISED = ("simcse", "grace-unsupervised")
"""They read sentences; the others read triplets."""
BASE = ("base", "base+rationale")
SUITE = "study.yaml"
"""Written into the study's folder: `--suite`, and entries for seeds other than 0."""
CODE = "code.txt"
"""The revision that the study was begun with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run."""

    config: str
    """Of grace/configs/trial, without suffix."""
    seed: int

    @property
    def name(self) -> str:
        """Of its directory and of its entry in the suite; seed 0 has the configuration's own."""
        return f"{self.config}-seed-{self.seed}" if self.seed else self.config

    @property
    def models(self) -> tuple[str, str]:
        """Its two entries in the suite: text alone, and with a rationale."""
        return self.name, f"{self.name}+rationale"


class Study:
    """The study's folder and what it is made from."""

    def __init__(self, told: argparse.Namespace) -> None:
        """Take the command line; makes the folder."""
        self.told = told
        self.out: Path = told.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.runs = [Run(config=name, seed=seed) for seed in told.seeds for name in told.only]
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        self.problems: list[str] = []

    def write_suite(self) -> None:
        """Write the suite that is run: the one asked for, and entries for further seeds."""
        models = [_entry(run, name) for run in self.runs if run.seed for name in run.models]
        suite: dict[str, Any] = {"version": 1, "extends": [str(self.told.suite)]}
        (self.out / SUITE).write_text(yaml.safe_dump(suite | ({"models": models} if models else {}), sort_keys=False))

    def note_code(self) -> None:
        """Keep the code's revision, and say so where it is no longer the one that the study was begun with."""
        file, now = self.out / CODE, git_revision() or "of a release"
        begun = file.read_text(encoding="utf-8").strip() if file.exists() else now
        file.write_text(f"{begun}\n", encoding="utf-8")
        if begun != now:
            print(f"note: begun with code {begun}, this is {now}: what changes scores is run again", file=sys.stderr)

    def evaluate(self, *models: str) -> None:
        """Run the suite for some of its models; what is scored already is not run again."""
        told = self.told
        command = ["harness.cli", "run", SUITE, "--models", ",".join(models), "--results", "results", "--out", "report"]
        command += ["--hub", str(told.hub.resolve())] + (["--offline"] if told.offline else [])
        command += ["--limit", str(told.limit)] if told.limit else []
        self._call(f"evaluation of {models[0]}", command)

    def train(self, run: Run) -> bool:
        """Train a run to its end; returns whether its candidate is there."""
        told, folder = self.told, self.out / "runs" / run.name
        if (folder / "candidate.yaml").exists():
            print(f"== {run.name}: trained already", flush=True)
            return True
        if told.skip_training:
            print(f"== {run.name}: not trained", flush=True)
            return False
        data = told.sentences if run.config in UNSUPERVISED else told.triplets
        options = [f"data.path={data.resolve()}", *([f"seed={run.seed}"] if run.seed else []), *told.train_option]
        command = ["grace", "train", str(CONFIGS / f"{run.config}.yaml"), "--out", str(folder)]
        command += ["--hub", str(told.hub.resolve())] + (["--offline"] if told.offline else [])
        command += ["--resume"] if (folder / "config.yaml").exists() else []
        command += [part for option in options for part in ("-o", option)]
        return self._call(f"training of {run.name}", command)

    def _call(self, what: str, command: list[str]) -> bool:
        """Run a command of the project in the study's folder; Ctrl-C and SIGTERM end the study, and wait for it."""
        print(f"== {what}: {' '.join(command)}", flush=True)
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=self.out, env=self._environment)
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the terminal sent it to the child too: give it time for its checkpoint
            process.wait()
            raise
        except SystemExit:
            process.terminate()
            process.wait()
            raise
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            self.problems.append(f"{what} ended with exit code {code}")
            print(f"== {self.problems[-1]}", flush=True)
        return code == 0

    def report(self) -> None:
        """Print table and differences, and write them with the pictures."""
        told = self.told
        text = training_study_table.write(
            self.out,
            SUITE,
            told.report or self.out / "trial",
            runs=[run.name for run in self.runs],
            hub=told.hub.resolve(),
            limit=told.limit,
        )
        print(text)


def main() -> int:
    """Return 0 when all that was asked for is done."""
    study = Study(_arguments())
    signal.signal(signal.SIGTERM, _leave)
    study.write_suite()
    study.note_code()
    try:
        if not study.told.table:
            study.evaluate(*BASE)
            for run in study.runs:
                if study.train(run):
                    study.evaluate(*run.models)
        study.report()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here; --table shows what there is", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for problem in study.problems:
        print(problem, file=sys.stderr)
    return ExitCode.CELLS_FAILED if study.problems else ExitCode.OK


def _entry(run: Run, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "candidate": f"runs/{run.name}"}
    if name == run.name:
        return entry | {"kind": "mean-pool"}
    return entry | {"kind": "rationale", "generation": {"max_new_tokens": 16, "temperature": 0}}


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.INTERRUPTED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--hub", type=Path, required=True, help="local hub with the suite's datasets")
    parser.add_argument("--triplets", type=Path, required=True, help="query, positive, negative: JSON lines or parquet")
    parser.add_argument("--sentences", type=Path, required=True, help="a sentence a line")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study: runs/, results/, trial/")
    parser.add_argument("--report", type=Path, help="where table and pictures go; default OUT/trial")
    parser.add_argument("--only", type=_names, default=ORDER, metavar="NAME,...", help="only these configurations")
    parser.add_argument("--seeds", type=_numbers, default=(0,), metavar="N,...", help="a run of each for every seed")
    parser.add_argument("--suite", type=_suite, default=ROOT / "suites" / "dev.yaml")
    parser.add_argument("--skip-training", action="store_true", help="evaluate the candidates that there are")
    parser.add_argument("--table", action="store_true", help="train and run nothing")
    parser.add_argument("--limit", type=int, help="scored items a task, instead of the suite's own limits")
    parser.add_argument("--train-option", action="append", default=[], metavar="KEY=VALUE", help="for every training")
    parser.add_argument("--offline", action="store_true", help="never ask the network")
    told = parser.parse_args()
    for path in (told.hub, told.triplets, told.sentences):
        if not path.exists():
            parser.error(f"{path}: no such file or folder")
    return told


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in ORDER]
    if unknown:
        raise argparse.ArgumentTypeError(f"no configuration {', '.join(unknown)}; there are: {', '.join(ORDER)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _suite(text: str) -> Path | str:
    return Path(text).resolve() if Path(text).exists() else text


if __name__ == "__main__":
    sys.exit(main())
