"""Contrastive training on a tiny model: what moves, what stays, and that the candidate is what was trained."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from grace_support import Quiet, chat_model, jsonl, plain_config, session_of, triplets
from suites_support import write

import harness
from grace.config.schema import Objective
from grace.errors import TrainingFailedError
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.packed import packed_attention_on
from grace.training.contrastive.step import ContrastiveStep
from grace.training.train import OBJECTIVES, train
from harness.candidates.named import named_candidate
from harness.encoders.rationale.generate import Sampling, generate, with_prompt
from harness.encoders.rationale.prefix_attention import prefix_attention_on
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources

TEXTS = ["the cat sat", "rain fell on the roof all night long", "card"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template, triplets, and single texts."""
    root = tmp_path_factory.mktemp("training")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    write(root / "texts.txt", "".join(f"{row['query']}\n" for row in triplets()))
    return root


def test_every_objective_of_the_configuration_has_a_row():
    """And each row's loop is where it says."""
    assert tuple(OBJECTIVES) == get_args(Objective)
    for one in OBJECTIVES.values():
        module, _, name = one.loop.partition(":")
        assert callable(getattr(import_module(module), name))


VARIANTS = {
    "infonce": {},
    "retain": {"retain_weight": 0.5},
    "rationale": {"objective": "infonce-rationale", "max_new_tokens": 6},
    "full": {"adapter": "full", "retain_weight": 0.5, "optimiser": {"lr": 0.001, "weight_decay": 0.01}},
    "simcse": {"objective": "simcse"},
}


def changes_of(folder: Path, variant: str) -> dict:
    """Return what differs from plain InfoNCE."""
    data = {"data": {"path": str(folder / "texts.txt")}} if variant == "simcse" else {}
    return VARIANTS[variant] | data


def test_full_training_keeps_the_base_that_writes_its_rationales(folder, tmp_path):
    """What is written about a text is the same after the weights have moved."""
    from grace.training.contrastive.loop import train_contrastive

    changes = VARIANTS["rationale"] | {"adapter": "full", "optimiser": {"lr": 0.01}}
    session = session_of(folder, tmp_path / "out", **changes)
    before = make_inputs(session.config, session.trained).rows(TEXTS, 0)
    assert train_contrastive(session, resume=False).steps == 2
    assert make_inputs(session.config, session.trained).rows(TEXTS, 0) == before


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_the_candidate_embeds_as_the_model_did_in_training(folder, tmp_path, variant):
    """Trained weights move and no other does; the exported candidate's vectors are those of the training pass."""
    session = session_of(folder, tmp_path / "out", **changes_of(folder, variant))
    trained = session.trained
    before = {name: one.detach().clone() for name, one in trained.model.named_parameters()}
    from grace.training.candidate import write_candidate
    from grace.training.contrastive.loop import train_contrastive

    finished = train_contrastive(session, resume=False)
    assert finished.steps == 2
    moved = {name for name, one in trained.model.named_parameters() if not torch.equal(one, before[name])}
    assert moved == set(trained.parameters())
    assert all("lora_" in name for name in moved) or variant == "full"
    write_candidate(session.run, session.config, trained, session.data, facts={"steps": 2, "seconds": 0.0})

    encoder = harness.load({"candidate": str(tmp_path / "out"), "device": "cpu"})
    inputs = make_inputs(session.config, trained)
    if variant == "rationale":
        # In training the base writes the rationale; the candidate writes its own. Compare on the candidate's.

        template = render_template(trained.tokenizer)
        with prefix_attention_on(trained.model):
            own = tokenise(trained.tokenizer, TEXTS)
            sampling = Sampling(max_new_tokens=6)
            ends = end_tokens(trained.model, trained.tokenizer, template)
            prompted = with_prompt(trained.model, template, ends)
            written = generate(prompted, list(zip(TEXTS, own, strict=True)), sampling)
        rows = [[*ids, *template.suffix, *one.ids] for ids, one in zip(own, written, strict=True)]
    else:
        rows = inputs.rows(TEXTS, 0)
    step = ContrastiveStep(session, inputs)
    trained.model.eval()
    with packed_attention_on(trained.model):
        vectors = np.zeros((len(TEXTS), 32), dtype=np.float32)
        for part in step._parts(rows, 0):
            vectors[part.places] = step._encode(part, with_graph=False).vectors.numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), vectors, atol=1e-5)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_accumulation_leaves_the_gradient_as_it_is(folder, tmp_path, variant):
    """A batch of 4 in one piece, in 2 parts and in 4 has one loss and one gradient; so has any token budget."""
    found = []
    for number, changes in enumerate(({}, {"accumulation": 2}, {"accumulation": 4}, {"batch_tokens": 20})):
        options = changes_of(folder, variant) | changes
        if variant == "simcse":  # parts draw their own dropout: without noise the parts can be compared
            options |= {"simcse": {"attention_dropout": 1e-12}}
        session = session_of(folder, tmp_path / str(number), **options)
        torch.manual_seed(0)
        for one in session.trained.parameters().values():  # a fresh adapter's B is zero, and A has no gradient yet
            one.data += 0.05 * torch.randn_like(one)
        step = ContrastiveStep(session, make_inputs(session.config, session.trained))
        metrics = step.gradients(session.data.rows[:4], step=0, epoch=0)
        found.append((metrics["loss"], {n: p.grad for n, p in session.trained.parameters().items()}))
    for loss, gradients in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, found[0][1][name], atol=2e-5, rtol=2e-4)


