"""Untrusted programs: the good ones pass, the hostile ones in tests/hostile/ do not, and nothing outside changes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from places import REPOSITORY, TESTS

import harness
from harness.errors import EnvironmentGapError, ExitCode
from harness.sandbox import child as sandbox_child
from harness.sandbox import pool as sandbox_pool
from harness.sandbox.pool import Limits
from harness.sandbox.programs import Outcome, available, run_program, run_programs

HOSTILE = sorted((TESTS / "hostile").glob("*.py"), key=lambda path: path.stem)
LIMIT = Limits(timeout_seconds=1.0, memory_bytes=512 << 20, tmp_bytes=32 << 20)
GRACE_SECONDS = 1.0
PATIENT_SECONDS = 20.0
"""For programs that must pass on a busy machine."""

GOOD = {
    "empty": "",
    "asserts": "def solve(n):\n    return n * n\n\n\nassert solve(2) == 4\nassert solve(-3) == 9",
    "prints": "print('hello')\nimport sys\nprint('error', file=sys.stderr)",
    "unicode": "grüße = 'ὀδυσσεύς 🐍'\nassert grüße[::-1][::-1] == grüße\nprint(grüße)\nassert len('\\ud800') == 1",
    "coding cookie": "# -*- coding: latin-1 -*-\nassert len('ü') == 1",
    "recursion": "import sys\nsys.setrecursionlimit(9999)\ndef f(n):\n    return n and 1 + f(n - 1)\nf(9000)",
    "standard library": (
        "import bisect, collections, csv, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq\n"
        "import inspect, itertools, json, logging, math, random, re, sqlite3, statistics, string, typing\n"
        "assert hashlib.md5(b'x').hexdigest().startswith('9dd4')"
    ),
    "dataclass": (
        "from __future__ import annotations\nimport dataclasses, pickle, typing\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n    y: typing.ClassVar[int] = 0\n"
        "assert pickle.loads(pickle.dumps(Point(1))) == Point(1)\nassert typing.get_type_hints(Point)['x'] is int"
    ),
    "below the limit": "import time\ntime.sleep(1.2)",
    "files": "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\nopen('own', 'w').close()",
    "thread": "import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()",
    "thread not joined": "import threading, time\nthreading.Thread(target=time.sleep, args=(0.2,)).start()",
    "executor not shut down": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(4)\n"
        "assert list(pool.map(abs, [-1, 2])) == [1, 2]"
    ),
    "asyncio": "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n\nasyncio.run(main())",
    "input": "try:\n    input()\nexcept EOFError:\n    pass",
    "main": "import __main__\nassert __name__ == '__main__'\nx = 1\nassert __main__.x == 1",
    "closes everything": "import os\nos.close(1)\nos.close(2)",
    "recovers": "try:\n    raise SystemExit\nexcept SystemExit:\n    pass",
    "large": "x = [\n" + "1,\n" * 200_000 + "]\nassert len(x) == 200_000",
}


@pytest.fixture(autouse=True, scope="module")
def _sandbox() -> None:
    """Skip where there is no sandbox, with the reason; in CI that is a failure."""
    missing = available()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@dataclass(frozen=True)
class World:
    """What the hostile programs would like to reach, and how it looked before."""

    canary: Path
    tcp: socket.socket
    abstract: socket.socket
    name: str

    def fill(self, path: Path) -> str:
        """The program in `path`, told where everything is: it need not guess."""
        code = path.read_text(encoding="utf-8")
        for mark, value in {
            "@CANARY@": str(self.canary),
            "@HOME@": str(Path.home()),
            "@PROJECT@": str(REPOSITORY),
            "@PYTHON@": str(Path(sys._base_executable).resolve()),  # type: ignore[attr-defined]
            "@PARENT@": str(os.getpid()),
            "@PORT@": str(self.tcp.getsockname()[1]),
            "@ABSTRACT@": self.name,
        }.items():
            code = code.replace(mark, value)
        return code

    def state(self) -> object:
        """All that must stay as it is."""
        system = (
            "/",
            "/etc",
            "/usr",
            "/usr/lib",
            "/lib",
            "/dev",
            "/var",
            "/home",
            "/root",
            "/tmp",
            sys.prefix,
            Path.home(),
        )
        return (
            [(path.name, path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(self.canary.iterdir())],
            [str(folder) for folder in system if Path(folder, "hostile").exists()],
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A folder with results that anyone may write, and two servers."""
    canary = tmp_path_factory.mktemp("canary")
    canary.chmod(0o777)
    (canary / "results.json").write_text("0 %")
    (canary / "results.json").chmod(0o666)
    name = f"hostile-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        for server in (tcp, abstract):
            server.setblocking(False)
        yield World(canary, tcp, abstract, name)


