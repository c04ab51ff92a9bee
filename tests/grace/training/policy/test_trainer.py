"""One step of the policy trainer: loss and gradient by two forwards, two batchings; rewards, rollouts, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grace_support import Quiet, chat_model, jsonl, plain_config, session_of, triplets
from suites_support import write

from grace.errors import TrainingFailedError
from grace.objectives import rewards
from grace.objectives.hybrid import Place, rollouts_info_nce, with_gradient, with_live
from grace.objectives.losses import info_nce
from grace.objectives.policy_gradients import policy_gradient
from grace.objectives.rewards import States
from grace.run.session import Session
from grace.run.world import World
from grace.training import train as training
from grace.training.policy import checks
from grace.training.policy import trainer as policy_trainer
from grace.training.policy.build import build_trainer
from grace.training.policy.loop import release, train_policy
from grace.training.policy.rollouts import draws, generation_seed, roles_of
from grace.training.train import train
from harness.errors import EnvironmentGapError, HarnessError, InputError

GRACE = {"rollouts": 3, "truncation": "off", "scale_rewards": "none", "loss_type": "dapo"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model, triplets, single texts."""
    path = tmp_path_factory.mktemp("policy")
    chat_model(path / "model")
    jsonl(path / "triplets.jsonl", triplets())
    write(path / "texts.txt", "".join(f"{one['positive']}\n" for one in triplets()))
    return path


def make(folder: Path, out: Path, grace: dict[str, Any] | None = None, **changes: Any) -> Session:
    """Return a session of objective grace."""
    plain = {"objective": "grace", "max_new_tokens": 6, "batch_size": 4, "optimiser": {"lr": 0.05}} | changes
    return session_of(folder, out, **plain, grace=GRACE | (grace or {}))


def trainer_of(session: Session, said: list[str] | None = None) -> Any:
    """Return the trainer of a session, as `train_policy` makes it, with no loop around it."""
    if said is not None:
        session.progress.say = said.append  # type: ignore[method-assign]
    gradient = policy_gradient(session.config.grace)
    roles = checks._roles(session.config, session.data)
    trainer = build_trainer(session, gradient, roles, first=0, callback=None)
    trainer.current_gradient_accumulation_steps = session.config.accumulation
    trainer.model.train()
    return trainer


def with_random_adapter(session: Session) -> Session:
    """Give the adapter weights that matter: fresh LoRA is the base itself, and KL and clipping would be trivially 0."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in session.trained.parameters().values():
            one.copy_(torch.randn(one.shape, generator=random) * 0.05)
    return session


def gradients(trainer: Any) -> tuple[float, torch.Tensor, list[dict[str, Any]]]:
    """Return loss, gradient and micro-batches of the first optimiser step."""
    rows = next(iter(trainer.get_train_dataloader()))
    loss, batches = 0.0, []
    for _ in range(trainer.args.gradient_accumulation_steps):
        inputs = trainer._prepare_inputs(rows)
        batches.append(inputs)
        one = trainer.compute_loss(trainer.model, inputs)
        one.backward()
        loss += float(one.detach())
        trainer._step += 1
    flat = torch.cat([one.grad.flatten() for one in trainer.model.parameters() if one.requires_grad])
    release(trainer, "sdpa")
    return loss, flat, batches


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the relative difference of two vectors."""
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("credit", ["corrected", "symmetric"])
def test_staged_and_plain_forward_give_the_same_loss_and_gradient(credit: str, folder: Path, tmp_path: Path) -> None:
    """With the InfoNCE term and KL to the base: the staged tree against trl's own forward on padded rows."""
    found = []
    for forward in ("staged", "plain"):
        grace = {"credit": credit, "forward": forward, "infonce_weight": 0.3, "beta": 0.1}
        session = with_random_adapter(make(folder, tmp_path / forward, grace))
        found.append(gradients(trainer_of(session)))
    (loss, gradient, batches), (plain_loss, plain_gradient, plain_batches) = found
    assert torch.equal(batches[0]["completion_ids"], plain_batches[0]["completion_ids"])
    assert "ref_per_token_logps" in batches[0]
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    assert relative(gradient, plain_gradient) < 1e-5


