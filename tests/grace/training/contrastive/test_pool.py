"""A pool of rationales: written beforehand, read as it was written, drawn by text and step; anew by the model."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from grace_support import Quiet, adapter_of, chat_model, jsonl, plain_config, session_of, triplets

from grace.run.directory import RunDir
from grace.training.contrastive.batch import texts_of
from grace.training.contrastive.inputs import make_inputs
from grace.training.contrastive.loop import train_contrastive
from grace.training.contrastive.pool import drawn_number
from grace.training.train import train
from harness.encoders.rationale.template import end_tokens, render_template, tokenise
from harness.errors import InputError

POOL = {"objective": "infonce-rationale", "max_new_tokens": 5, "rationale": {"pool": 2}, "steps": 3}
FIXED = {"objective": "infonce-rationale", "rationale": {"fixed": " or so"}, "batch_size": 4, "steps": 3}
SELF = POOL | {"rationale": {"pool": 2, "writer": "self", "refresh_steps": 2}}

ANEW = POOL | {"rationale": {"pool": 2, "refresh_steps": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model and triplets."""
    root = tmp_path_factory.mktemp("pool")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets())
    return root


def greedy(trained: Any, model: Any, text: str, limit: int) -> list[int]:
    """Return what `model` writes, by its own forward pass over everything, token by token."""
    template = render_template(trained.tokenizer)
    ends = end_tokens(trained.model, trained.tokenizer, template)
    ids = [*template.prefix, *tokenise(trained.tokenizer, [text])[0], *template.suffix]
    written: list[int] = []
    for _ in range(limit):
        with torch.no_grad():
            token = int(model(input_ids=torch.tensor([[*ids, *written]])).logits[0, -1].argmax())
        if token in ends:
            break
        written.append(token)
    return written


def prepared(session: Any, step: int = 0) -> Any:
    """Return inputs that have written what a step needs."""
    inputs = make_inputs(session.config, session.trained)
    assert inputs.prepare(session, step, lambda _: False).is_whole
    return inputs


def written(out: Path) -> list[dict[str, Any]]:
    """Return the rows of all parts of a run."""
    files = sorted((out / "rationales").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()[1:]]


def test_the_base_writes_each_text_once_and_the_step_reads_it(folder, tmp_path):
    """Greedy, so that the model's own forward pass says what must stand there; with an adapter that says otherwise."""
    changes = POOL | {"rationale": {"pool": 1, "temperature": 0.0}}
    session = session_of(folder, tmp_path / "out", **changes)
    with torch.no_grad():
        for one in session.trained.parameters().values():
            one.add_(0.3 * torch.randn(one.shape, generator=torch.Generator().manual_seed(0)))
    inputs = prepared(session)
    batch = texts_of(session.data.rows[:3], session.config)
    template = render_template(session.trained.tokenizer)
    with session.trained.base() as base:
        by_base = {text: greedy(session.trained, base, text, 5) for text in batch.texts}
    by_self = {text: greedy(session.trained, session.trained.model, text, 5) for text in batch.texts}
    assert by_base != by_self
    for text, row in zip(batch.texts, inputs.of_batch(batch), strict=True):
        own = tokenise(session.trained.tokenizer, [text])[0]
        assert row == [*own, *template.suffix, *by_base[text]]


def test_a_pool_of_one_is_what_is_written_in_the_step_without_it(folder, tmp_path):
    """Rollout 0 of (seed, text), sampled: the same random numbers."""
    session = session_of(folder, tmp_path / "out", **POOL | {"rationale": {"pool": 1}})
    batch = texts_of(session.data.rows[:4], session.config)
    own = session_of(folder, tmp_path / "other", **POOL | {"rationale": {}})
    assert prepared(session).of_batch(batch) == make_inputs(own.config, own.trained).of_batch(batch)


def test_steps_draw_by_text_and_step_and_write_nothing(folder, tmp_path, monkeypatch):
    """Both rationales of a text are drawn in time, whatever else is in the batch; nothing more is written."""
    session = session_of(folder, tmp_path / "out", **POOL | {"steps": None, "budget_minutes": 9})
    inputs = prepared(session)
    monkeypatch.setattr("grace.training.contrastive.writing.generate", None)
    whole = texts_of(session.data.rows[:6], session.config)
    rows = {row["text"]: row["rationales"] for row in written(tmp_path / "out")}
    assert set(rows) == set(texts_of(session.data.rows, session.config).texts)
    header = list(render_template(session.trained.tokenizer).suffix)
    seen: dict[str, set[int]] = {}
    for step in range(12):
        assert inputs.prepare(session, step, lambda _: False).generated_tokens == 0
        batch = whole._replace(step=step)
        alone = [inputs.of_batch(batch._replace(texts=[text]))[0] for text in batch.texts]
        assert inputs.of_batch(batch) == alone
        for text, row in zip(batch.texts, alone, strict=True):
            number = drawn_number(3, step, text, 2)
            seen.setdefault(text, set()).add(number)
            assert row == [*tokenise(session.trained.tokenizer, [text])[0], *header, *rows[text][number]["ids"]]
    assert set(map(len, seen.values())) == {2}