def _descendants(pid: int) -> set[int]:
    """All processes below `pid`, zombies left out."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.fixture(scope="module")
def outcomes(world: World) -> dict[str, tuple[Outcome, Outcome]]:
    """Every hostile program with a good one after it, all in one go."""
    assert available() is None
    programs = [code for path in HOSTILE for code in (world.fill(path), GOOD["asserts"])]
    ran = iter(run_programs(programs, LIMIT))
    return {path.stem: (next(ran), next(ran)) for path in HOSTILE}


@pytest.mark.parametrize("name", [path.stem for path in HOSTILE])
def test_hostile_program_does_not_pass_nor_outlive_its_limit(
    name: str, outcomes: dict[str, tuple[Outcome, Outcome]]
) -> None:
    """It fails within its limit, for a reason that is told, and the next program passes."""
    hostile, after = outcomes[name]
    assert not hostile.passed, hostile
    assert hostile.reason not in ("", "passed")
    assert hostile.seconds <= LIMIT.timeout_seconds + GRACE_SECONDS
    assert after.passed, after


def test_hostile_programs_change_nothing_outside(world: World) -> None:
    """Results, home, system and network are as before, and no process is left."""
    assert len(HOSTILE) >= 25
    before, processes = world.state(), _descendants(os.getpid())
    ended = run_programs([world.fill(path) for path in HOSTILE if path.stem in OUTSIDE], LIMIT)
    assert not any(outcome.passed for outcome in ended)
    assert world.state() == before
    assert before[1] == []  # type: ignore[index]
    assert _descendants(os.getpid()) == processes
    for server in (world.tcp, world.abstract):
        with pytest.raises(BlockingIOError):
            server.accept()


OUTSIDE = {
    *(
        "write_home",
        "write_home_of_the_user",
        "write_system",
        "write_results",
        "delete_results",
        "many_files",
        "daemon",
    ),
    *("network_by_address", "network_abstract_socket", "kill_everything", "kill_the_parent", "delete_own_folder"),
    *("thread_bomb", "close_descriptors", "spawn", "shell"),
}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless_loop", "timed out"),
        ("sleep", "timed out"),
        ("memory_bomb", "memory"),
        ("endless_output", "output limit"),
        ("endless_errors", "output limit"),
        ("segfault", f"killed by signal {int(signal.SIGSEGV)}"),
        ("os_exit", "exited before its end (status 0)"),
        ("sys_exit", "exited before its end (SystemExit: 0)"),
        ("many_files", "failed: OSError: [Errno 28] No space left on device"),
        ("threads_that_never_end", "timed out"),
        ("patched_builtins", "failed: RuntimeError: builtins.abs was replaced"),
        ("fork_bomb", "failed: PermissionError: [Errno 1] Operation not permitted"),
        ("read_environment", "failed: AssertionError"),
        ("read_files", "failed: AssertionError"),
        ("network_by_address", "failed: AssertionError"),
        ("ptrace", "failed: PermissionError: import ('ctypes',) is not allowed here"),
        ("ctypes_by_another_name", "failed: PermissionError: import ('other._ctypes',) is not allowed here"),
        ("native_extension", "failed: PermissionError: import ('native',) is not allowed here"),
        ("subinterpreter", "failed: PermissionError: import ('_xxsubinterpreters',) is not allowed here"),
        ("hunt_for_objects", "failed: PermissionError: gc.get_objects"),
        ("memory_outside_limits", "failed: PermissionError: [Errno 1] Operation not permitted"),
    ],
)
def test_reason_says_what_stopped_it(name: str, reason: str, outcomes: dict[str, tuple[Outcome, Outcome]]) -> None:
    """A program fails for the reason it is in the corpus for, not by a slip of its own."""
    assert outcomes[name][0].reason.startswith(reason)


@pytest.mark.parametrize("name", GOOD)
def test_good_program_passes(name: str) -> None:
    """Ordinary programs do not notice the sandbox."""
    outcome = run_program(GOOD[name], timeout_seconds=PATIENT_SECONDS)
    assert outcome.passed, outcome
    assert outcome.reason == "passed"


def test_failure_names_its_line() -> None:
    """The reason has the exception and the line of the program that raised it."""
    code = "def check(solve):\n    assert solve(2) == 4, 'two'\n\ncheck(lambda n: 5)\n"
    outcome = run_program(code, timeout_seconds=PATIENT_SECONDS)
    assert outcome.reason == "failed: AssertionError: two (line 2: assert solve(2) == 4, 'two')"


@pytest.mark.parametrize("code", ["def f(:", "x = '\0'", "\ud800", "-" * 3_000_000 + "1", "(" * 100_000])
def test_source_that_does_not_compile_fails(code: str) -> None:
    """Neither a syntax error nor a source that breaks the compiler passes or stops the harness."""
    outcome = run_program(code, timeout_seconds=PATIENT_SECONDS)
    assert not outcome.passed
    assert outcome.seconds < PATIENT_SECONDS


def test_world_of_a_program_is_empty() -> None:
    """No variables, no arguments, no files but a /tmp of its own, an unprivileged user and no other process."""
    code = (
        "import os, socket, sys\n"
        "assert not os.environ and sys.argv == [''], (os.environ, sys.argv)\n"
        "assert os.getcwd() == '/tmp' and os.listdir('/tmp') == []\n"
        "assert os.getuid() > 0 and os.geteuid() > 0 and os.getgid() > 0 and 0 not in os.getgroups()\n"
        "assert socket.gethostname() == 'sandbox' and [name for _, name in socket.if_nameindex()] == ['lo']\n"
        "assert not os.path.exists('/proc/self') and not os.path.exists('/etc') and not os.path.exists('/bin')\n"
        "assert not [p for p in sys.path if 'site-packages' in p]\n"
        "import sysconfig\n"
        "packages = sysconfig.get_path('stdlib') + '/site-packages'\n"
        "assert not os.path.exists(packages) or os.listdir(packages) == []\n"
        "open('/tmp/left behind', 'w').close()\n"
    )
    for outcome in run_programs([code, code], Limits(timeout_seconds=PATIENT_SECONDS)):
        assert outcome.passed, outcome


def test_program_has_no_rights() -> None:
    """Seen from outside: an unprivileged uid, no capabilities, none to be gained, and the filter of system calls."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_program, "import time\nwhile True:\n    time.sleep(1)", timeout_seconds=2.0)
        found: dict[str, str] = {}
        while not found and not future.done():
            time.sleep(0.05)
            for pid in _descendants(os.getpid()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                    found = status if "python" in status["Name"] and status["NSpid"].split()[1:] == ["2"] else found
            if found.get("CapEff", "").strip("0"):
                found = {}  # the runner, before it leaves root
    assert found["Uid"].split()[0] == found["Uid"].split()[1] == found["Uid"].split()[2] != "0"
    assert {name: found[name].strip("0") for name in ("CapPrm", "CapEff", "CapAmb")} == dict.fromkeys(
        ("CapPrm", "CapEff", "CapAmb"), ""
    )
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_outcomes_keep_the_order_and_progress_is_told() -> None:
    """Slow programs first, and still outcome i belongs to program i."""
    programs = [f"import time\ntime.sleep({0.3 - 0.1 * number})\nraise ValueError({number})" for number in range(4)]
    programs[3] = "pass"
    told: list[tuple[int, int]] = []
    ran = run_programs(
        programs, Limits(timeout_seconds=PATIENT_SECONDS), workers=4, progress=lambda *at: told.append(at)
    )
    assert [outcome.reason.split(" (")[0] for outcome in ran[:3]] == [f"failed: ValueError: {n}" for n in range(3)]
    assert ran[3].passed
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_sandbox_ends_with_its_parent() -> None:
    """A harness that is killed leaves no process behind."""
    code = "from harness.sandbox import run_program; run_program('while True: pass', timeout_seconds=100)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + PATIENT_SECONDS
    while len(children := _descendants(parent.pid)) < 3:
        assert time.monotonic() < deadline, "the sandbox did not start"
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while alive := [pid for pid in children if _is_alive(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", ["forged_depth", "forged_descriptors"])
def test_forgery_would_pass_without_the_stack(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops a forged end is the comparison of stacks: with system call and descriptor alone, it passes."""
    look = sandbox_pool.Rooted.of

    def short(pid: int) -> sandbox_pool.Rooted | None:
        seen = look(pid)
        return seen and sandbox_pool.Rooted(seen.call[:2], b"")

    code = next(path for path in HOSTILE if path.stem == name).read_text()
    assert not run_program(code, timeout_seconds=0.5).passed
    monkeypatch.setattr(sandbox_pool.Rooted, "of", short)
    assert run_program(code, timeout_seconds=PATIENT_SECONDS).passed


def test_guard_is_needed_and_is_not_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the audit hook a trace jumps over a check of its own program, and still not in the runner."""
    monkeypatch.setattr(sandbox_child, "DENIED_EVENTS", ())
    code = {path.stem: world.fill(path) for path in HOSTILE}
    assert run_program(code["trace_over_the_check"], timeout_seconds=PATIENT_SECONDS).passed
    for name in ("trace_in_the_runner", "profile", "hunt_for_objects", "exec_python_optimised", "exec_true"):
        outcome = run_program(code[name], timeout_seconds=1.0)
        assert not outcome.passed, (name, outcome)


def test_missing_bubblewrap_is_a_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is run without it: the error names the package and means exit code 4."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentGapError, match="apt-get install bubblewrap") as raised:
        run_program("pass", timeout_seconds=1.0)
    assert raised.value.exit_code == ExitCode.ENVIRONMENT
    assert "apt-get install bubblewrap" in str(available.__wrapped__())
    with pytest.raises(EnvironmentGapError):
        run_programs(["pass"] * 3, LIMIT)


def test_forbidden_namespaces_are_a_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container that forbids them is told apart from a program that fails, with what to allow."""
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = str(available.__wrapped__())
    assert "No permissions to create new namespace" in reason
    assert "a container must allow user namespaces" in reason


AS_OTHER_USER = """
import json, sys
from dataclasses import asdict
from harness.sandbox import Limits, available, run_programs
programs = json.load(sys.stdin)
missing = available()
ran = [] if missing else run_programs(list(programs.values()), Limits(timeout_seconds=1.0, memory_bytes=512 << 20))
print(json.dumps({"missing": missing, "ran": {name: asdict(outcome) for name, outcome in zip(programs, ran)}}))
"""
SAME_FOR_ANY_USER = {"lying_exception", "forged_in_thread", "fork_bomb_patient", "flood_the_control_socket", "sleep"}
"""Left out as an ordinary user: they take their whole limit and meet nothing that depends on the user."""


def test_ordinary_user_has_the_same_sandbox(world: World, tmp_path: Path) -> None:
    """As root, the corpus is run again by `nobody`, through a user namespace instead of a change of uid."""
    if os.geteuid() != 0:
        pytest.skip("not root: all other tests ran as an ordinary user")
    python = _python_for_others()
    package = _readable_copy()
    programs = {path.stem: world.fill(path) for path in HOSTILE if path.stem not in SAME_FOR_ANY_USER}
    programs |= {
        f"good: {name}": GOOD[name] for name in ("asserts", "unicode", "standard library", "executor not shut down")
    }
    before = world.state()
    try:
        answer = subprocess.run(
            [python, "-B", "-c", AS_OTHER_USER],
            user=65534,
            group=65534,
            extra_groups=[],
            cwd="/",
            input=json.dumps(programs).encode(),
            env={"PYTHONPATH": str(package), "PATH": os.defpath},
            capture_output=True,
            check=False,
        )
    finally:
        shutil.rmtree(package)
    assert answer.returncode == 0, answer.stderr.decode()
    told = json.loads(answer.stdout)
    assert told["missing"] is None
    assert {name for name, outcome in told["ran"].items() if outcome["passed"]} == {n for n in programs if "good" in n}
    assert max(outcome["seconds"] for outcome in told["ran"].values()) <= 1.0 + GRACE_SECONDS
    assert world.state() == before


def _python_for_others() -> str:
    """An interpreter that user 65534 can start; ours may lie below a closed folder."""
    for python in (sys._base_executable, "/usr/bin/python3", "/usr/local/bin/python3"):  # type: ignore[attr-defined]
        try:
            code = "import sys; sys.exit(sys.version_info < (3, 11))"
            subprocess.run(
                [python, "-I", "-c", code], user=65534, group=65534, cwd="/", check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return str(python)
    pytest.skip("no interpreter of 3.11 or newer that an ordinary user can start")


def _readable_copy() -> Path:
    """What the sandbox needs of the package, where anyone can read it (pytest's own folders are closed)."""
    root = Path(f"/tmp/harness-for-others-{os.getpid()}")
    package = Path(str(harness.__file__)).parent
    shutil.copytree(package / "sandbox", root / "harness" / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "errors.py", root / "harness")
    (root / "harness" / "__init__.py").touch()
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)
    return root


def test_outcome_is_plain_data() -> None:
    """What is stored with a result."""
    assert asdict(Outcome(passed=False, reason="memory", seconds=0.5)) == {
        "passed": False,
        "reason": "memory",
        "seconds": 0.5,
    }
