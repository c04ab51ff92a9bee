"""Generated answers for the ability axis: batches over a shared prefix, rows stopped one by one, gold scored first.

A batch is laid out as [shared prefix][padding][rest of the prompt][answer]; padding is masked, and positions are
counted without it, as `generate` does for prompts padded on the left.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253 - imported only where a cell of the ability axis runs
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text  # noqa: TID253
from transformers import DynamicCache, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList  # noqa: TID253

from harness.backends.lm_eval import sampling
from harness.backends.lm_eval.past import Past, Trace, cache_of, layers_of, padded_right
from harness.backends.lm_eval.scoring import SharedPrefixScorer
from harness.errors import HarnessError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How answers are generated, the same for every row of a batch."""

    stops: list[str]
    """Strings that end an answer, the end-of-text token among them."""
    max_gen_toks: int
    arguments: dict[str, Any]
    """For `generate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Prompts that are answered together."""

    prompts: list[list[int]]
    golds: list[list[int]]
    """Ids of the gold answers; empty where there is none, or where it does not fit behind its prompt."""
    traces: list[Trace]
    shared: int
    """Leading ids that every prompt has, and whose keys and values are `past`."""
    past: Past | None
    sampled: list[sampling.Answer] | None
    """Each row's, where answers are sampled; None for greedy decoding."""


