"""Distillation: a student learns what a teacher makes with a rationale, and costs what the text alone costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grace_support import Quiet, chat_model, jsonl, plain_config, session_of, triplets
from suites_support import write
from typer.testing import CliRunner

import harness
from grace.cli.app import app
from grace.objectives.losses import info_nce
from grace.run.directory import RunDir
from grace.training.contrastive.batch import texts_of
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.loop import train_contrastive
from grace.training.train import train
from harness.candidates.named import named_candidate
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.encoders.tfidf import TfIdfEncoder
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources
from harness.suite.model_entries import TfIdfSpec

DISTIL = {
    "objective": "distil",
    "distil": {"max_new_tokens": 4},
    "infonce": {"mask_false_negatives": False},
    "steps": 3,
}
SOFT = {"adapter": {"kind": "soft-tokens", "tokens": 4}}
VARIANTS: dict[str, dict[str, Any]] = {
    "lora": DISTIL,
    "lora+kl": DISTIL | {"retain_weight": 0.5},
    "soft": DISTIL | SOFT,
    "soft+infonce": DISTIL | SOFT | {"distil": {"max_new_tokens": 4, "infonce_weight": 0.5}},
    "control": SOFT | {"steps": 3},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model, triplets, single texts."""
    root = tmp_path_factory.mktemp("distil")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    write(root / "texts.txt", "".join(f"{row['query']}\n" for row in triplets()))
    return root


def prepared(session: Any) -> Any:
    """Return inputs with the teacher's vectors."""
    inputs = make_inputs(session.config, session.trained)
    assert inputs.prepare(session, 0, lambda _: False).is_whole
    return inputs


def test_the_teacher_is_what_the_harness_makes_with_a_rationale(folder, tmp_path):
    """The base where nothing is said, and a candidate where one is named."""
    entry = {"encoder": "rationale", "model": str(folder / "model"), "device": "cpu", "max_text_tokens": 32}
    own = harness.load(entry | {"name": "m", "generation": {"max_new_tokens": 4}})
    session = session_of(folder, tmp_path / "out", **DISTIL)
    texts = texts_of(session.data.rows[:4], session.config).texts
    np.testing.assert_allclose(prepared(session).taught(texts), own.encode(texts), atol=1e-5)
    rationale = {"objective": "infonce-rationale", "max_new_tokens": 3, "optimiser": {"lr": 0.1}}
    teacher = train(plain_config(folder, **rationale), tmp_path / "teacher", progress=Quiet()).path
    session = session_of(folder, tmp_path / "other", **DISTIL | {"distil": {"teacher": str(teacher)}})
    found = prepared(session).taught(texts)
    np.testing.assert_allclose(found, harness.load({"candidate": str(teacher)}).encode(texts), atol=1e-5)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_the_student_moves_and_nothing_else_does(variant, folder, tmp_path):
    """Its trained weights, or the soft tokens; the candidate embeds as it did in training, and explains itself."""
    session = session_of(folder, tmp_path / "out", **VARIANTS[variant])
    trained = session.trained
    before = {name: one.detach().clone() for name, one in trained.model.named_parameters()}
    trainable = {name: one.detach().clone() for name, one in trained.parameters().items()}
    from grace.training.candidate import write_candidate
    from grace.training.contrastive.packed import packed_attention_on
    from grace.training.contrastive.step import ContrastiveStep

    assert train_contrastive(session, resume=False).steps == 3
    moved = {name for name, one in trained.model.named_parameters() if not torch.equal(one, before[name])}
    assert all(not torch.equal(one, trainable[name]) for name, one in trained.parameters().items())
    assert moved == (set() if "adapter" in VARIANTS[variant] else set(trained.parameters()))
    write_candidate(session.run, session.config, trained, session.data, facts={"steps": 3, "seconds": 0.0})
    encoder = harness.load({"candidate": str(tmp_path / "out"), "device": "cpu"})
    texts = ["the cat sat", "rain fell on the roof all night long", "card"]
    inputs = prepared(session)
    batch = texts_of(session.data.rows[:1], session.config)._replace(texts=texts)
    step = ContrastiveStep(session, inputs)
    with packed_attention_on(trained.model), trained.embedding():
        vectors = np.zeros((len(texts), 32), dtype=np.float32)
        for part in step._parts(inputs.of_batch(batch), 0):
            vectors[part.places] = step._encode(part, with_graph=False).vectors.numpy()
    np.testing.assert_allclose(encoder.encode(texts), vectors, atol=1e-5)
    runner = CliRunner()
    done = runner.invoke(app, ["explain", str(tmp_path / "out"), "a cat", "a card", "--json", "--no-cache"])
    assert done.exit_code == 0, done.output
    a, b = encoder.encode(["a cat", "a card"])
    said = json.loads(done.stdout)["cosine"]
    assert said == pytest.approx(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), abs=1e-4)


