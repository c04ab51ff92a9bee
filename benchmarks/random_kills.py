"""`kill -9` at random moments: `python benchmarks/random_kills.py --out DIR [--kills 200] [--seconds 600]`.

A tiny random model is measured on a retrieval task and a multiple-choice task, both cut into shards, and on a short
one that is not. A run is killed, looked at and begun again until it ends; then its reports are held against those of an
undisturbed run, byte for byte but for seconds and memory that the page tells under Cost, and the next run begins in an
empty folder. What is killed:

    driver   the process of `harness run`; with one worker that is the one that works
    worker   one of the processes of `harness run --workers 2`; the driver goes on
    actor    the same with --executor ray: the process of an actor
    node     a node of a Ray cluster on this machine, which is then added anew

After each kill every shard and score that was there must be there still, as the same file with the same bytes, and
nothing that was finished may be made again; a shard that was begun and not finished is one redone, and there is at most
one for each process that was killed while at work.

Processes are forked from one that has imported all that a run imports, and worker processes are forked from the driver,
so that a run takes a second and a kill seldom hits an import. The tests in tests/harness/evaluation kill processes that
were started as the command starts them. With Ray, actors are what Ray starts; they keep no journal, so that shards that
were begun and redone are not counted.

`DIR/state.json` holds what was seen: the same command goes on from there, also after it was killed itself. Exit code 1
where anything was lost, repeated or unlike.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

REPORTS = ("report.md", "scores.csv", "metrics.csv", "index.html")
KINDS = {"local": ("driver", "worker"), "ray": ("driver", "actor", "node")}
WORKER_SHARE = 0.5
"""Of the runs in which something else than the driver is killed."""
WORKERS = 2
WORDS = ["wave", "boat", "tide", "tree", "leaf", "moss", "tram", "lamp", "roof", "soup", "bread", "star", "moon"]
JOURNAL = "RANDOM_KILLS_JOURNAL"
"""Names the file that processes note shards in."""
SETTLE_SECONDS = 0.05
OBJECT_STORE_BYTES = 128 * 2**20
"""Of a node of Ray; nothing large is ever put there."""
NUMBER_CELL = re.compile(r'<td class="num" data-v="[^"]*">[^<]*</td>')
COMMIT = re.compile(r"\b[0-9a-f]{40}(-dirty)?\b")
MEASURED = 4
"""Encoding, tokens a second, all in all, and peak memory."""
DRIVER_LIVES = (0.02, 0.7)
"""Of what an undisturbed run takes."""
WORKER_LIVES = (0.02, 0.4)
SOONER, LATER = 0.95, 1.2
"""How that is corrected where a run came to its end, or was killed before it had made anything: machines have moods."""
DIE_WITH_PARENT = 1
"""Of prctl(2)."""


def main() -> int:
    """Return 0 when nothing was lost, nothing finished was made again, and all reports are alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where state and runs are kept")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600.0, help="of this call; the next one goes on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", choices=tuple(KINDS), default="local")
    asked = parser.parse_args()
    ends = time.monotonic() + asked.seconds
    folder = asked.out.absolute() / asked.executor
    _settle(folder)
    state = State.read(folder)
    _write_suite(folder)
    warm(folder)
    with cluster(asked.executor) as nodes:
        if not state.seconds:
            undisturbed(folder, state, asked.executor)
        while sum(state.kills.values()) < asked.kills and time.monotonic() < ends and not state.wrong:
            Round(folder, state, asked.executor, nodes, random.Random(f"{asked.seed} {state.rounds}")).play()
            state.rounds += 1
            state.write()
        if not state.wrong and (folder / "run").is_dir():
            finish(folder, state, asked.executor)
    print(state.table(asked.kills))
    return 1 if state.wrong else 0


@dataclass
class State:
    """What was seen so far."""

    path: Path
    kills: Counter[str]
    """Kind -> kills."""
    rounds: int = 0
    runs: int = 0
    """That came to their end and were compared."""
    seconds: float = 0.0
    """Of an undisturbed run, about."""
    shards: int = 0
    """Finished ones that were there at a kill, over all kills."""
    cells: int = 0
    redone: int = 0
    """Shards that were begun and not finished."""
    may_redo: int = 0
    """Processes that were killed while at work."""
    wrong: list[str] | None = None

    @classmethod
    def read(cls, folder: Path) -> State:
        """Return what an earlier call left, or nothing."""
        path = folder / "state.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        return cls(path=path, **{"wrong": [], **known, "kills": Counter(known.get("kills", {}))})

    def write(self) -> None:
        """Keep it, whole or not at all."""
        partial = self.path.with_suffix(".tmp")
        partial.write_text(json.dumps({name: value for name, value in vars(self).items() if name != "path"}, indent=1))
        partial.replace(self.path)

    def table(self, wanted: int) -> str:
        """Return it in words."""
        wrong = self.wrong or []
        by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        rows = [
            ("kills", f"{sum(self.kills.values())} of {wanted} ({by_kind})"),
            ("runs that came to their end", str(self.runs)),
            ("finished shards seen at a kill", str(self.shards)),
            ("finished cells seen at a kill", str(self.cells)),
            ("finished ones lost", str(sum(one.startswith("lost") for one in wrong))),
            ("finished ones made again", str(sum(one.startswith("repeated") for one in wrong))),
            ("shards begun and redone", f"{self.redone} (at most {self.may_redo}: one a process killed at work)"),
            ("reports unlike the undisturbed run's", str(sum(one.startswith("unlike") for one in wrong))),
        ]
        return "\n".join([*(f"{name:38} {value}" for name, value in rows), *wrong])