def generate(lm: SharedPrefixScorer, requests: list[Any]) -> list[str]:
    """Return the answer to each `generate_until` request, in order; traces of `lm` are filled in."""
    groups: dict[str, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(index)
    answers = [""] * len(requests)
    for indices in groups.values():
        for index, text in zip(indices, _generate_alike(lm, [requests[index] for index in indices]), strict=True):
            answers[index] = text
    return answers


def _generate_alike(lm: SharedPrefixScorer, requests: list[Any]) -> list[str]:
    """Answer requests that have the same generation arguments."""
    decoding = _decoding(lm, requests[0].args[1])
    room = lm.max_length - decoding.max_gen_toks
    if room <= 0:
        what = f"max_gen_toks {decoding.max_gen_toks} leaves no room for a prompt"
        raise HarnessError(f"{what} in a context of {lm.max_length} tokens; set a smaller one in the suite")
    whole = [lm.tok_encode(request.args[0]) for request in requests]
    for ids in whole:
        lm.check_start(ids)
    prompts = [ids[-room:] for ids in whole]  # lm-eval cuts on the left as well
    _refuse_to_cross(lm, prompts, decoding.max_gen_toks)
    golds = [_gold_ids(lm, request, ids, room) for request, ids in zip(requests, whole, strict=True)]
    lm.work.prompt_tokens += sum(map(len, prompts))
    sampled = _sampled(requests, decoding)
    texts = [""] * len(requests)
    for family in lm.families(prompts):
        shared = family.prefix_tokens
        past = lm.prefill(prompts[family.rows[0]][:shared]) if shared else None

        def run(chosen: list[int], shared: int = shared, past: Past | None = past) -> None:
            batch = Batch(
                prompts=[prompts[row] for row in chosen],
                golds=[golds[row] for row in chosen],
                traces=[lm.trace(requests[row]) for row in chosen],
                shared=shared,
                past=past,
                sampled=None if sampled is None else [sampled[row] for row in chosen],
            )
            for row, text in zip(chosen, _answer_batch(lm, batch, decoding), strict=True):
                texts[row] = text
            lm.on_done(len(chosen))

        lm.in_batches(family.rows, [len(prompts[row]) + decoding.max_gen_toks for row in family.rows], run)
    return texts


def _refuse_to_cross(lm: SharedPrefixScorer, prompts: Sequence[Sequence[int]], new: int) -> None:
    """Raise HarnessError where an answer may outgrow the length that its prompt's keys were turned for."""
    if lm.rope is None:
        return
    for length in map(len, prompts):
        # One less: the last token of a prompt is read with the answer.
        if lm.rope.crosses(length - 1, length + new):
            room = lm.rope.tokens - length
            shorter = f"set `max_gen_toks: {room}` at most" if room > 0 else "take fewer examples (`num_fewshot`)"
            raise HarnessError(lm.rope.message(length + new, f"{shorter} for this task"))


def _decoding(lm: SharedPrefixScorer, arguments: dict[str, Any]) -> Decoding:
    wanted: dict[str, Any] = dict(normalize_gen_kwargs(arguments, lm.max_gen_toks))
    stops = handle_stop_sequences(wanted.pop("until"), lm.tok_decode(lm.eot_token_id, skip_special_tokens=False))
    most = wanted.pop("max_gen_toks")
    if not wanted["do_sample"]:
        wanted.pop("temperature", None)  # transformers warns of a temperature that greedy decoding does not read
    return Decoding(stops=[stop for stop in stops if stop], max_gen_toks=most, arguments=wanted)


def _sampled(requests: list[Any], decoding: Decoding) -> list[sampling.Answer] | None:
    """Return what each request's answer is drawn for; None for greedy decoding."""
    if not decoding.arguments["do_sample"]:
        return None
    sampling.check(decoding.arguments)
    asked: Counter[tuple[str, int, int]] = Counter()
    answers = []
    for request in requests:  # repeats of a document are the same request again
        own = (request.task_name, request.doc_id, request.idx)
        answers.append(sampling.Answer(request.args[0], asked[own]))
        asked[own] += 1
    return answers


def _gold_ids(lm: SharedPrefixScorer, request: Any, context: list[int], room: int) -> list[int]:
    """Return the ids of the gold answer as they stand behind the prompt; empty where it has none or does not fit."""
    gold = lm.gold_of(request)
    if not gold:
        return []
    whole: list[int] = lm.tok_encode(request.args[0] + gold)
    # where a token would span the border, the prompt stays as it was asked, and the answer is tokenised by itself
    splits = whole[: len(context)] == context
    ids = whole[len(context) :] if splits else lm.tok_encode(gold, add_special_tokens=False)
    return ids if min(len(context), room) + len(ids) <= lm.max_length else []


@torch.inference_mode()
def _answer_batch(lm: SharedPrefixScorer, batch: Batch, decoding: Decoding) -> list[str]:
    ids, mask = laid_out(batch, lm.tokenizer.pad_token_id)
    ids, mask = ids.to(lm.device), mask.to(lm.device)  # (b, t)
    past = read_prompts(lm, batch, ids, mask) if lm.shares else None
    score_golds(lm, batch, past, mask)
    stop = StopAtStrings(lm.tokenizer, decoding.stops, ids)
    drawn = [] if batch.sampled is None else [sampling.SampleByRow(decoding.arguments, lm.seed, batch.sampled)]
    made = continued(lm, ids, mask, past, decoding, criteria=[stop], processors=drawn)
    ends = lm.model.generation_config.eos_token_id
    enders = set(ends if isinstance(ends, list) else [ends])
    texts = []
    for row, trace in enumerate(batch.traces):
        new = made[row, ids.shape[1] :].tolist()
        by_token = next((place + 1 for place, token in enumerate(new) if token in enders), None)
        stopped = [end for end in (stop.ends[row], by_token) if end is not None]
        new = new[: min(stopped)] if stopped else new
        trace.generated_tokens.append(len(new))
        trace.truncated.append(not stopped)
        lm.work.computed_tokens += len(new)
        lm.work.generated_tokens += len(new)
        texts.append(postprocess_generated_text(lm.tok_decode(new), stop=decoding.stops, think_end_token=None))
    return texts


def continued(
    lm: SharedPrefixScorer,
    ids: torch.Tensor,
    mask: torch.Tensor,
    past: Past | None,
    decoding: Decoding,
    *,
    criteria: list[Any],
    processors: list[Any],
) -> torch.Tensor:
    """Return prompts and what the model generates behind them, (b, t + new).

    Args:
        lm: whose model generates.
        ids, mask: (b, t), of `laid_out`.
        past: of `read_prompts`; None where the model reads the prompts itself.
        decoding: its limit and arguments.
        criteria: for stopping.
        processors: of logits, after those of the model's generation configuration.
    """
    made: torch.Tensor = lm.model.generate(
        input_ids=ids,
        attention_mask=mask,
        past_key_values=DynamicCache(past) if past else None,
        max_length=ids.shape[1] + decoding.max_gen_toks,
        stopping_criteria=StoppingCriteriaList(criteria),
        pad_token_id=lm.tokenizer.pad_token_id,
        use_cache=True,
        logits_processor=LogitsProcessorList(processors),
        **decoding.arguments,
    )
    return made


def laid_out(batch: Batch, padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, both (b, t), with padding between the shared prefix and the rest."""
    longest = max(map(len, batch.prompts))
    ids = torch.full((len(batch.prompts), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(batch.prompts):
        rest = prompt[batch.shared :]
        ids[row, : batch.shared] = torch.tensor(prompt[: batch.shared], dtype=torch.long)
        ids[row, longest - len(rest) :] = torch.tensor(rest)
        mask[row, : batch.shared] = 1
        mask[row, longest - len(rest) :] = 1
    return ids, mask


def read_prompts(lm: SharedPrefixScorer, batch: Batch, ids: torch.Tensor, mask: torch.Tensor) -> Past:
    """Return keys and values of every prompt but its last token, which `generate` wants to read itself."""
    cache = cache_of(batch.past, len(batch.prompts)) or DynamicCache()
    if ids.shape[1] - 1 > batch.shared:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, batch.shared : -1]
        rest = ids[:, batch.shared : -1]
        lm.forward(rest, keep=1, cache=cache, attention_mask=mask[:, :-1], position_ids=positions)
    lm.work.computed_tokens += sum(len(prompt) - batch.shared for prompt in batch.prompts)
    return layers_of(cache)


def score_golds(lm: SharedPrefixScorer, batch: Batch, past: Past | None, mask: torch.Tensor) -> None:
    """Fill in the nats of each gold answer after its prompt."""
    wanted = zip(batch.golds, batch.traces, strict=True)
    if not any(gold and trace.gold_nll is None for gold, trace in wanted):  # none, or the same again for repeats
        return
    if past is None or _outgrows(lm, batch):
        _score_golds_apart(lm, batch)
        return
    rows = [[prompt[-1], *gold[:-1]] for prompt, gold in zip(batch.prompts, batch.golds, strict=True)]
    fed = padded_right(rows).to(lm.device)  # (b, g)
    seen = torch.cat([mask[:, :-1], torch.ones_like(fed)], dim=1)
    positions = mask.sum(dim=1, keepdim=True) - 1 + torch.arange(fed.shape[1], device=fed.device)
    logits = lm.forward(fed, keep=fed.shape[1], cache=DynamicCache(past), attention_mask=seen, position_ids=positions)
    for row, (gold, trace) in enumerate(zip(batch.golds, batch.traces, strict=True)):
        if gold:
            _note_gold(trace, logits[row, : len(gold)], gold)
            lm.work.computed_tokens += len(gold)


def _outgrows(lm: SharedPrefixScorer, batch: Batch) -> bool:
    """Return whether the padded prompts and answers reach beyond the length that the prompts' keys were turned for."""
    start, end = min(map(len, batch.prompts)) - 1, max(map(len, batch.prompts)) + max(map(len, batch.golds))
    return lm.rope is not None and lm.rope.crosses(start, end)


def _score_golds_apart(lm: SharedPrefixScorer, batch: Batch) -> None:
    """The same for caches that cannot be shared, or not so far: prompt and answer are read once more."""
    told = [row for row, gold in enumerate(batch.golds) if gold]
    rows = [[*batch.prompts[row], *batch.golds[row]][:-1] for row in told]

    def take(place: int, logprobs: torch.Tensor) -> None:
        _note_gold(batch.traces[told[place]], logprobs, batch.golds[told[place]])

    lm.score_rows(rows, [len(batch.golds[row]) for row in told], take)


def _note_gold(trace: Trace, logits: torch.Tensor, gold: list[int]) -> None:
    logprobs = torch.log_softmax(logits.float(), dim=-1)  # (g, vocabulary)
    trace.gold_nll = -float(logprobs.gather(1, torch.tensor(gold, device=logits.device).unsqueeze(1)).sum())
    trace.gold_tokens = len(gold)


class StopAtStrings(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its own first stop string; lm-eval's criterion waits until one string was seen in every row."""

    def __init__(self, tokenizer: Any, stops: list[str], prompts: torch.Tensor) -> None:
        """Watch what follows `prompts` (b, t)."""
        self._tokenizer = tokenizer
        self._stops = stops
        self._start = prompts.shape[1]
        # two more tokens than a stop string has, since the model may split it another way (as lm-eval does)
        self._window = max((len(tokenizer.encode(stop, add_special_tokens=False)) for stop in stops), default=0) + 2
        self.ends: list[int | None] = [None] * prompts.shape[0]
        """Generated tokens of each row when a stop string was complete; None while none was."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ARG002
        """Return (b,) whether each row is finished."""
        made = input_ids.shape[1] - self._start
        recent = input_ids[:, self._start :][:, -self._window :]
        for row, text in enumerate(self._tokenizer.batch_decode(recent)):
            if self.ends[row] is None and any(stop in text for stop in self._stops):
                self.ends[row] = made
        return torch.tensor([end is not None for end in self.ends], device=input_ids.device)