@pytest.mark.parametrize("variant", ["lora", "soft"])
def test_an_export_is_loaded_by_sentence_transformers(variant, folder, tmp_path):
    """With the vectors of the harness; the directory stands alone."""
    from sentence_transformers import SentenceTransformer

    out = train(plain_config(folder, **VARIANTS[variant]), tmp_path / "run", progress=Quiet()).path
    done = CliRunner().invoke(app, ["export", str(out), "--out", str(tmp_path / "export")])
    assert done.exit_code == 0, done.output
    own = harness.load({"candidate": str(out)}).encode(["a cat", "rain"])
    out.rename(tmp_path / "moved")
    for name in ("export",):
        theirs = SentenceTransformer(str(tmp_path / name), device="cpu", trust_remote_code=True).encode(
            ["a cat", "rain"]
        )
        np.testing.assert_allclose(theirs, own, atol=1e-5)
        again = harness.load({"candidate": str(tmp_path / name)}).encode(["a cat", "rain"])
        np.testing.assert_allclose(again, own, atol=1e-5)


def test_the_loss_is_what_its_terms_say(folder, tmp_path):
    """By hand, from the vectors of both: 1 - cosine, squared differences of cosines, InfoNCE; each by its weight."""
    weights = {"cosine_weight": 2.0, "similarity_weight": 3.0, "infonce_weight": 0.5}
    session = session_of(folder, tmp_path / "out", **DISTIL | {"distil": {"max_new_tokens": 4} | weights})
    from grace.training.contrastive.step import ContrastiveStep

    inputs = prepared(session)
    rows = session.data.rows[:4]
    metrics = ContrastiveStep(session, inputs).gradients(rows, step=0, epoch=0)
    texts = texts_of(rows, session.config).texts
    own = harness.load({"name": "m", "encoder": "mean-pool", "model": str(folder / "model"), "device": "cpu"})
    student, teacher = torch.from_numpy(own.encode(texts)), inputs.taught(texts)
    unit = [one / one.norm(dim=1, keepdim=True) for one in (student, teacher)]
    cosine = 1 - float((unit[0] * unit[1]).sum(dim=1).mean())
    apart = (unit[0] @ unit[0].T - unit[1] @ unit[1].T).square()
    similarity = float(apart.sum() - apart.diagonal().sum()) / (12 * 11)
    contrastive = float(info_nce(student[:4], student[4:], temperature=0.05))
    for name, value in (("cosine_loss", cosine), ("similarity_loss", similarity), ("info_nce", contrastive)):
        assert metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
    assert metrics["loss"] == pytest.approx(2 * cosine + 3 * similarity + 0.5 * contrastive, rel=1e-3)


def test_single_texts_will_do_without_infonce(folder, tmp_path):
    """And with it they are refused."""
    data = {"data": {"path": str(folder / "texts.txt")}}
    train(plain_config(folder, **DISTIL | data), tmp_path / "out", progress=Quiet())
    rows = RunDir(tmp_path / "out").metrics()
    assert rows[-1]["loss"] < rows[0]["loss"]
    with pytest.raises(InputError, match="InfoNCE needs pairs or triplets"):
        train(
            plain_config(folder, **DISTIL | data | {"distil": {"max_new_tokens": 4, "infonce_weight": 1.0}}),
            tmp_path / "x",
            progress=Quiet(),
        )


