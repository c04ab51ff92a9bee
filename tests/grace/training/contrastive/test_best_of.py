"""Best of n: the model's own rationales, the one with the largest margin kept, learnt and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from grace_support import Quiet, adapter_of, chat_model, jsonl, plain_config, session_of, triplets

from grace.objectives.losses import false_negatives
from grace.run.directory import RunDir
from grace.training.contrastive.batch import texts_of
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.loop import train_contrastive
from grace.training.contrastive.pool import drawn_number
from grace.training.contrastive.step import ContrastiveStep
from grace.training.train import train
from harness.encoders.probe import states_of
from harness.encoders.rationale.generate import generate as really_generate

BEST: dict[str, Any] = {"objective": "best-of-n", "max_new_tokens": 5, "best_of_n": {"n": 3}}
RANDOM = BEST | {"best_of_n": {"n": 3, "select": "random"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model and triplets."""
    root = tmp_path_factory.mktemp("best")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    return root


def moved(session: Any) -> Any:
    """Give the adapter weights that change something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in session.trained.parameters().values():
            one.add_(0.1 * torch.randn(one.shape, generator=generator))
    return session


def chosen(session: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, list[list[int]], list[Any]]:
    """Return inputs, their batch and rows of step 2, and all rollouts that were written for it."""
    written: dict[tuple[str, int], Any] = {}

    def generate(prompted: Any, rows: Any, sampling: Any, *, rollouts: Any) -> Any:
        found = really_generate(prompted, rows, sampling, rollouts=rollouts)
        written.update({(text, n): one for (text, _), n, one in zip(rows, rollouts, found, strict=True)})
        return found

    monkeypatch.setattr("grace.training.contrastive.writing.generate", generate)
    inputs = make_inputs(session.config, session.trained)
    batch = texts_of(session.data.rows[:4], session.config, step=2, epoch=1)
    rows = inputs.of_batch(batch)
    return inputs, batch, rows, [[written.get((text, 3 + n)) for n in range(3)] for text in batch.texts]


def states(session: Any, row: list[int]) -> torch.Tensor:
    """Return the states of a row by the model's own forward pass, (t, h)."""
    prefix = list(make_inputs(session.config, session.trained).prefix)
    found: torch.Tensor = states_of(session.trained.model, [*prefix, *row])[len(prefix) :]
    return found


def test_the_rationale_with_the_largest_margin_is_kept(folder, tmp_path, monkeypatch):
    """Over vectors of the model's own forward pass: one row at a time, the adapter on."""
    session = moved(session_of(folder, tmp_path / "out", **BEST))
    inputs, batch, rows, written = chosen(session, monkeypatch)
    suffix = list(inputs._writing.template.suffix)
    ids = inputs._writing.ids(batch.texts)
    unit: list[list[torch.Tensor]] = []
    for own, group in zip(ids, written, strict=True):
        vectors = [states(session, [*own, *suffix, *one.ids]).mean(dim=0) for one in group if one is not None]
        unit.append([one / one.norm() for one in vectors])
    q, p, n = unit[:4], unit[4:8], unit[8:]
    assert [len(one) for one in unit] == [3] * 8 + [1] * 4
    kept = []
    for own, partners, others in ((q, p, [*p, *n]), (p, q, q)):
        for i in range(4):
            scores = []
            for one in own[i]:
                near = [float(torch.stack([one @ other for other in group]).mean()) for group in others]
                partner = float(torch.stack([one @ other for other in partners[i]]).mean())
                scores.append(partner - max(value for j, value in enumerate(near) if j != i))
            kept.append(max(range(3), key=scores.__getitem__))
    expected = [written[place][number] for place, number in enumerate(kept)] + [group[0] for group in written[8:]]
    assert rows == [[*own, *suffix, *one.ids] for own, one in zip(ids, expected, strict=True)]
    assert len({tuple(one.ids) for group in written[:8] for one in group}) > 8
    facts = inputs.facts()
    assert facts["margin"] == facts["margin_best"] > facts["margin_mean"]
    assert facts["generated_tokens"] == sum(len(one.ids) for group in written for one in group if one is not None)


def test_the_control_keeps_any_of_them(folder, tmp_path, monkeypatch):
    """By a hash of seed, step and text; what is written is the same."""
    session = moved(session_of(folder, tmp_path / "out", **RANDOM))
    inputs, batch, rows, written = chosen(session, monkeypatch)
    suffix, ids = list(inputs._writing.template.suffix), inputs._writing.ids(batch.texts)
    for place in range(8):
        one = written[place][drawn_number(3, 2, batch.texts[place], 3)]
        assert rows[place] == [*ids[place], *suffix, *one.ids]
    assert inputs.facts()["margin"] < inputs.facts()["margin_best"]


