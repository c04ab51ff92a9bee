"""HFLM over a model in memory, as far as it scores: prefixes shared, continuations scored (differences: `model.py`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch  # noqa: TID253
from lm_eval.models.huggingface import HFLM  # noqa: TID253 - imported only where a cell of the ability axis runs
from transformers import DynamicCache, PreTrainedModel  # noqa: TID253
from transformers.cache_utils import DynamicLayer  # noqa: TID253

from harness.backends.lm_eval.past import Past, Trace, Work, cache_of, layers_of, padded_right
from harness.backends.lm_eval.prefixes import Family, families, starts_twice
from harness.backends.lm_eval.questions import Questions
from harness.encoders.base import Counters
from harness.encoders.batching import for_each_batch
from harness.encoders.frame import frame_ids
from harness.encoders.rationale.template import PINNED_TEMPLATE_VARIABLES, with_pinned_date
from harness.encoders.rope import apart, forget_longer_texts, rope_limit
from harness.errors import HarnessError

GoldOf = Callable[[Any], str | None]
"""Request -> the gold answer as it would follow the prompt."""


class SharedPrefixScorer(HFLM):  # type: ignore[misc]
    """HFLM for one cell, as far as it scores; `traces` tells of each request what its answer does not."""

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_tokens: int, gold_of: GoldOf, on_done: Callable[[int], None]
    ) -> None:
        """Wrap a model in memory.

        Args:
            model: a causal language model in eval mode, adapters active.
            tokenizer: its tokenizer; a copy is used, since lm-eval sets its padding.
            batch_tokens: padded tokens a batch, prompt and answer together.
            gold_of: gives the gold answer of a generation request.
            on_done: called with the number of questions finished, whatever requests they are made of.

        Raises:
            HarnessError: the adapter adds virtual tokens, which a shared prefix would count twice.
        """
        pinned = dict(PINNED_TEMPLATE_VARIABLES)
        # A causal model, whatever its configuration says: BART's decoder alone is one, and says encoder-decoder.
        super().__init__(
            pretrained=model,
            backend="causal",
            tokenizer=copy.deepcopy(tokenizer),
            batch_size=1,
            chat_template_args=pinned,
        )
        self.tokenizer.chat_template = with_pinned_date(self.tokenizer.chat_template)
        self._frame = frame_ids(self.tokenizer)
        base = model if isinstance(model, PreTrainedModel) else model.get_base_model()
        if base is not model and model.active_peft_config.is_prompt_learning:
            raise HarnessError("adapters that add virtual tokens (prompt or prefix tuning) have no ability axis here")
        self.shares = all(type(layer) is DynamicLayer for layer in DynamicCache(config=base.config).layers)
        """Whether keys and values of one row can stand before others; a probe may say that they cannot."""
        self.pads = True
        """Whether rows of unlike length can be read together; a probe may say that they cannot."""
        self._keeps_logits = base._supports_logits_to_keep()
        forget_longer_texts(base)
        self.rope = rope_limit(base)
        """From which length on the model turns positions another way; longer rows share nothing with others."""
        self.gold_of = gold_of
        self.questions = Questions(on_done)
        self.on_done = self.questions.done
        self.batch_tokens = batch_tokens
        self._counters = Counters()
        self._continuations: list[int] = []
        self.traces: dict[tuple[str, int, int], Trace] = {}
        self.work = Work()
        self.seed = 0
        """Of sampled answers."""

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
        """Return HFLM's ids without what the tokenizer puts behind a text.

        HFLM takes the ids of prompt and answer together, less as many as the prompt has alone: a closing token behind
        both would stand between them, and take the place of the answer's first token.
        """
        ids: list[int] = super().tok_encode(string, add_special_tokens, **options)
        if not self._frame.behind or add_special_tokens is False:
            return ids
        bare: list[int] = super().tok_encode(string, False)
        if ids == bare:  # the string brings its own beginning
            return ids
        most = options.get("left_truncate_len")
        return [*self._frame.front, *bare][-most if most else None :]

    def trace(self, request: Any) -> Trace:
        """Return what is known of a request, by task, document and place among the document's requests."""
        return self.traces.setdefault((request.task_name, request.doc_id, request.idx), Trace())

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Score continuations as HFLM does and keep how many tokens each has."""
        self.questions.expect(requests)
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        for request, tokens in zip(requests, self._continuations, strict=True):
            self.trace(request).continuation_tokens = tokens
        return answers

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[Any, list[int], list[int]]],
        disable_tqdm: bool = True,  # noqa: ARG002 - HFLM's signature
        override_bs: int | None = None,  # noqa: ARG002
    ) -> list[tuple[float, bool]]:
        """Return (log-likelihood in nats, whether it is the greedy continuation) of each request.

        Requests that differ in their last token alone (`A`, `B`, `C`, `D`) are one row.
        """
        inputs: dict[tuple[int, ...], list[int]] = {}
        for index, (_, context, continuation) in enumerate(requests):
            self.check_start(context)
            ids = (context + continuation)[-(self.max_length + 1) :][:-1]
            inputs.setdefault(tuple(ids), []).append(index)
        rows = [list(ids) for ids in inputs]
        of_row = list(inputs.values())
        tails = [max(len(requests[index][2]) for index in group) for group in of_row]
        answers: list[tuple[float, bool] | None] = [None] * len(requests)

        def take(row: int, logprobs: torch.Tensor) -> None:
            for index in of_row[row]:
                answers[index] = _answer(logprobs, requests[index][2])
            self.on_done(len(of_row[row]))

        self.score_rows(rows, tails, take)
        self._continuations = [len(continuation) for _, _, continuation in requests]
        return [answer for answer in answers if answer is not None]

    def score_rows(self, rows: list[list[int]], tails: list[int], take: Callable[[int, torch.Tensor], None]) -> None:
        """Call `take(row, log-probabilities (tail, vocabulary))` for every row, in any order."""
        self.work.prompt_tokens += sum(map(len, rows))
        for family in self.families(rows):
            # a scored position may not lie in the prefix: its logits are not kept
            shared = min(family.prefix_tokens, *(len(rows[row]) - tails[row] for row in family.rows))
            past = self.prefill(rows[family.rows[0]][:shared]) if shared > 0 else None

            def run(chosen: list[int], shared: int = max(shared, 0), past: Past | None = past) -> None:
                found = self.tails([rows[row][shared:] for row in chosen], [tails[row] for row in chosen], past)
                for row, logprobs in zip(chosen, found, strict=True):
                    take(row, logprobs)

            self.in_batches(family.rows, [len(rows[row]) for row in family.rows], run)

    def families(self, rows: Sequence[Sequence[int]]) -> list[Family]:
        """Return which rows share a prefix; all are one family without, where the model's cache cannot be shared.

        Nor can it with rows that are so long that the model turns the prefix's positions another way.
        """
        if not self.shares:
            return [Family(0, list(range(len(rows))))]
        *longer, within = apart(self.rope, list(map(len, rows)))
        found = families([rows[index] for index in within])
        sharing = [Family(one.prefix_tokens, [within[place] for place in one.rows]) for one in found]
        return [*sharing, *(Family(0, group) for group in longer)]

    def in_batches(self, members: list[int], lengths: list[int], run: Callable[[list[int]], None]) -> None:
        """Call `run` with `members` in batches by length, fewer at a time once a GPU ran out of memory."""

        def run_batch(batch: list[int]) -> None:
            run([members[place] for place in batch])

        if self.pads:
            self.batch_tokens = for_each_batch(lengths, self.batch_tokens, run_batch, self._counters, rope=self.rope)
        else:
            for_each_batch(lengths, 1, run_batch, self._counters, rope=self.rope)  # a row at a time

    @torch.inference_mode()
    def tails(self, rows: list[list[int]], tails: list[int], past: Past | None) -> list[torch.Tensor]:
        """Return log-probabilities of the last `tails[i]` positions of each right-padded row."""
        longest = max(map(len, rows))
        padded = padded_right(rows).to(self.device)  # (b, t); causal attention never looks at what stands after
        keep = max(longest - len(row) + tail for row, tail in zip(rows, tails, strict=True))
        logits = self.forward(padded, keep=keep, cache=cache_of(past, len(rows)))
        self.work.computed_tokens += sum(map(len, rows))
        found = []
        for index, (row, tail) in enumerate(zip(rows, tails, strict=True)):
            end = logits.shape[1] - (longest - len(row))
            found.append(torch.log_softmax(logits[index, end - tail : end], dim=-1, dtype=self.softmax_dtype))
        return found

    @torch.inference_mode()
    def prefill(self, ids: list[int]) -> Past:
        """Return keys and values of one row."""
        cache = DynamicCache()
        self.forward(torch.tensor([ids], device=self.device), keep=1, cache=cache)
        self.work.computed_tokens += len(ids)
        self.work.shared_prefixes += 1
        return layers_of(cache)

    def forward(self, ids: torch.Tensor, *, keep: int, cache: DynamicCache | None = None, **extra: Any) -> torch.Tensor:
        """Return logits (b, keep, vocabulary) of the last `keep` positions; `cache` grows by the rows."""
        kept = {"logits_to_keep": keep} if self._keeps_logits else {}
        use = {"past_key_values": cache, "use_cache": True} if cache is not None else {"use_cache": False}
        logits: torch.Tensor = self.model(input_ids=ids, **use, **kept, **extra).logits
        return logits[:, -keep:]

    def check_start(self, ids: Sequence[int]) -> None:
        """Refuse a prompt that begins with two beginning-of-text tokens."""
        if starts_twice(ids, self.tokenizer.bos_token_id):
            raise RuntimeError("a prompt begins with two beginning-of-text tokens: chat template and tokenizer add one")


def _answer(logprobs: torch.Tensor, continuation: list[int]) -> tuple[float, bool]:
    """Return the sum over a continuation's tokens, and whether each is the likeliest; `logprobs` (tail, vocabulary)."""
    own = logprobs[-len(continuation) :]
    tokens = torch.tensor(continuation, device=own.device)
    found = own.gather(1, tokens.unsqueeze(1)).squeeze(1)
    return float(found.sum()), bool((own.argmax(dim=-1) == tokens).all())