@pytest.mark.parametrize(("credit", "algorithm"), [("corrected", "dapo"), ("symmetric", "grpo")])
def test_a_step_in_parts_is_the_step(credit: str, algorithm: str, folder: Path, tmp_path: Path) -> None:
    """A batch of 4 equals 2 x 2 accumulated: rewards, InfoNCE and the loss look at the whole batch all the same."""
    found = []
    for parts in (1, 2):
        grace = {"credit": credit, "algorithm": algorithm, "infonce_weight": 0.3}
        session = with_random_adapter(make(folder, tmp_path / str(parts), grace, accumulation=parts))
        found.append(gradients(trainer_of(session)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert relative(found[1][1], found[0][1]) < 1e-5


def test_states_of_the_generation_are_those_of_the_loss(folder: Path, tmp_path: Path) -> None:
    """The forward pass of the loss pools what the generation pooled, rollouts and anchors."""
    session = with_random_adapter(make(folder, tmp_path / "run", {"infonce_weight": 1.0}))
    trainer = trainer_of(session)
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    batch = trainer._batch
    generated = [batch.states.positive.reshape(12, -1)]
    anchors = torch.cat([batch.states.query, batch.states.negative], dim=1).reshape(8, -1)
    trainer.compute_loss(trainer.model, inputs)
    assert torch.allclose(trainer._pooled, torch.cat([*generated, anchors]), atol=1e-5)
    release(trainer, "sdpa")


def test_old_states_stand_in_for_rows_that_are_not_live() -> None:
    """Gradients of the parts add up to that of the whole, and the value is the whole's in each."""
    random = torch.Generator().manual_seed(0)
    q, p, n = (torch.randn(3, m, 4, generator=random) for m in (1, 2, 1))
    whole = [one.clone().requires_grad_() for one in (q, p, n)]
    loss = rollouts_info_nce(
        States(query=whole[0], positive=whole[1], negative=whole[2]), temperature=0.2, ignored=None
    )
    loss.backward()
    by_hand = [info_nce(q[:, 0], torch.cat([p[:, k], n[:, 0]]), temperature=0.2) for k in range(2)]
    assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item())
    old = States(query=q, positive=p, negative=n)
    for role, base, expected in zip(("query", "positive", "negative"), (q, p, n), whole, strict=True):
        live = base.reshape(-1, 4).clone().requires_grad_()
        places = [Place(role, i, k) for i in range(3) for k in range(base.shape[1])]  # type: ignore[arg-type]
        part = rollouts_info_nce(with_live(old, live, places), temperature=0.2, ignored=None)
        with_gradient(part, parts=4, share=1.0).backward()
        assert part.item() == pytest.approx(loss.item())
        assert expected.grad is not None
        assert live.grad is not None
        assert torch.allclose(live.grad.view_as(base), expected.grad, atol=1e-6)


def test_published_credit_names_its_inert_terms_and_the_others_have_none(folder: Path, tmp_path: Path) -> None:
    """Each is named once however many steps there are, with the reason."""
    said: dict[str, list[str]] = {}
    for credit in ("paper", "corrected", "symmetric"):
        said[credit] = []
        trainer = trainer_of(make(folder, tmp_path / credit, {"credit": credit}), said[credit])
        rows = next(iter(trainer.get_train_dataloader()))
        trainer._generate_and_score_completions(rows)
        trainer._generate_and_score_completions(rows)
        release(trainer, "sdpa")
    assert said["corrected"] == said["symmetric"] == []
    assert sorted(line.split(" is inert")[0] for line in said["paper"]) == [
        "reward term cross_group of the positive",
        "reward term hard_negative of the positive",
    ]
    assert all("the group's mean is subtracted" in line for line in said["paper"])


def test_rewards_that_reach_trl_are_those_of_the_formulas(folder: Path, tmp_path: Path) -> None:
    """Advantages are the rewards of the generation's states, centred in each group; order and groups survive trl."""
    trainer = trainer_of(make(folder, tmp_path / "run", {"credit": "symmetric"}))
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    scored = rewards.score(trainer._batch.states, trainer._task.settings)
    centred = [one.rewards - one.rewards.mean(dim=1, keepdim=True) for one in scored.values()]
    assert torch.allclose(inputs["advantages"], torch.stack(centred, dim=1).flatten(), atol=1e-5)
    assert inputs["advantages"].abs().max() > 0.01
    release(trainer, "sdpa")


def first_step(folder: Path, out: Path, grace: dict[str, Any], **changes: Any) -> tuple[Any, dict[str, Any]]:
    """Return the trainer after one generation, and its first micro-batch."""
    trainer = trainer_of(make(folder, out, grace, **changes))
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    release(trainer, "sdpa")
    return trainer, inputs


def test_levels_of_the_roles_do_not_shrink_the_advantages_of_reinforce(folder: Path, tmp_path: Path) -> None:
    """A negative is paid around -9, a positive around 0: the spread divided by is that within groups."""
    for credit in ("corrected", "symmetric"):
        trainer, inputs = first_step(
            folder, tmp_path / credit, {"credit": credit, "algorithm": "reinforce++", "scale_rewards": None}
        )
        assert inputs["advantages"].std().item() == pytest.approx(1.0, abs=1e-2)
        scored = rewards.score(trainer._batch.states, trainer._task.settings, ignored=trainer._batch.ignored[:, :4])
        centred = torch.stack([one.rewards - one.rewards.mean(dim=1, keepdim=True) for one in scored.values()], dim=1)
        expected = centred.flatten() / (centred.std() + 1e-4)
        assert torch.allclose(inputs["advantages"], expected, atol=1e-4)
        assert trainer._metrics["train"]["frac_reward_zero_std"] == [0.0]


def test_the_logged_reward_is_the_reward_whatever_the_algorithm(folder: Path, tmp_path: Path) -> None:
    """The same rollouts are worth the same."""
    logged = []
    for algorithm in ("grpo", "rloo", "remax", "reinforce++"):
        trainer, _ = first_step(folder, tmp_path / algorithm, {"algorithm": algorithm})
        logged.append(trainer._metrics["train"]["reward"][0])
        assert trainer._metrics["train"]["frac_reward_zero_std"] == [0.0]
    assert logged == pytest.approx([logged[0]] * 4)


@pytest.mark.parametrize("credit", ["corrected", "symmetric", "paper"])
def test_remax_compares_each_rollout_with_the_greedy_rationale(credit: str, folder: Path, tmp_path: Path) -> None:
    """In the rollout's place: states of a batch in which the greedy rationale stands there have its reward."""
    trainer, inputs = first_step(folder, tmp_path / "run", {"credit": credit, "algorithm": "remax"})
    task, batch = trainer._task, trainer._batch
    paid, k = task.roles.paid, task.roles.k
    texts = [one.text for one in batch.greedy]
    assert texts == [draw.text for draw in batch.paid[::k]]
    from grace.training.policy.rollouts import Draw

    greedy = torch.from_numpy(
        np.stack([one.vector for one in task.writer.write(trainer.causal, [Draw(text, 0, 0.0) for text in texts], 1)])
    ).view(4, len(paid), -1)
    advantages = inputs["advantages"].view(4, len(paid), k)
    by_role = {"query": batch.states.query, "positive": batch.states.positive, "negative": batch.states.negative}
    scored = rewards.score(batch.states, task.settings, ignored=batch.ignored[:, :4])
    for index, role in enumerate(paid):
        for i in range(4):  # one triplet at a time, so that no other's rollout is replaced with it
            for place in range(k):
                states = {name: one.clone() for name, one in by_role.items()}
                states[role][i, place] = greedy[i, index]
                other = rewards.score(States(**states), task.settings, ignored=batch.ignored[:, :4])[role]
                expected = scored[role].rewards[i, place] - other.rewards[i, place]
                assert advantages[i, index, place].item() == pytest.approx(expected.item(), abs=1e-4)
    assert trainer._metrics["train"]["greedy_reward"]


def test_rows_of_one_query_are_not_each_others_hardest_query(folder: Path, tmp_path: Path) -> None:
    """Two triplets of one query among four: its own true query is no other query to stay away from."""
    rows = triplets(4)
    rows[1]["query"] = rows[0]["query"]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    trainer, _ = first_step(folder, tmp_path / "run", {}, data={"path": str(path)})
    batch = trainer._batch
    one, two = (index for index, row in enumerate(batch.triplets) if row.query == rows[0]["query"])
    assert batch.ignored[one, two]
    assert batch.ignored[two, one]
    assert int(batch.ignored.sum()) == 2
    unit = lambda x: torch.nn.functional.normalize(x, dim=-1)  # noqa: E731
    term = rewards.score(batch.states, trainer._task.settings, ignored=batch.ignored[:, :4])["positive"].terms
    others = [index for index in range(4) if index not in (one, two)]
    cosines = unit(batch.states.positive[one]) @ unit(batch.states.query[others, 0]).T
    assert torch.allclose(term["cross_group"][one], -0.2 * cosines.amax(dim=1) / 0.1, atol=1e-4)


@pytest.mark.parametrize("forward", ["staged", "plain"])
def test_full_training_is_held_to_its_frozen_base(forward: str, folder: Path, tmp_path: Path) -> None:
    """Before the first step trained and base are one model, so that KL is 0; after one they are not."""
    grace = {"forward": forward, "beta": 0.1, "infonce_weight": 0.1}
    session = make(folder, tmp_path / "run", grace, adapter="full", steps=2, optimiser={"lr": 0.01})
    train_policy(session, resume=False)
    kl = [row["kl"] for row in session.run.metrics()]
    assert kl[0] == pytest.approx(0.0, abs=1e-6)
    assert kl[1] > 1e-3


def test_an_error_in_the_reward_stops_the_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not swallowed, and no candidate or further step comes after it."""

    def broken(*_: Any, **__: Any) -> None:
        raise HarnessError("the reward cannot be computed")

    monkeypatch.setattr(rewards, "score", broken)
    session = make(folder, tmp_path / "run")
    with pytest.raises(HarnessError, match="the reward cannot be computed"):
        train_policy(session, resume=False)
    assert session.run.metrics() == []


def test_a_loss_that_is_no_number_stops_the_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the step and the way out."""
    monkeypatch.setattr(policy_trainer, "rollouts_info_nce", lambda *_, **__: torch.tensor(float("nan")))
    session = make(folder, tmp_path / "run", {"infonce_weight": 1.0})
    with pytest.raises(TrainingFailedError, match="step 1: the loss is nan"):
        train_policy(session, resume=False)


def test_two_steps_move_every_adapter_weight_and_no_base_weight(folder: Path, tmp_path: Path) -> None:
    """Reward, group and loss reach all of the adapter, and nothing else."""
    session = make(folder, tmp_path / "run", steps=2)
    model = session.trained.model
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    finished = train_policy(session, resume=False)
    assert finished.steps == 2
    for name, one in model.named_parameters():
        assert torch.equal(one, before[name]) != ("lora" in name), name
    rows = session.run.metrics()
    assert [row["step"] for row in rows] == [1, 2]
    assert all(np.isfinite(row["grad_norm"]) and row["grad_norm"] > 0 for row in rows)
    assert {"reward", "reward_terms/contrastive", "reward_terms/contrastive_std_in_group"} <= set(rows[0])


@pytest.mark.parametrize(
    "grace",
    [
        {"credit": "paper"},
        {"credit": "corrected", "anchor_temperature": 0.0, "infonce_reward_weight": 0.5},
        {"credit": "symmetric", "algorithm": "gspo"},
        {"credit": "symmetric", "algorithm": "remax"},
        {"credit": "corrected", "num_iterations": 2, "steps_per_generation": 2, "infonce_weight": 0.1},
    ],
)
def test_texts_without_pairs_train_too(grace: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    """Unsupervised: the anchor is another rationale of the same text, drawn with other numbers than the rollouts."""
    session = make(folder, tmp_path / "run", grace, data={"path": str(folder / "texts.txt")}, steps=4, batch_size=2)
    finished = train_policy(session, resume=False)
    assert finished.steps == 4
    assert finished.facts["inert_reward_terms"] == []


def test_what_is_drawn_is_a_function_of_seed_generation_text_and_number() -> None:
    """Rollouts of one text have different indices over all its roles; generations have different seeds."""
    from grace.data.table import Row

    rows = [Row("a", None, (), "f:1"), Row("b", None, (), "f:2")]
    for credit in ("paper", "symmetric"):
        roles = roles_of(credit, has_negative=False, k=3)  # type: ignore[arg-type]
        paid, anchors = draws(rows, roles, generation=0, temperature=1.0, anchor_temperature=0.5)
        numbers = [one.number for one in (*paid, *anchors) if one.text == "a"]
        assert len(set(numbers)) == len(numbers) == (4 if credit == "paper" else 6)
    assert generation_seed(1, 0) == generation_seed(1, 0)
    assert len({generation_seed(seed, generation) for seed in (0, 1) for generation in (0, 1)}) == 4
    several = Row("q", "p", ("n1", "n2"), "f:3")
    roles = roles_of("paper", has_negative=True, k=2)
    drawn = [draws([several], roles, generation=g, temperature=1.0, anchor_temperature=0.5)[1][1] for g in (0, 1, 2)]
    assert [one.text for one in drawn] == ["n1", "n2", "n1"]
    assert drawn[0].temperature == 0.5


def test_what_does_not_fit_is_said_before_a_model_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the objective: no weights are read and no directory is made for a batch that cannot be shared out."""
    monkeypatch.setattr(training, "load_trainable", lambda *_, **__: pytest.fail("the model was loaded"))
    grace = {"objective": "grace", "max_new_tokens": 6, "grace": GRACE | {"steps_per_generation": 4}}
    with pytest.raises(InputError, match=r"12 usable row\(s\), and a generation takes 16"):
        train(plain_config(folder, **grace), tmp_path / "out", progress=Quiet())
    monkeypatch.setattr(training, "join", lambda _: World(rank=0, size=3))
    with pytest.raises(InputError, match="batch_size: 4 is no multiple of the 3 processes"):
        train(plain_config(folder), tmp_path / "out", progress=Quiet())
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_said_before_training(folder: Path, tmp_path: Path) -> None:
    """Parts, rows, missing negatives, vLLM: a message each, with the offending value and the way out."""
    from grace.objectives.policy_gradients import ALGORITHMS

    config, roles = make(folder, tmp_path / "a", accumulation=4).config, roles_of("paper", has_negative=True, k=3)
    checks._check_batch(config, ALGORITHMS["grpo"], roles, rows=12, processes=1)
    with pytest.raises(InputError, match="12 rollouts cannot be split into so many parts on 2"):
        checks._check_batch(config, ALGORITHMS["grpo"], roles, rows=12, processes=2)
    with pytest.raises(InputError, match="no multiple of 3 processes"):
        checks._check_batch(config, ALGORITHMS["grpo"], roles, rows=12, processes=3)
    with pytest.raises(InputError, match="a generation takes 16"):
        train_policy(make(folder, tmp_path / "d", {"steps_per_generation": 4}), resume=False)
    with pytest.raises(EnvironmentGapError, match="vllm"):
        train_policy(make(folder, tmp_path / "e", {"vllm": "colocate", "anchor_temperature": 1.0}), resume=False)
    with pytest.raises(InputError, match=r"grace.delta: 1.1 lies inside the clipping range, which ends at 1.28"):
        train_policy(make(folder, tmp_path / "g", {"algorithm": "dapo", "delta": 1.1}), resume=False)
    rows = triplets()
    rows[5]["negative"] = []  # type: ignore[assignment]
    path = jsonl(tmp_path / "some.jsonl", rows)
    with pytest.raises(InputError, match=r"some\.jsonl:6: no negative"):
        train_policy(make(folder, tmp_path / "f", data={"path": str(path)}), resume=False)