class Round:
    """One start of the command, and the kills while it lives."""

    def __init__(self, folder: Path, state: State, executor: str, nodes: Any, rng: random.Random) -> None:
        """Decide by `rng` what is killed."""
        self.folder, self.state, self.executor, self.nodes, self.rng = folder, state, executor, nodes, rng
        others = KINDS[executor][1:]
        self.kind = rng.choice(others) if rng.random() < WORKER_SHARE else "driver"
        self.workers = 1 if self.kind == "driver" and executor == "local" else WORKERS

    def play(self) -> None:
        """Start, kill, look; compare the reports where the run came to its end."""
        driver = _start(self.folder / "run", self.executor, workers=self.workers)
        before = sum(self._look())
        if self.kind == "driver":
            ended = _wait(driver, self.rng.uniform(*DRIVER_LIVES) * self.state.seconds)
            if ended is None:
                self._kill(driver, at_work=self.workers)
                _wait(driver)
        else:
            ended = self._kill_others(driver)
        made = sum(self._look()) - before
        if ended == 0:
            self.state.seconds *= SOONER
        elif not made:
            self.state.seconds *= LATER
        if ended == 0:
            finish(self.folder, self.state, self.executor)

    def _kill_others(self, driver: int) -> int | None:
        """Kill workers while the driver lives; after a while the driver too."""
        patience = time.monotonic() + 4 * self.state.seconds + 120 * (self.executor == "ray")
        while time.monotonic() < patience:
            ended = _wait(driver, self.rng.uniform(*WORKER_LIVES) * self.state.seconds)
            if ended is not None:
                return ended
            if self.kind == "node":
                self.nodes.replace(self.rng)
                self._count("node", at_work=WORKERS)
                continue
            found = self.nodes.actors() if self.kind == "actor" else _children(driver)
            if found:
                self._kill(self.rng.choice(found), at_work=1)
        self._kill(driver, at_work=self.workers, kind="driver")
        _wait(driver)
        return None

    def _kill(self, process: int, *, at_work: int, kind: str | None = None) -> None:
        self._look()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            self._count(kind or self.kind, at_work=at_work)

    def _count(self, kind: str, *, at_work: int) -> None:
        self.state.kills[kind] += 1
        self.state.may_redo += at_work
        time.sleep(SETTLE_SECONDS)
        shards, cells = self._look()
        self.state.shards += shards
        self.state.cells += cells

    def _look(self) -> tuple[int, int]:
        """Hold what is finished against what was; returns how many shards and cells there are."""
        seen = self.folder / "run" / "seen.json"
        before = json.loads(seen.read_text()) if seen.is_file() else {}
        now = finished(self.folder / "run" / "results")
        wrong = self.state.wrong if self.state.wrong is not None else []
        for name, stamp in before.items():
            if name not in now:
                wrong.append(f"lost: {name}")
            elif now[name] != stamp:
                wrong.append(f"repeated: {name}")
        seen.write_text(json.dumps(now))
        shards = sum(name.startswith("shards") for name in now)
        return shards, len(now) - shards


def undisturbed(folder: Path, state: State, executor: str) -> None:
    """Run twice without a kill: the first is what others are held against, the second shows that they can be alike."""
    for name in ("undisturbed", "again"):
        shutil.rmtree(folder / name, ignore_errors=True)
        began = time.monotonic()
        if _wait(_start(folder / name, executor, workers=1)):
            raise SystemExit(f"the undisturbed run failed: {folder / name / 'said.log'}")
        state.seconds = time.monotonic() - began
    unlike = _unlike(folder / "again", folder)
    if unlike:
        raise SystemExit(f"two undisturbed runs are unlike: {', '.join(unlike)}")
    state.write()


def _unlike(run: Path, folder: Path) -> list[str]:
    """Return the reports of a run that are not those of the undisturbed one."""
    whole = folder / "undisturbed" / "out"
    return [name for name in REPORTS if _comparable(run / "out" / name) != _comparable(whole / name)]


