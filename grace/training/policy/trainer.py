"""trl's GRPOTrainer for rationales. What it overrides, and why; everything else is trl's, loss and all.

- the sampler: rows of a generation are a function of (seed, generation), so a resumed run sees the same;
- the rollout function: rationales and their pooled states come from the code of the evaluating encoder;
- one reward function: objectives/rewards.py over the states of all processes, which trl's reward functions do not see;
- advantages where trl has none like them (leave-one-out, a greedy baseline, the spread of centred rewards);
- `_prepare_inputs`: without trl's shuffle, so that a group's rollouts stay together and share their text's tokens;
- `_get_per_token_logps_and_entropies`: the staged forward, which also gives the pooled states;
- `_compute_loss`: trl's, plus the InfoNCE term on those states.

trl is pinned: tests/grace/training/policy/test_trl.py holds the signatures of the private methods named here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch  # noqa: TID253 - this module is imported when a policy is trained, and never before
from trl import GRPOTrainer  # noqa: TID253
from trl.models.utils import unwrap_model_for_generation  # noqa: TID253
from trl.trainer.utils import split_tensor_dict  # noqa: TID253

from grace.errors import TrainingFailedError
from grace.objectives import rewards
from grace.objectives.hybrid import Place, rollouts_info_nce, with_gradient, with_live
from grace.objectives.rewards import Role, States
from grace.training.policy.payment import Batch, pay
from grace.training.policy.rollouts import Draw, draws, generation_seed, greedy_draws, stacked
from grace.training.policy.rows import ended, plain_pooled, rows_of, states_of, with_rows
from grace.training.policy.task import Generations, PolicyTask
from grace.training.policy.tree import Row, pack
from grace.training.policy.tree_forward import Scores, prepare_for_trees

ROLES: tuple[Role, ...] = ("query", "positive", "negative")
"""In the order in which processes number them for each other."""


class _Written(NamedTuple):
    """Rationales of this process, in the order in which they were wanted."""

    rows: list[Row]
    logprobs: list[list[float]] | None
    """Of vLLM's tokens; None where transformers wrote them: trl computes them itself."""


class PolicyTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPO on rationales; see the module."""

    def __init__(self, task: PolicyTask, *, first_generation: int, generations: int, **options: Any) -> None:
        """Build trl's trainer.

        Args:
            task: what is trained on and how it is paid.
            first_generation: the one to begin with, above 0 in a resumed run.
            generations: how many there are in all.
            options: of `GRPOTrainer`; `args.beta` must be 0, for trl would copy the adapter to remember the base: set
                the trainer's `beta` afterwards.
        """
        self._task = task
        self._sampled = (first_generation, generations)
        self._batch: Batch | None = None
        self._extra: list[Row] = []
        self._pooled: torch.Tensor | None = None
        self._named_inert: set[tuple[str, str]] = set()
        super().__init__(reward_funcs=self._reward, rollout_func=self._rollout, **options)
        self.eos_token_ids = sorted(task.writer.ends)
        self.causal = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        if task.is_staged:
            prepare_for_trees(self.causal)

    @property
    def inert_terms(self) -> list[str]:
        """Terms of the reward that were constant in every group of a step so far."""
        return sorted(f"{role}.{name}" for role, name in self._named_inert)

    # ---- data

    def _get_train_sampler(self, dataset: Any = None) -> torch.utils.data.Sampler[int]:  # noqa: ARG002
        first, count = self._sampled
        repeats = self.num_iterations * self.args.steps_per_generation
        return Generations(self._task, repeats=repeats, count=count, first=first)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        every = self.args.steps_per_generation * self.num_iterations
        if self._step % every == 0 or self._buffered_inputs is None:
            made = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs: list[Any] = split_tensor_dict(made, self.args.steps_per_generation)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        task = self._task
        own = [task.triplets[one["row"]] for one in inputs[:: task.roles.block]]
        generation = self.state.global_step // task.steps_per_generation
        paid, anchors = draws(
            own,
            task.roles,
            generation=generation,
            temperature=task.temperature,
            anchor_temperature=task.anchor_temperature,
        )
        self._batch = Batch(
            triplets=own,
            generation=generation,
            first=self.accelerator.process_index * len(own),
            paid=paid,
            anchors=anchors,
            greedy=greedy_draws(own, task.roles, generation=generation),
            anchor_rows=[],
            cut=[],
        )
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._batch.advantages is not None:
            output["advantages"] = self._batch.advantages
        output["row_index"] = torch.arange(len(inputs), device=self.accelerator.device)
        return output

    # ---- rollouts

    def _rollout(self, prompts: list[Any], trainer: Any) -> dict[str, Any]:  # noqa: ARG002 - trl's interface
        """Write the rationales of this process's rows, anchors with them; keep the states, hand trl the ids."""
        batch, writer = self._generated, self._task.writer
        wanted = [*batch.paid, *batch.anchors, *batch.greedy]
        texts = [(*ids, *writer.template.suffix) for ids in writer.ids([one.text for one in wanted])]
        written = self._from_vllm(texts) if self.use_vllm else self._from_the_model(texts, wanted)
        n, end = len(batch.paid), len(batch.paid) + len(batch.anchors)
        paid = written.rows[:n]
        batch.cut = [one.end is None for one in (*paid, *written.rows[end:])]
        batch.anchor_rows = [replace(one, is_scored=False) for one in written.rows[n:end]]
        self._extra = batch.anchor_rows if self.use_vllm else []
        tokens = torch.tensor([sum(len(one.rationale) for one in written.rows)], device=self.accelerator.device)
        self._metrics["train"]["generated_tokens"].append(float(self.accelerator.gather(tokens).sum()))
        return {
            "prompt_ids": [[*writer.template.prefix, *one.prompt] for one in paid],
            "completion_ids": [[*one.rationale, *([] if one.end is None else [one.end])] for one in paid],
            "logprobs": None if written.logprobs is None else written.logprobs[:n],
        }

    def _from_the_model(self, texts: list[tuple[int, ...]], wanted: list[Draw]) -> _Written:
        """Write with transformers, and keep the states that were pooled on the way."""
        generation = self.state.global_step // self._task.steps_per_generation
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ):
            made = self._task.writer.write(self.causal, wanted, generation_seed(self._task.seed, generation))
        self._pooled = stacked(made, self.accelerator.device)
        pairs = zip(texts, made, strict=True)
        return _Written([Row(prompt=text, rationale=tuple(one.ids), end=one.end) for text, one in pairs], None)

    def _from_vllm(self, texts: list[tuple[int, ...]]) -> _Written:
        """Write with vLLM, all at the rollouts' temperature and by its own draws; it gives no states."""
        from trl.extras.profiling import profiling_context

        self._pooled = None  # the first forward pass, that of the old log-probabilities, gives the states
        prefix, ends = self._task.writer.template.prefix, self._task.writer.ends
        _, ids, logprobs, _ = self.vllm_generation.generate(
            prompts=[[*prefix, *text] for text in texts],
            images=None,
            num_generations=1,
            profiler=profiling_context(self, "vLLM.generate"),
        )
        rows = [ended(text, tuple(row), ends) for text, row in zip(texts, ids, strict=True)]
        return _Written(rows, [[one[0] for one in row] for row in logprobs])

    # ---- rewards

    def _reward(self, **_: Any) -> list[float]:
        """Pay this process's rollouts, with the states of all processes in view."""
        assert self._pooled is not None  # noqa: S101 - the rollouts, or the first forward pass, set it
        self._extra = []
        paid = pay(self._generated, self._pooled, self._task, self.accelerator.gather)
        self._note(paid.scored, paid.cut)
        if paid.greedy_reward is not None:
            self._metrics["train"]["greedy_reward"].append(paid.greedy_reward)
        found: list[float] = paid.rewards.tolist()
        return found

    def _note(self, scored: dict[Role, rewards.Scored], cut: torch.Tensor) -> None:
        """Log each term's mean and its spread inside a group, and name a term that is inert, once."""
        metrics = self._metrics["train"]
        metrics["truncated"].append(float(cut.float().mean()))
        for role, one in scored.items():
            head = "reward_terms" if role == "positive" else f"reward_terms/{role}"
            for name, values in one.terms.items():
                metrics[f"{head}/{name}"].append(float(values.mean()))
                metrics[f"{head}/{name}_std_in_group"].append(rewards.within_group_std(values))
            for name in rewards.inert_terms(one):
                if (role, name) not in self._named_inert:
                    self._named_inert.add((role, name))
                    b, k = one.rewards.shape
                    reason = rewards.why_inert(name, self._task.settings, triplets=b, rollouts=k)
                    self._task.say(f"reward term {name} of the {role} is inert, no gradient comes of it: {reason}")

    # ---- the loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        task = self._task
        places: list[Place] = []
        if task.infonce_weight:
            self._extra, places = self._live(inputs["row_index"].tolist())
        self._pooled = None
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        self._extra = []
        if task.infonce_weight:
            loss = loss + task.infonce_weight * self._info_nce(places)
        if not bool(loss.isfinite()):
            raise TrainingFailedError(
                f"step {self.state.global_step + 1}: the loss is {loss.item()}; a lower optimiser.lr or "
                f"max_grad_norm may help; the last checkpoint is kept"
            )
        return loss

    def _info_nce(self, places: list[Place]) -> torch.Tensor:
        """Return InfoNCE over the whole batch, with the gradients of the rows that were just computed."""
        task, batch = self._task, self._generated
        assert self._pooled is not None  # noqa: S101 - set by the forward pass
        assert batch.states is not None  # noqa: S101 - set by the reward
        batch.states = self._refreshed(batch.states, self._pooled.detach(), places)
        states = with_live(batch.states, self._pooled, places)
        term = rollouts_info_nce(states, temperature=task.infonce_temperature, ignored=batch.ignored)
        self._metrics["train"]["info_nce"].append(float(term.detach()))
        parts = self.current_gradient_accumulation_steps
        # Processes' gradients are averaged, and one optimiser step has its share of the rows: scaled back.
        share = self.accelerator.num_processes * self.args.steps_per_generation / parts
        return with_gradient(term, parts=parts, share=share)

    def _refreshed(self, states: States, pooled: torch.Tensor, places: list[Place]) -> States:
        """Return the batch's states with those that all processes have just computed, none with a gradient."""
        if self.num_iterations * self.args.steps_per_generation == self.current_gradient_accumulation_steps:
            return states  # the weights are still those of the generation
        at = [(ROLES.index(one.role), one.triplet, one.number) for one in places]
        gather, pad = self.accelerator.gather, self.accelerator.pad_across_processes
        # Anchors come with the first rollout of a triplet: processes may have different numbers of rows.
        every_at = gather(pad(torch.tensor(at, device=pooled.device), dim=0, pad_index=-1)).tolist()
        every = gather(pad(pooled.contiguous(), dim=0))
        real = [index for index, one in enumerate(every_at) if one[0] >= 0]
        known = [Place(ROLES[every_at[index][0]], *every_at[index][1:]) for index in real]
        return with_live(states, every[real], known)

    def _live(self, rows: list[int]) -> tuple[list[Row], list[Place]]:
        """Return the anchors that this micro-batch computes along with `rows`, and the place of each row and anchor.

        An anchor goes with the first rollout of its triplet, so that it is computed once a generation.
        """
        batch, roles = self._generated, self._task.roles
        places, anchors, anchor_places = [], [], []
        for row in rows:
            triplet, rest = divmod(row, roles.block)
            role, number = divmod(rest, roles.k)
            places.append(Place(roles.paid[role], batch.first + triplet, number))
            if rest == 0:
                for index, name in enumerate(roles.anchors):
                    anchors.append(batch.anchor_rows[triplet * len(roles.anchors) + index])
                    anchor_places.append(Place(name, batch.first + triplet, 0))
        return anchors, places + anchor_places

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        if self._task.is_staged:
            scores = self._staged(model, input_ids, attention_mask, logits_to_keep, batch_size)
            logps: Any = scores.log_probs
            entropies: Any = scores.entropies
            aux, pooled = None, scores.pooled
        else:
            n = len(input_ids)
            ids, mask, width = with_rows(input_ids, attention_mask, logits_to_keep, self._extra, self._task.writer)
            # The base that KL is taken to may be a model of its own: the states are those of whoever runs.
            with states_of(self.ref_model if model is self.ref_model else self.causal) as seen:
                logps, entropies, aux = super()._get_per_token_logps_and_entropies(
                    model, ids, mask, width, batch_size, compute_entropy, compute_aux_loss, **others
                )
            pooled = plain_pooled(torch.cat(seen), ids, mask, self._task.writer)
            logps, entropies = (None if one is None else one[:n, :logits_to_keep] for one in (logps, entropies))
        if self._pooled is None:
            self._pooled = pooled
        return logps, entropies if compute_entropy else None, aux

    def _staged(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, keep: int, batch_size: int | None) -> Scores:
        rows = rows_of(ids, mask, keep, self._task.writer)
        size = batch_size or len(rows)
        chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
        made = []
        for index, chunk in enumerate(chunks):
            own = [*chunk, *self._extra] if index == len(chunks) - 1 else chunk
            tree = pack(self._task.writer.template.prefix, own, ids.device, columns=keep)
            with self.accelerator.autocast():
                made.append(model(tree=tree, temperature=self.temperature))
        log_probs, entropies = (torch.cat(column)[: len(rows)] for column in list(zip(*made, strict=True))[:2])
        return Scores(log_probs=log_probs, entropies=entropies, pooled=torch.cat([one.pooled for one in made]))

    @property
    def _generated(self) -> Batch:
        assert self._batch is not None  # noqa: S101 - generation comes first
        return self._batch
