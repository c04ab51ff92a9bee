"""The training study's own parts: suite, curves, pictures; scores and differences are the harness's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from places import REPOSITORY

from harness.report.pictures.data import Whisker
from harness.suite.load import load_suite

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
import training_study
import training_study_pictures as pictures
import training_study_table as table


def study(out: Path, **changes: object) -> training_study.Study:
    """Return a study of the shipped suite that runs nothing."""
    told = {"out": out, "only": training_study.ORDER, "seeds": (0,), "suite": REPOSITORY / "suites" / "dev.yaml"}
    return training_study.Study(argparse.Namespace(**told | changes))


def test_every_trial_configuration_is_in_the_study_and_in_the_suite(tmp_path: Path) -> None:
    """None is forgotten, with and without rationale; a further seed has entries of its own."""
    assert sorted(training_study.ORDER) == sorted(path.stem for path in training_study.CONFIGS.glob("*.yaml"))
    made = study(tmp_path, seeds=(0, 1))
    made.write_suite()
    models = {model.name: model for model in load_suite(tmp_path / training_study.SUITE).suite.models}
    assert set(models) == {*training_study.BASE, *(name for run in made.runs for name in run.models)}
    assert models["grace-hybrid-seed-1+rationale"].candidate == "runs/grace-hybrid-seed-1"
    kinds = {name: model.kind for name, model in models.items() if name not in training_study.BASE}
    assert kinds == {name: "rationale" if name.endswith("+rationale") else "mean-pool" for name in kinds}


def test_the_questions_are_about_entries_of_the_study() -> None:
    """A misspelt one would be shown as not there for ever."""
    known = {name for config in training_study.ORDER for name in training_study.Run(config=config, seed=0).models}
    assert {name for _, *pair in table.QUESTIONS for name in pair} <= known


def test_changed_code_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """Once begun, the study remembers with what."""
    for revision, noted in (("aaa", False), ("aaa", False), ("bbb", True)):
        monkeypatch.setattr(training_study, "git_revision", lambda found=revision: found)
        study(tmp_path).note_code()
        assert ("begun with code aaa, this is bbb" in capsys.readouterr().err) is noted


def test_curves_keep_losses_of_the_two_kinds_apart() -> None:
    """A policy gradient's loss is no InfoNCE; terms of the reward have panels, their spreads have none."""
    contrastive = [{"step": 1, "loss": 2.0, "info_nce": 2.0}, {"step": 2, "loss": 1.0, "info_nce": 1.0}]
    policy = [{"step": 1, "loss": 0.1, "reward": 0.5, "reward_terms/hard": 0.2, "reward_terms/hard_std_in_group": 9.0}]
    found = pictures._series({"infonce": contrastive, "grace": policy})
    assert found == {
        "reward": {"grace": ([1], [0.5])},
        "reward: hard": {"grace": ([1], [0.2])},
        "loss, policy gradient (and its InfoNCE)": {"grace": ([1], [0.1])},
        "loss, contrastive objectives": {"infonce": ([1, 2], [2.0, 1.0])},
        "InfoNCE, nats": {"infonce": ([1, 2], [2.0, 1.0])},
    }


def test_pictures_are_drawn_for_whatever_there_is() -> None:
    """All runs look different; the base alone makes no picture; the same numbers make the same bytes."""
    places = {name: place for place, name in enumerate(training_study.ORDER)}
    looks = {(pictures._colour(name, places), pictures._shape(name, places)) for name in ("base", *places)}
    assert len(looks) == len(training_study.ORDER) + 1
    assert len({pictures._look(place) for place in places.values()}) == len(training_study.ORDER)
    zero, score = Whisker(value=0.0), Whisker(value=40.0, low=30.0, high=50.0)
    base = pictures.Point(name="base", x=zero, y=score, has_rationale=False)
    assert pictures.draw({}, [base]) == {}
    own = pictures.Point(name="infonce", x=Whisker(value=0.1, low=0.05, high=0.2), y=score, has_rationale=True)
    made = pictures.draw({"infonce": [{"step": 1, "loss": 2.0}]}, [base, own])
    assert sorted(made) == ["curves.png", "curves.svg", "trade-off.png", "trade-off.svg"]
    assert made == pictures.draw({"infonce": [{"step": 1, "loss": 2.0}]}, [base, own])