def finish(folder: Path, state: State, executor: str) -> None:
    """Run to the end, undisturbed; compare, count, and clear the folder for the next run."""
    run = folder / "run"
    for _ in range(3):  # a cell in one piece whose worker was killed is a failure until the next run
        if _wait(_start(run, executor, workers=1)) == 0:
            break
    wrong = state.wrong if state.wrong is not None else []
    wrong += [f"unlike: {run / 'out' / name}" for name in _unlike(run, folder)]
    begun: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    journal = run / "journal"
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        what, shard = line.split(maxsplit=1)
        (begun if what == "begin" else ended)[shard] += 1
    wrong += [f"repeated: {shard} was made {count} times" for shard, count in ended.items() if count > 1]
    state.redone += sum(count - 1 for count in begun.values())
    if state.redone > state.may_redo:
        wrong.append(f"repeated: {state.redone} shards were redone after {state.may_redo} killed at work")
    state.runs += 1
    if not wrong:
        shutil.rmtree(run)
    state.write()


def _comparable(path: Path) -> str:
    """Return a report without what was measured of the run itself: the last columns of the table of cost."""
    content = COMMIT.sub("", path.read_text(encoding="utf-8"))  # one made meanwhile is no other report
    if path.suffix != ".html":
        return content
    begin = content.index('<section id="cost">')
    end = content.index("</section>", begin)
    rows = content[begin:end].split("<tr>")
    for number, row in enumerate(rows):
        cells = list(NUMBER_CELL.finditer(row))
        for cell in reversed(cells[-MEASURED:]):
            rows[number] = rows[number][: cell.start()] + rows[number][cell.end() :]
    return content[:begin] + "<tr>".join(rows) + content[end:]


def finished(results: Path) -> dict[str, str]:
    """Return record of a shard or a score -> inode and sha256 of it, which change where it is made again."""
    found = {}
    paths = [*results.glob("shards/*/*.json"), *results.glob("cells/*/*.json")]
    for path in paths:
        if path.name.startswith(".") or path.name.endswith(".failure.json"):
            continue
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(results).as_posix()] = f"{path.stat().st_ino} {sha256}"
    return found


