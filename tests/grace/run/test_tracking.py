"""A training tells the tracker that its configuration names, and goes on whatever becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from grace_support import Quiet, chat_model, jsonl, plain_config, triplets
from tracked import stand_in

from grace.config.load import config_of
from grace.training.train import train
from harness.errors import EnvironmentGapError, InputError


class Heard(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and triplets."""
    root = tmp_path_factory.mktemp("training")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    return root


def test_each_step_is_tracked_as_it_is_in_the_file_of_metrics(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """Name, configuration, and a row a step."""
    kept = stand_in(monkeypatch, "wandb")
    plain = plain_config(folder, track="wandb")
    train(plain, tmp_path / "out", progress=Quiet())
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert [given for call, given in kept.calls if call == "log"] == [(row, {"step": row["step"]}) for row in rows]
    begun = kept.calls[0][1][0]
    assert (begun["project"], begun["name"], begun["config"]["steps"]) == ("grace", "tiny", 2)
    assert kept.calls[-1] == ("finish", ())


def test_a_tracker_that_fails_changes_nothing_of_a_training(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """One line says it; the candidate's weights are those of a run without it, byte for byte."""
    stand_in(monkeypatch, "mlflow", fails_at="log_metrics")
    heard = Heard()
    train(plain_config(folder), tmp_path / "without", progress=Quiet())
    train(plain_config(folder, track="mlflow"), tmp_path / "with", progress=heard)
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    assert len([line for line in heard.said if "--track mlflow: ConnectionError" in line]) == 1


def test_the_older_word_is_read_and_two_trackers_are_refused(folder: Path) -> None:
    """`trackio: true` is `track: trackio`; an unknown name is refused with those there are."""
    assert config_of(plain_config(folder)).tracker is None
    assert config_of(plain_config(folder, trackio=True)).tracker == "trackio"
    assert config_of(plain_config(folder, track="mlflow")).tracker == "mlflow"
    assert config_of(plain_config(folder, track="trackio", trackio=True)).tracker == "trackio"
    with pytest.raises(InputError, match="one of the two"):
        config_of(plain_config(folder, track="wandb", trackio=True))
    with pytest.raises(InputError, match="track"):
        config_of(plain_config(folder, track="tensorboard"))


@pytest.mark.parametrize("asked", [{"trackio": True}, {"track": "trackio"}])
def test_a_package_that_is_not_installed_ends_it_before_the_model_loads(
    folder: Path, tmp_path, monkeypatch, asked
) -> None:
    """With the line that installs it."""
    monkeypatch.setattr("harness.trackers.is_installed", lambda name: False)
    with pytest.raises(EnvironmentGapError, match="pip install trackio"):
        train(plain_config(folder, **asked), tmp_path / "out", progress=Quiet())
    assert not (tmp_path / "out").exists()
