"""Every shipped training configuration loads, says what its folder promises, and the smoke run ends in a candidate."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from grace_support import Quiet, chat_model
from places import REPOSITORY

import harness
from grace.config.load import load_config
from grace.data.rows import load_data
from grace.objectives.policy_gradients import policy_gradient
from grace.training.train import train
from harness.errors import InputError
from harness.sources.places import Sources

CONFIGS = REPOSITORY / "grace" / "configs"
LAUNCHERS = {"fsdp.yaml", "deepspeed-zero2.yaml"}
ALL = sorted(path for path in CONFIGS.rglob("*.yaml") if path.name not in LAUNCHERS)


TRIALS = sorted(path for folder in ("trial", "study") for path in (CONFIGS / folder).glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_shipped_configuration_loads(path: Path) -> None:
    """Strictly, as `grace train` reads it; those of the trial are told where the texts are."""
    of_texts = path.stem in ("simcse", "grace-unsupervised")
    told = [f"data.path=texts.{'txt' if of_texts else 'jsonl'}"] if path in TRIALS else []
    loaded = load_config(path, told).config
    assert loaded.data.is_supervised != of_texts
    assert loaded.name == path.stem or path not in TRIALS


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.stem)
def test_a_trial_configuration_asks_for_its_data(path: Path) -> None:
    """No path on anybody's machine is in it; the message names the option, and nothing else is complained about."""
    with pytest.raises(InputError, match=r"^\S+:8:7: data: no texts; give 'path' \(-o data\.path=FILE, .*$") as raised:
        load_config(path)
    assert len(raised.value.problems) == 1


def test_the_smoke_configuration_needs_nothing_beside_the_package() -> None:
    """Its triplets lie below it: a hundred at least, of texts that are all different."""
    config = load_config(CONFIGS / "smoke.yaml").config
    assert Path(str(config.data.path)).is_relative_to(CONFIGS.resolve())
    rows = load_data(config.data, Sources(), at_least=config.batch_size).rows
    texts = [text for row in rows for text in (row.query, row.positive, *row.negatives)]
    assert len(rows) >= 100
    assert len(set(texts)) == len(texts) == 3 * len(rows)


def test_paper_configurations_are_the_published_settings() -> None:
    """Of section 4.1 and the public code: four backbones, 64 prompts of 8 rollouts, four updates of each batch."""
    found = [load_config(path).config for path in sorted((CONFIGS / "paper").glob("*.yaml"))]
    assert [one.model for one in found] == [
        "meta-llama/Llama-3.2-3B-Instruct",
        "Qwen/Qwen2.5-1.5B-Instruct",
        "Qwen/Qwen2.5-3B-Instruct",
        "Qwen/Qwen3-4B-Instruct-2507",
    ]
    for config in found:
        gradient, grace = policy_gradient(config.grace), config.grace
        assert (config.batch_size * gradient.steps_per_generation, grace.rollouts) == (64, 8)
        assert (gradient.loss_type, gradient.scale_rewards, gradient.epsilon, gradient.epsilon_high) == (
            "dapo",
            "none",
            0.2,
            0.2,
        )
        assert (grace.credit, grace.truncation, grace.tau, grace.beta) == ("paper", "published", 0.1, 0.0)
        assert (grace.consistency_weight, grace.cross_weight) == (0.2, 0.2)
        assert (grace.rollout_temperature, grace.anchor_temperature) == (1.0, 0.5)
        assert (config.optimiser.lr, config.optimiser.schedule, config.adapter.kind) == (1e-6, "constant", "full")
        assert (config.optimiser.weight_decay, gradient.delta, config.candidate.temperature) == (0.01, 3.0, 1.0)
        assert (config.max_text_tokens, config.max_new_tokens) == (1024, 2048)


@pytest.mark.parametrize("name", sorted(LAUNCHERS))
def test_launcher_files_are_read_by_accelerate(name: str) -> None:
    """Unknown keys are refused by its own loader."""
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(CONFIGS / "gpu" / name)).num_processes == 8


def test_the_smoke_run_on_a_tiny_model(tmp_path: Path) -> None:
    """The shipped configuration and its data, the model replaced, ends in a directory that the harness loads."""
    model = chat_model(tmp_path / "model")
    plain = load_config(CONFIGS / "smoke.yaml").config.plain() | {"model": str(model), "device": "cpu"}
    plain.pop("sha256")
    outcome = train(plain, tmp_path / "out", progress=Quiet())
    assert outcome.finished.steps == 4
    vectors = harness.load({"name": "smoke", "candidate": str(outcome.path)}).encode(["cat"], role=None, prompt=None)
    assert vectors.shape[0] == 1


def test_what_is_recommended_is_infonce_with_a_fixed_sentence() -> None:
    """Its settings are those of gpu/infonce, as the file says, but for the sentence and what it is called."""
    told = [load_config(CONFIGS / name).config.plain() for name in ("recommended.yaml", "gpu/infonce.yaml")]
    called = ("name", "description", "objective", "rationale", "candidate")
    recommended, infonce = ({key: of[key] for key in of if key not in called} for of in told)
    assert recommended == infonce
    small = load_config(CONFIGS / "small" / "infonce-fixed.yaml").config.plain()
    assert [told[0]["objective"], told[0]["rationale"]] == [small["objective"], small["rationale"]]
    merged = load_config(CONFIGS / "gpu" / "infonce-fixed-retain.yaml").config.plain()
    as_judged = CONFIGS / "study" / "infonce-fixed-retain.yaml"  # read as it stands, since it has no data of its own
    judged = yaml.safe_load(as_judged.read_text("utf-8"))
    named = ("name", "description", "candidate")
    differs = {key: merged[key] for key in merged.keys() | told[0].keys() if merged.get(key) != told[0].get(key)}
    assert {key: value for key, value in differs.items() if key not in named} == {
        "retain_weight": judged["retain_weight"]
    }
