"""How commands end: places that cannot be written, readers who leave, terminals of another encoding, signals."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from suites_support import Command, suite_file

from harness.cli import run as run_command
from harness.cli import streams
from harness.cli.options import print_json
from harness.errors import EnvironmentGapError
from harness.evaluation.options import RunOptions
from harness.plan.planner import make_plan
from harness.results.outcome import RunOutcome, outcome_of
from harness.results.store import Store
from harness.suite.schema import Suite

WORDS = "models: [{name: words, encoder: tf-idf}]\ntasks: {embedding: {names: [STS12]}}\n"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`harness` in this process."""
    return Command(monkeypatch, capsys)


def raw(
    *arguments: str, cwd: Path, stdout: object = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the real command with standard output wherever it is wanted."""
    everything = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=cwd,
        env=everything,
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("run", "mine.yaml", "--offline", "--results", "file"), "--results file"),
        (("run", "mine.yaml", "--offline", "--results", "file/below"), "--results file/below"),
        (("run", "mine.yaml", "--offline", "--out", "file"), "--out file"),
        (("report", "mine.yaml", "--offline", "--out", "file"), "--out file"),
        (("compare", "words", "words", "--out", "file/below"), "--out file/below"),
        (("gate", "mine.yaml", "--offline", "--junit", "file/x.xml"), "--junit file/x.xml"),
        (("gate", "mine.yaml", "--offline", "--summary", "."), "--summary ."),
        (("gate", "mine.yaml", "--offline", "--update", "--baseline", "file/b.json"), "--baseline file/b.json"),
        (("fetch", "mine.yaml", "--hub", "file"), "--hub file"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_first(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], flag: str
) -> None:
    """With the flag and the reason, exit 2, and nothing made."""
    suite_file(tmp_path, WORDS + "gates: [{axis: embedding, floor: 50}]\n")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{flag}: cannot be written (")
    assert done.stderr.endswith("; give another\n")
    assert sorted(one.name for one in tmp_path.iterdir() if one.name not in ("cache", "hf-cache")) == [
        "file",
        "mine.yaml",
    ]


def test_a_reader_who_leaves_ends_nothing(tmp_path: Path) -> None:
    """`harness ls | head -0`: no traceback, and the exit code of the command itself."""
    read, write = os.pipe()
    os.close(read)
    done = raw("ls", "--tasks", cwd=tmp_path, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [("--version",), ("ls", "--tasks"), ("--help",)])
def test_a_full_disk_behind_standard_output_is_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Short output is held back until the end, long output is not: 4 either way, in a sentence."""
    with Path("/dev/full").open("wb") as full:
        done = raw(*arguments, cwd=tmp_path, stdout=full)
    assert done.returncode == 4
    assert done.stderr == b"error: standard output cannot be written (the disk is full)\n"


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_is_closed_is_done_without(tmp_path: Path, closed: str) -> None:
    """`>&-`: Python has none then."""
    number = {"stdout": 1, "stderr": 2}[closed]
    line = f'exec "{sys.executable}" -m harness.cli ls --tasks {number}>&-'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, environment: dict[str, str]) -> None:
    """Names of users' own, in what is said and in errors."""
    suite_file(tmp_path, WORDS).rename(tmp_path / "日本.yaml")
    done = raw("validate", "日本.yaml", cwd=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u" in done.stdout  # of the character, or of its bytes where names are ASCII
    done = raw("run", "日.yaml", cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert rb"\u" in done.stderr
    assert b"Traceback" not in done.stderr


def test_files_are_utf8_whatever_the_terminal(tmp_path: Path) -> None:
    """Their names, too."""
    suite_file(tmp_path, WORDS.replace("tf-idf", "tf-idf, note: wörter"))
    done = raw("report", "mine.yaml", "--offline", "--out", "bücher", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "wörter" in (tmp_path / "bücher" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_stays_json_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """A backslash of Python's would be no escape of JSON; half a pair and a whole one come back as they were."""
    value = {"ü": "日本 \U0001f600 \ud83d"}
    sink = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", sink)
    print_json(value)
    sink.flush()
    assert json.loads(sink.buffer.getvalue().decode(encoding)) == value  # type: ignore[attr-defined]


def test_a_name_that_is_no_utf8_is_no_traceback(tmp_path: Path) -> None:
    """Bytes of another code page in a path."""
    suite_file(tmp_path, WORDS)
    name = os.fsencode(tmp_path) + b"/b\xfccher"
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "report", "mine.yaml", "--offline", "--out", name],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"b\udcfccher" in done.stdout
    assert os.path.exists(name + b"/report.md")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_without_a_traceback(tmp_path: Path, number: signal.Signals) -> None:
    """With 130, wherever it was; a signal that the caller had ignored is heard again for it."""
    heard = "default_int_handler" if number == signal.SIGINT else "SIG_DFL"
    code = (
        f"import signal; signal.signal({int(number)}, signal.{heard})\n"
        "import os, sys, typer\n"
        "from harness.cli import shell\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        f"def wait() -> None:\n    os.kill(os.getpid(), {int(number)})\n    import time; time.sleep(60)\n"
        "sys.exit(shell.run_app(app))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_full_disk_anywhere_is_a_sentence(tmp_path: Path) -> None:
    """Where no command foresaw it, too; another error is a bug and keeps its traceback."""
    code = (
        "import sys, typer\n"
        "from harness.cli import shell\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def full() -> None:\n    raise OSError({}, 'x', 'somewhere/file')\n"
        "sys.exit(shell.run_app(app))\n"
    )
    done = subprocess.run([sys.executable, "-c", code.format(28)], capture_output=True, text=True, check=False)
    said = "error: somewhere/file: cannot be written (the disk is full); make room and run it again\n"
    assert (done.returncode, done.stderr) == (4, said)
    done = subprocess.run([sys.executable, "-c", code.format(2)], capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr


def test_standard_error_that_cannot_be_written_ends_no_run() -> None:
    """Progress is shown where it can be; on standard output an error is said."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        quiet = streams.Patient(full, must_arrive=False)
        quiet.write("x" * 100_000)
        quiet.flush()
    with (
        Path("/dev/full").open("w", encoding="utf-8") as full,
        pytest.raises(EnvironmentGapError, match="the disk is full"),
    ):
        streams.Patient(full, must_arrive=True).write("x" * 100_000)


def test_a_report_that_cannot_be_written_after_the_run_says_how_to_have_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in the way during the hours of the run: the results stay."""
    suite_file(tmp_path, WORDS)

    def ran(suite: Suite, options: RunOptions, _: object) -> RunOutcome:
        (tmp_path / "report" / "report.md").mkdir(parents=True)
        return outcome_of(make_plan(suite, options.sources), Store(options.results))

    monkeypatch.setattr(run_command, "run_suite", ran)
    monkeypatch.setattr(run_command, "quiet", lambda _: None)
    done = command("run", "mine.yaml", "--offline", "--out", "report", cwd=tmp_path)
    assert done.returncode == 2
    assert "--out report: cannot be written (a folder, and a file is wanted); the results are kept" in done.stderr
    assert "harness report mine.yaml --results results --out OTHER" in done.stderr