@pytest.mark.parametrize("steps", [1, 2])
def test_texts_that_no_step_visits_are_not_written_about(folder, tmp_path, steps):
    """Four triplets a step."""
    outcome = train(plain_config(folder, **POOL | {"steps": steps}), tmp_path / "out", progress=Quiet())
    assert len(written(outcome.path)) == 12 * steps
    rows = RunDir(outcome.path).metrics()
    told = sum(len(one["ids"]) for row in written(outcome.path) for one in row["rationales"])
    assert [row["generated_tokens"] for row in rows] == [told, *[0] * (steps - 1)]
    assert f"generated_tokens: {told}" in (outcome.path / "candidate.yaml").read_text()


def test_a_damaged_part_of_the_base_is_written_again(folder, tmp_path, caplog):
    """To the same rows; and the log says which file it was."""
    session = session_of(folder, tmp_path / "out", **POOL)
    batch = texts_of(session.data.rows[:4], session.config)
    rows = prepared(session).of_batch(batch)
    (file,) = (tmp_path / "out" / "rationales").glob("*.jsonl")
    content = file.read_text()
    file.write_text(content.replace('"cut": true', '"cut": false', 1).replace("[", "[ ", 1))
    assert prepared(session).of_batch(batch) == rows
    assert f"{file} is not as it was written" in caplog.text
    again = [json.loads(line) for one in file.parent.glob("*.jsonl") for line in one.read_text().splitlines()[1:]]
    assert again == [json.loads(line) for line in content.splitlines()[1:]]


class Listens(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)


def test_another_run_reads_what_the_base_wrote_and_is_charged_for_it(folder, tmp_path, monkeypatch):
    """Nothing is written again, budgets and counts are as if it were; and it stands in the run's own directory."""
    first = train(plain_config(folder, **POOL), tmp_path / "first", progress=Quiet())
    monkeypatch.setattr("grace.training.contrastive.writing.generate", None)
    listens = Listens()
    changes = POOL | {"retain_weight": 0.1, "optimiser": {"lr": 0.05}}
    second = train(plain_config(folder, **changes), tmp_path / "second", progress=listens)
    assert [one for one in listens.said if "1 of 1 parts made by an earlier run" in one]
    assert written(tmp_path / "second") == written(tmp_path / "first")
    ours, theirs = (RunDir(one.path).metrics()[0] for one in (second, first))
    assert ours["generated_tokens"] == theirs["generated_tokens"] > 0
    session = session_of(folder, tmp_path / "third", **POOL)
    (file,) = (tmp_path / "first" / "rationales").glob("*.jsonl")
    took = json.loads(file.read_text().splitlines()[0])["cpu_seconds"]
    assert make_inputs(session.config, session.trained).prepare(session, 0, lambda _: False).cost.cpu_seconds == took


@pytest.mark.parametrize(
    "other",
    [{"seed": 4}, {"max_new_tokens": 4}, {"rationale": {"pool": 2, "temperature": 0.5}}, {"max_text_tokens": 5}],
    ids=["seed", "length", "temperature", "window"],
)
def test_a_run_that_would_write_otherwise_writes_its_own(other, folder, tmp_path):
    """Whatever can change a rationale: none of another's is taken."""
    train(plain_config(folder, **POOL), tmp_path / "first", progress=Quiet())
    listens = Listens()
    train(plain_config(folder, **POOL | other), tmp_path / "second", progress=listens)
    assert not [one for one in listens.said if "earlier run" in one]
    assert len(list((tmp_path / "cache" / "parts").rglob("*.jsonl"))) == 2


def test_what_the_trained_model_wrote_is_nobody_elses(folder, tmp_path):
    """Weights in the middle of a training are no run's but its own."""
    train(plain_config(folder, **SELF), tmp_path / "out", progress=Quiet())
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_a_shared_part_that_was_changed_is_written_again(folder, tmp_path, caplog):
    """And the log says which."""
    train(plain_config(folder, **POOL), tmp_path / "first", progress=Quiet())
    (file,) = (tmp_path / "cache" / "parts").rglob("*.jsonl")
    file.write_text(file.read_text().replace("[", "[ ", 1))
    train(plain_config(folder, **POOL), tmp_path / "second", progress=Quiet())
    assert "is not as it was written" in caplog.text
    assert written(tmp_path / "second") == written(tmp_path / "first")
    (again,) = (tmp_path / "cache" / "parts").rglob("*.jsonl")
    assert [json.loads(line) for line in again.read_text().splitlines()[1:]] == written(tmp_path / "first")


def test_a_cache_that_cannot_be_written_is_gone_without(folder, tmp_path, caplog):
    """A convenience; said once."""
    (tmp_path / "cache").write_text("a file where the folder should be")
    out = train(plain_config(folder, **POOL), tmp_path / "out", progress=Quiet())
    assert written(out.path)
    assert "cannot be written" in caplog.text