@pytest.mark.parametrize("changes", [{}, {"accumulation": 2}, {"forward": "plain"}, {"adapter": {"kind": "full"}}])
def test_loss_and_gradient_are_those_of_the_models_own_pass(changes, folder, tmp_path, monkeypatch):
    """Cross-entropy of what was kept and of its end; InfoNCE over the vectors with it; by autograd, row by row."""
    weights = {"n": 3, "cross_entropy_weight": 0.7}
    session = moved(session_of(folder, tmp_path / "out", **BEST | {"best_of_n": weights} | changes))
    inputs = make_inputs(session.config, session.trained)
    metrics = ContrastiveStep(session, inputs).gradients(session.data.rows[:4], step=0, epoch=0)
    parameters = session.trained.parameters()
    found = {name: one.grad.clone() for name, one in parameters.items()}
    again = make_inputs(session.config, session.trained)
    batch = texts_of(session.data.rows[:4], session.config)
    rows, prefix = again.of_batch(batch), list(again.prefix)
    session.trained.model.zero_grad()
    vectors, nats, count = [], torch.zeros(()), 0
    for row, one in zip(rows, again.learnt, strict=True):
        output = session.trained.model(input_ids=torch.tensor([[*prefix, *row]]), output_hidden_states=True)
        vectors.append(output.hidden_states[-1][0, len(prefix) :].mean(dim=0))
        first = len(prefix) + len(row) - one.written - 1
        for place, token in enumerate(one.ids):
            nats = nats - output.logits[0, first + place].log_softmax(dim=0)[token]
            count += 1
    from grace.objectives.losses import info_nce
    from grace.training.contrastive.batch import text_names

    names = text_names(batch.texts, "cpu")
    ignored = false_negatives(names[:4], names[4:8], names[4:])
    stacked = torch.stack(vectors)
    contrastive = info_nce(stacked[:4], stacked[4:], temperature=0.05, ignored=ignored)
    (contrastive + 0.7 * nats / count).backward()
    assert metrics["cross_entropy"] == pytest.approx(nats.item() / count, rel=1e-4)
    assert metrics["info_nce"] == pytest.approx(contrastive.item(), rel=1e-3)
    assert metrics["loss"] == pytest.approx((contrastive + 0.7 * nats / count).item(), rel=1e-3)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, parameters[name].grad, atol=2e-4, rtol=2e-2)


def test_what_ended_a_rationale_is_learnt_with_it(folder, tmp_path, monkeypatch):
    """Where every second token ends it: the last id of what is learnt, which stands in no row."""
    session = session_of(folder, tmp_path / "out", **BEST)
    inputs = make_inputs(session.config, session.trained)
    inputs._writing.ends = frozenset(range(0, 400, 2))
    rows = inputs.of_batch(texts_of(session.data.rows[:4], session.config))
    ended = [one for one in inputs.learnt[:8] if len(one.ids) == one.written + 1]
    assert len(ended) >= 4
    assert all(one.ids[-1] % 2 == 0 and all(token % 2 for token in one.ids[:-1]) for one in ended)
    for row, one in zip(rows, inputs.learnt, strict=True):
        assert row[len(row) - one.written :] == list(one.ids[: one.written])
    assert all(not one.ids for one in inputs.learnt[8:])


@pytest.mark.parametrize("changes", [BEST, RANDOM, BEST | {"retain_weight": 0.5}], ids=["best", "random", "kl"])
def test_two_steps_move_the_adapter_alone_and_a_resumed_run_ends_as_an_undisturbed_one(changes, folder, tmp_path):
    """Bit by bit; the candidate writes rationales."""
    session = session_of(folder, tmp_path / "moves", **changes)
    before = {name: one.detach().clone() for name, one in session.trained.model.named_parameters()}
    assert train_contrastive(session, resume=False).steps == 2
    after = session.trained.model.named_parameters()
    assert {name for name, one in after if not torch.equal(one, before[name])} == set(session.trained.parameters())
    changes = changes | {"checkpoint_every": 1}
    train(plain_config(folder, **changes), tmp_path / "out", progress=Quiet())
    train(plain_config(folder, **changes | {"steps": 4}), tmp_path / "out", resume=True, progress=Quiet())
    train(plain_config(folder, **changes | {"steps": 4}), tmp_path / "whole", progress=Quiet())
    ours, theirs = adapter_of(tmp_path / "out"), adapter_of(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows = RunDir(tmp_path / "out").metrics()
    total = sum(int(row["generated_tokens"]) for row in rows)
    said = (tmp_path / "out" / "candidate.yaml").read_text()
    assert "kind: rationale" in said
    assert f"generated_tokens: {total}" in said