def _start(folder: Path, executor: str, *, workers: int) -> int:
    """Fork a process that runs the command in `folder`; returns its id."""
    folder.mkdir(parents=True, exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        os.setsid()
        log = os.open(folder / "said.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ[JOURNAL] = str(folder / "journal")
        sys.argv = ["harness", "run", str(folder.parent / "suite.yaml"), "--offline", "--executor", executor]
        sys.argv += ["--results", str(folder / "results"), "--out", str(folder / "out"), "--workers", str(workers)]
        code = _as_the_command()
    finally:
        os._exit(code)


def _as_the_command() -> int:
    from harness.cli.app import app
    from harness.cli.shell import run_app
    from harness.evaluation.executors import local

    keep_a_journal()
    work, context = local._work, multiprocessing.get_context("fork")

    def forked(plan: Any, options: Any, pipe: Any, *rest: Any) -> None:
        _close_what_a_new_process_lacks(pipe.fileno())
        work(plan, options, pipe, *rest)

    crew: Any = local.Crew
    local.Crew = lambda **given: crew(**given, context=context, work=forked)  # type: ignore[misc,assignment]
    return run_app(app)


def keep_a_journal() -> None:
    """Note when a shard is begun and when its file is there."""
    for name in ("harness.backends.mteb.sharding", "harness.backends.lm_eval.sharding"):
        module: Any = importlib.import_module(name)
        module.make = _noted(module.make)


def _noted(make: Any) -> Any:
    def noted(job: Any, loaded: Any, shard: Any, encoder: Any) -> None:
        _note(f"begin {shard.name}")
        make(job, loaded, shard, encoder)
        _note(f"end {shard.name}")

    return noted


def _note(line: str) -> None:
    with open(os.environ[JOURNAL], "a") as file:
        file.write(f"{line}\n")


def _close_what_a_new_process_lacks(own: int) -> None:
    """Close the driver's ends of the pipes of all workers, which a process that is not forked never has."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and int(name) != own and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.close(int(name))


def _wait(process: int, seconds: float = 600.0) -> int | None:
    """Return how a child ended; None where it has not after so long."""
    ends = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            return None
        time.sleep(0.005)


def _children(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


@contextlib.contextmanager
def cluster(executor: str) -> Iterator[Any]:
    """Start two nodes beside a head on this machine, where Ray is asked for; yields what kills one of them.

    They are another process's: what Ray leaves in one that has spoken to a cluster does not survive a fork.
    """
    if executor != "ray":
        yield None
        return
    os.environ |= {"RAY_memory_monitor_refresh_ms": "0", "RAY_health_check_period_ms": "500"}
    ours, theirs = multiprocessing.Pipe()
    host = multiprocessing.get_context("spawn").Process(target=_be_a_cluster, args=(theirs,))
    host.start()
    os.environ["RAY_ADDRESS"] = ours.recv()
    try:
        yield Nodes(ours)
    finally:
        ours.send("end")
        host.join()


@dataclass
class Nodes:
    """The nodes that can be killed, as seen from here."""

    pipe: Any

    def actors(self) -> list[int]:
        """Return the processes of our actors: children of the nodes' own."""
        self.pipe.send("nodes")
        below = [one for process in self.pipe.recv() for one in _children(process)]
        return [one for one in below if Path(f"/proc/{one}/cmdline").read_bytes().startswith(b"ray::RayWorker")]

    def replace(self, rng: random.Random) -> None:
        """Kill a node as a power cut does, and add another."""
        self.pipe.send(rng.randrange(WORKERS))
        self.pipe.recv()


def _be_a_cluster(pipe: Any) -> None:
    """Hold a head and two nodes of one worker each, and do what is said: end, name the nodes, or replace one."""
    from ray.cluster_utils import Cluster

    room = {"object_store_memory": OBJECT_STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **room})
    alive = [made.add_node(num_cpus=1, **room) for _ in range(WORKERS)]
    pipe.send(made.address)
    while (said := pipe.recv()) != "end":
        if said != "nodes":
            made.remove_node(alive.pop(said), allow_graceful=False)
            alive.append(made.add_node(num_cpus=1, **room))
        pipe.send([node.all_processes["raylet"][0].process.pid for node in alive])
    made.shutdown()


def warm(folder: Path) -> None:
    """Import what a run imports: a child that makes one tells, and is thrown away."""
    known = folder / "modules.json"
    if not known.is_file():
        process = os.fork()
        if not process:
            code = 70
            try:
                sys.argv = ["harness", "run", str(folder / "suite.yaml"), "--offline", "--results",
                            str(folder / "warm"), "--out", str(folder / "warm")]  # fmt: skip
                from harness.cli.app import app
                from harness.cli.shell import run_app

                code = run_app(app)
                known.write_text(json.dumps(sorted(sys.modules)))
            finally:
                os._exit(code)
        if _wait(process):
            raise SystemExit("the suite cannot be run")
    import torch

    torch.set_num_threads(1)
    for name in json.loads(known.read_text()):
        if name.split(".")[0] not in ("ray",) and not name.startswith("__"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _settle(folder: Path) -> None:
    """Have every process use one thread, and caches of our own."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "HARNESS_CACHE": str(folder / "cache"), "HF_DATASETS_CACHE": str(folder / "datasets"),
    }  # fmt: skip


def _write_suite(folder: Path) -> None:
    """Write model, data and suite, unless they are there."""
    if (folder / "suite.yaml").is_file():
        return
    from ability_support import save_tiny_lm

    save_tiny_lm(folder / "model")
    rng = random.Random(0)
    retrieval, questions = folder / "retrieval", folder / "questions"
    documents = [_text(rng, 8) for _ in range(160)]
    _lines(retrieval / "corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": one} for n, one in enumerate(documents)])
    _lines(retrieval / "queries.jsonl", [{"_id": f"q{n}", "text": _part(rng, documents[n])} for n in range(40)])
    _lines(retrieval / "qrels.jsonl", [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(40)])
    pairs = [{"sentence1": _text(rng, 5), "sentence2": _text(rng, 5), "score": n % 5} for n in range(8)]
    _lines(folder / "pairs.jsonl", pairs)
    rows = [{"question": _text(rng, 5), "choices": rng.sample(WORDS, 4), "answer": n % 4} for n in range(48)]
    _lines(questions / "test.jsonl", rows)
    task = {
        "task": "words", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "test.jsonl"}},
        "output_type": "multiple_choice", "test_split": "test", "num_fewshot": 0, "target_delimiter": " ",
        "doc_to_text": "{{question}}", "doc_to_target": "answer", "doc_to_choice": "{{choices}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }  # fmt: skip
    (questions / "words.yaml").write_text(json.dumps(task))
    custom = [
        {"name": "documents", "type": "Retrieval", "path": "retrieval"},
        {"name": "pairs", "type": "STS", "path": "pairs.jsonl"},
    ]
    suite = {
        "version": 1, "name": "kills", "shards": {"max_texts": 24, "max_questions": 6},
        "models": [{"name": "tiny", "encoder": "mean-pool", "model": str(folder / "model"), "device": "cpu"}],
        "tasks": {"custom": custom, "ability": [{"name": "words", "file": "questions/words.yaml", "num_fewshot": 0}]},
    }  # fmt: skip
    (folder / "suite.yaml").write_text(json.dumps(suite))


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _part(rng: random.Random, text: str) -> str:
    return " ".join(rng.sample(text.split(), 3))


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