def test_the_model_itself_writes_anew_from_its_weights_of_then(folder, tmp_path):
    """Greedy: at step 2 of 3, what the forward pass of the weights after two steps says; not what the base says."""
    rationale = {"pool": 1, "writer": "self", "refresh_steps": 2, "temperature": 0.0}
    changes = SELF | {"rationale": rationale, "optimiser": {"lr": 0.1}, "checkpoint_every": 1}
    session = session_of(folder, tmp_path / "out", **changes | {"steps": 2})
    assert train_contrastive(session, resume=False).steps == 2
    first = {row["text"]: row["rationales"][0]["ids"] for row in written(tmp_path / "out")}
    with session.trained.base() as base:
        assert first == {text: greedy(session.trained, base, text, 5) for text in first}
    inputs = prepared(session, 2)
    second = {row["text"]: row["rationales"][0]["ids"] for row in written(tmp_path / "out")}
    later = {text: inputs._rows[text][0]["ids"] for text in inputs._rows}
    assert later == {text: greedy(session.trained, session.trained.model, text, 5) for text in later}
    assert any(first.get(text, own) != own for text, own in later.items())
    assert len(second) >= len(first)


@pytest.mark.parametrize(
    "changes",
    [POOL, SELF, SELF | {"retain_weight": 0.5}, ANEW, FIXED],
    ids=["base", "self", "kl", "anew", "fixed"],
)
def test_a_resumed_run_ends_as_an_undisturbed_one(changes, folder, tmp_path):
    """Stopped between two refreshes, where the weights that wrote the pool are gone: bit by bit."""
    changes = changes | {"checkpoint_every": 1}
    train(plain_config(folder, **changes), tmp_path / "out", progress=Quiet())
    train(plain_config(folder, **changes | {"steps": 5}), tmp_path / "out", resume=True, progress=Quiet())
    train(plain_config(folder, **changes | {"steps": 5}), tmp_path / "whole", progress=Quiet())
    ours, theirs = adapter_of(tmp_path / "out"), adapter_of(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    told = [[row[name] for row in RunDir(tmp_path / one).metrics()] for one in ("out", "whole") for name in ("loss",)]
    assert told[0] == told[1]


def test_the_base_writes_others_anew(folder, tmp_path):
    """Sampled, about a text that both pools have: rollouts 0 and 1, then 2 and 3."""
    session = session_of(folder, tmp_path / "out", **ANEW | {"batch_size": 12})
    inputs, (text, *_) = prepared(session), texts_of(session.data.rows[:1], session.config).texts
    first = [one["ids"] for one in inputs._rows[text]]
    inputs.prepare(session, 2, lambda _: False)
    second = [one["ids"] for one in inputs._rows[text]]
    four = session_of(folder, tmp_path / "four", **POOL | {"rationale": {"pool": 4}})
    assert first + second == [one["ids"] for one in prepared(four)._rows[text]]


def test_a_pool_of_weights_that_are_gone_is_refused_where_it_was_changed(folder, tmp_path):
    """It cannot be written again; a run on other rationales would be another run."""
    changes = SELF | {"checkpoint_every": 1}
    train(plain_config(folder, **changes), tmp_path / "out", progress=Quiet())
    for file in (tmp_path / "out" / "rationales").glob("*.jsonl"):
        file.write_text(file.read_text().replace("[", "[ ", 1))
    with pytest.raises(InputError, match=r"1 of 1 parts of the rationales by the model.*weights that made them"):
        train(plain_config(folder, **changes | {"steps": 5}), tmp_path / "out", resume=True, progress=Quiet())


class PressesControlC(Quiet):
    """A user who has seen enough when the writing begins."""

    def say(self, text: str) -> None:
        """Send the signal that Ctrl-C sends."""
        if "rationale(s) for each" in text:
            os.kill(os.getpid(), signal.SIGINT)


def test_control_c_while_the_pool_is_written_keeps_what_is_there(folder, tmp_path):
    """Before the first part, and going on: as an undisturbed run; its directory is not taken for an empty one."""
    stopped = train(plain_config(folder, **POOL), tmp_path / "out", progress=PressesControlC())
    assert stopped.finished.is_interrupted
    assert stopped.finished.steps == 0
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        train(plain_config(folder, **POOL), tmp_path / "out", progress=Quiet())
    train(plain_config(folder, **POOL), tmp_path / "out", resume=True, progress=Quiet())
    train(plain_config(folder, **POOL), tmp_path / "whole", progress=Quiet())
    ours, theirs = adapter_of(tmp_path / "out"), adapter_of(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_writing_is_part_of_the_budget(folder, tmp_path):
    """Where nothing is left for a step, that is said; what is written is paid for when it was found, too."""
    config = plain_config(folder, **POOL, budget_cpu_seconds=1e-6)
    with pytest.raises(InputError, match=r"budget_cpu_seconds: it is spent before the first step.*rationale\.pool"):
        train(config, tmp_path / "out", progress=Quiet())
    session = session_of(folder, tmp_path / "other", **POOL)
    inputs = make_inputs(session.config, session.trained)
    first = inputs.prepare(session, 0, lambda _: False)
    second = make_inputs(session.config, session.trained).prepare(session, 0, lambda _: False)
    assert first == second
    assert first.cost.cpu_seconds > 0