@pytest.mark.parametrize("variant", ["lora+kl", "soft+infonce"])
def test_a_resumed_run_ends_as_an_undisturbed_one(variant, folder, tmp_path, monkeypatch):
    """Bit by bit, and the teacher is not asked again."""
    from safetensors.torch import load_file

    changes = VARIANTS[variant] | {"checkpoint_every": 1}
    train(plain_config(folder, **changes), tmp_path / "out", progress=Quiet())
    train(plain_config(folder, **changes | {"steps": 5}), tmp_path / "whole", progress=Quiet())
    monkeypatch.setattr("grace.training.contrastive.teacher.load", None)
    train(plain_config(folder, **changes | {"steps": 5}), tmp_path / "out", resume=True, progress=Quiet())
    ours, theirs = (load_file(next((tmp_path / one).glob("*/*.safetensors"))) for one in ("out", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_another_teacher_is_another_run(folder, tmp_path):
    """A teacher's directory with other weights; one that is not there is said before anything is loaded."""
    rationale = {"objective": "infonce-rationale", "max_new_tokens": 3}
    teacher = train(plain_config(folder, **rationale), tmp_path / "teacher", progress=Quiet()).path
    config = plain_config(folder, **DISTIL | {"distil": {"teacher": str(teacher)}})
    train(config, tmp_path / "out", progress=Quiet())
    train(plain_config(folder, **rationale | {"steps": 4}), teacher, resume=True, progress=Quiet())
    with pytest.raises(InputError, match="began with other teacher: fingerprint was"):
        train(config | {"steps": 9}, tmp_path / "out", resume=True, progress=Quiet())
    with pytest.raises((InputError, EnvironmentGapError), match="no such directory"):
        train(config | {"distil": {"teacher": str(tmp_path / "none")}}, tmp_path / "new", progress=Quiet())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("encoder: rationale, ablation: shuffled-rationale", "ablation: shuffled-rationale: a text's vector would"),
        ("encoder: mean-pool, dimensions: 8", "dimensions: [8]: a teacher's vectors are whole"),
        ("encoder: mean-pool, precision: [int8]", "precision: ['int8']: a teacher's vectors are whole"),
        ("encoder: mean-pool, prompts: {query: 'query: '}", "prompts: {'query': 'query: '}: training texts"),
        ("encoder: mean-pool, prompts: {variants: ['q: ']}", "prompt_variants: ['q: ']: training texts"),
        ("encoder: mean-pool, instruction: 'Do {instruction}'", "instruction: 'Do {instruction}': training texts"),
    ],
    ids=lambda one: one.split(", ")[-1].partition(":")[0],
)
def test_what_a_teacher_cannot_be_told_is_refused_before_a_model_loads(folder, tmp_path, entry, said):
    """In words, with what to do: nothing is ignored, and no vector hangs on which texts share a part."""
    teacher = f"{{model: {folder / 'model'}, {entry}}}"
    with pytest.raises(InputError) as caught:
        train(plain_config(folder, **DISTIL | {"distil": {"teacher": teacher}}), tmp_path / "out", progress=Quiet())
    (problem,) = caught.value.problems
    assert problem.startswith(f"distil.teacher: {said}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{encoder: tf-idf}", "tf-idf is fitted on a task's own texts"),
        ("{encoder: bm25}", "bm25 gives no vectors"),
        ("{encoder: tf-idf, precision: int8}", "precision: ['int8']"),
    ],
)
def test_a_teacher_that_cannot_embed_a_single_text_is_refused(folder, tmp_path, entry, said):
    """With the kinds that can; all that is wrong at once."""
    with pytest.raises(InputError) as caught:
        train(plain_config(folder, **DISTIL | {"distil": {"teacher": entry}}), tmp_path / "out", progress=Quiet())
    assert said in str(caught.value)
    assert "a candidate directory, or an entry of sentence-transformers, mean-pool or rationale" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_teacher_of_another_package_that_must_be_fitted_is_refused(folder, tmp_path, monkeypatch):
    """Nobody knows before it is there; then it is said in words too."""
    theirs = CheckedEncoder(TfIdfEncoder(TfIdfSpec(name="theirs", encoder="tf-idf")), name="theirs")
    monkeypatch.setattr("grace.training.contrastive.teacher.load", lambda *_, **__: theirs)
    session = session_of(folder, tmp_path / "out", **DISTIL)
    with pytest.raises(InputError, match=r"distil\.teacher: theirs is fitted on a task's own texts"):
        prepared(session)


def test_a_soft_token_candidate_is_its_base_on_the_ability_axis(folder, tmp_path):
    """The same cells, and the same logits bit by bit."""
    out = train(plain_config(folder, **SOFT), tmp_path / "run", progress=Quiet()).path
    found = named_candidate(str(out), Sources())
    entry = "{encoder: mean-pool, model: " + str(folder / "model") + "}"
    base = named_candidate(entry, Sources())
    assert found.language_model_identity() == base.language_model_identity()
    ids = torch.tensor([[5, 6, 7]])
    ours, theirs = (load(one).inner.causal_lm().model(input_ids=ids).logits for one in (found, base))
    assert torch.equal(ours, theirs)