@pytest.mark.parametrize("objective", ["infonce", "infonce-rationale"])
def test_packed_and_plain_forward_give_the_same_loss_and_gradient(objective, folder, tmp_path):
    """With KL to the base, in two parts: the packed sequence against the model's own forward on padded rows."""
    found = []
    for forward in ("packed", "plain"):
        options = {"objective": objective, "retain_weight": 0.3, "forward": forward, "accumulation": 2}
        options |= {"max_new_tokens": 4} if objective == "infonce-rationale" else {}
        session = session_of(folder, tmp_path / forward, **options)
        torch.manual_seed(0)
        for one in session.trained.parameters().values():
            one.data += 0.05 * torch.randn_like(one)
        step = ContrastiveStep(session, make_inputs(session.config, session.trained))
        metrics = step.gradients(session.data.rows[:4], step=0, epoch=0)
        assert metrics["kl"] > 0
        found.append((metrics, torch.cat([one.grad.flatten() for one in session.trained.parameters().values()])))
    (packed, gradient), (plain, other) = found
    assert packed["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    assert packed["kl"] == pytest.approx(plain["kl"], rel=1e-4)
    assert float((gradient - other).norm() / other.norm()) < 1e-4


def test_a_part_that_is_run_again_drops_the_same(folder, tmp_path):
    """SimCSE in parts with graphs kept, and with each part run twice: the same dropout, so the same gradient."""
    gradients = []
    for number, changes in enumerate(({"batch_tokens": 12}, {"batch_tokens": 12, "accumulation": 2})):
        session = session_of(folder, tmp_path / str(number), **changes_of(folder, "simcse"), **changes)
        torch.manual_seed(0)
        for one in session.trained.parameters().values():
            one.data += 0.05 * torch.randn_like(one)
        step = ContrastiveStep(session, make_inputs(session.config, session.trained))
        metrics = step.gradients(session.data.rows[:4], step=0, epoch=0)
        assert metrics["loss"] > 0
        gradients.append([one.grad for one in session.trained.parameters().values()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_run_leaves_metrics_and_provenance(folder, tmp_path):
    """One row a step; the candidate names objective, data and configuration."""
    import grace

    outcome = grace.train(plain_config(folder, retain_weight=1.0), tmp_path / "out", progress=Quiet())
    rows = [json.loads(line) for line in (outcome.path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)  # a fresh adapter changes nothing
    assert rows[1]["kl"] > 0
    assert rows[1]["loss"] == pytest.approx(rows[1]["info_nce"] + rows[1]["kl"])
    assert {"lr", "grad_norm", "tokens_per_second", "tokens_per_text", "accuracy"} <= rows[0].keys()
    candidate = (outcome.path / "candidate.yaml").read_text()
    for told in ("objective: infonce", "config_sha256", "data_identity", "steps: 2", "git:"):
        assert told in candidate
    assert "config.yaml" in (outcome.path / "README.md").read_text()
    assert str(folder / "model") in (outcome.path / "adapter" / "adapter_config.json").read_text()


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_rows(folder, tmp_path):
    """Nothing good follows from NaN."""
    config = plain_config(folder, optimiser={"lr": 1e30, "max_grad_norm": None}, steps=5)
    with pytest.raises(TrainingFailedError, match=r"(?s)step \d: loss nan.*triplets.jsonl:\d+"):
        train(config, tmp_path / "out", progress=Quiet())


def test_a_directory_is_not_taken_twice_and_a_resumed_run_keeps_its_settings(folder, tmp_path):
    """Another configuration in the same directory would make a candidate that no configuration makes."""
    train(plain_config(folder), tmp_path / "out", progress=Quiet())
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        train(plain_config(folder), tmp_path / "out", progress=Quiet())
    with pytest.raises(InputError, match=r"(?s)seed was 3, now 4.*may change only"):
        train(plain_config(folder, seed=4), tmp_path / "out", resume=True, progress=Quiet())
    longer = train(plain_config(folder, steps=3), tmp_path / "out", resume=True, progress=Quiet())
    assert longer.finished.steps == 3


def test_the_candidate_knows_its_base_and_is_not_read_over_another(tmp_path: Path) -> None:
    """What training found stands in candidate.yaml; other weights of the same shape are no base of it."""
    from transformers import AutoModelForCausalLM

    chat_model(tmp_path / "model")
    jsonl(tmp_path / "triplets.jsonl", triplets())
    out = train(plain_config(tmp_path), tmp_path / "run", progress=Quiet()).path
    assert named_candidate(str(out), Sources()).adapter is not None
    other = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        other.lm_head.weight.add_(0.01)
    other.save_pretrained(tmp_path / "model")
    with pytest.raises(EnvironmentGapError, match=r"trained on a base with sha256 \w{12}\.\.\., .*model holds \w{12}"):
        named_candidate(str(out), Sources())
