"""Do shared prefixes and padded rows give what the model itself gives? Asked once a model, before a task is scored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch  # noqa: TID253 - imported only where a cell of the ability axis runs
from transformers import GenerationConfig  # noqa: TID253

from harness.backends.lm_eval.generation import Batch, Decoding, continued, laid_out, read_prompts, score_golds
from harness.backends.lm_eval.past import Trace, Work
from harness.backends.lm_eval.scoring import SharedPrefixScorer
from harness.encoders.probe import check_causal, compared, family, fault_of, row_lengths, rows_of
from harness.encoders.rationale.plain import configured
from harness.errors import EnvironmentGapError

SHARED_TOKENS = 7
SCORED_TOKENS = 3
"""The last of each row, scored as a continuation and as a gold answer."""
GENERATED_TOKENS = 3
NATS = 1e-3
"""A gold answer of the probe may be off by this much, of some 20: rounding of the sum in float32."""


class Way(NamedTuple):
    """How rows are read."""

    shares: bool
    pads: bool


_ways: WeakKeyDictionary[Any, Way] = WeakKeyDictionary()
"""What was found out of the models in memory."""


def take_the_way_that_holds(lm: SharedPrefixScorer) -> None:
    """Let `lm` share prefixes and pad rows only as far as that gives what the model's own forward pass gives.

    Raises:
        EnvironmentGapError: the model is not causal, or not even one row at a time gives the same.
    """
    if lm.model not in _ways:
        check_causal(lm.model, lm.tokenizer, wants="the ability axis")
        _ways[lm.model] = _found(lm)
    lm.shares, lm.pads = _ways[lm.model]


def _found(lm: SharedPrefixScorer) -> Way:
    done = lm.work
    for way in _ways_to_try(lm):
        lm.shares, lm.pads = way
        lm.work = Work()  # that of the probe is no cell's
        fault = _fault(lm)
        lm.work = done
        if fault is None:
            return way
    raise EnvironmentGapError(
        [
            f"{family(lm.model)}: the ability axis would not give what its own forward pass gives ({fault}), "
            f"not even one row at a time; leave the ability tasks out for it, or take another model"
        ]
    )


def _ways_to_try(lm: SharedPrefixScorer) -> Iterator[Way]:
    """Yield the ways, the fastest first."""
    for pads in (True, False):
        if lm.shares:
            yield Way(shares=True, pads=pads)
    for pads in (True, False):
        yield Way(shares=False, pads=pads)


@torch.inference_mode()
def _fault(lm: SharedPrefixScorer) -> str | None:
    """Return what differs from the model's own forward pass over each row alone; None where nothing does."""
    lengths = row_lengths(lm.model, beside=SHARED_TOKENS + GENERATED_TOKENS)
    start, *rests = rows_of(lm.model, lm.tokenizer, (SHARED_TOKENS, *lengths))
    rows = [[*start, *rest] for rest in rests]
    try:
        if not _scores_hold(lm, rows):
            return "likelihoods differ"
        if not _answers_hold(lm, rows):
            return "generated answers or the nats of gold answers differ"
    except Exception as error:  # noqa: BLE001 - whatever a family's code says to a cache, a mask or positions
        return fault_of(error)
    return None


def _own_logits(lm: SharedPrefixScorer, row: list[int]) -> torch.Tensor:
    """Return (t, vocabulary) of one row by the model's own plain forward pass."""
    logits: torch.Tensor = lm.model(input_ids=torch.tensor([row], device=lm.device)).logits[0]
    return logits


def _level(logits: torch.Tensor) -> torch.Tensor:
    """Return logits or log-probabilities without what is the same for all tokens, so that the two can be compared."""
    return logits.float() - logits.float().mean(dim=-1, keepdim=True)


def _groups(lm: SharedPrefixScorer, rows: list[list[int]]) -> list[list[list[int]]]:
    return [rows] if lm.pads else [[row] for row in rows]


def _scores_hold(lm: SharedPrefixScorer, rows: list[list[int]]) -> bool:
    found = []
    for group in _groups(lm, rows):
        past = lm.prefill(group[0][:SHARED_TOKENS]) if lm.shares else None
        shared = SHARED_TOKENS if lm.shares else 0
        found += lm.tails([row[shared:] for row in group], [SCORED_TOKENS] * len(group), past)

    def own() -> list[torch.Tensor]:
        return [_level(_own_logits(lm, row)[-SCORED_TOKENS:]) for row in rows]

    return compared(lm.model, [_level(one) for one in found], own(), own=own).holds


def _answers_hold(lm: SharedPrefixScorer, rows: list[list[int]]) -> bool:
    return all(_batch_holds(lm, group) for group in _groups(lm, rows))


def _batch_holds(lm: SharedPrefixScorer, rows: list[list[int]]) -> bool:
    """Hold generated tokens, the logits before each, and the nats of a gold answer against the model's own."""
    golds = [row[-SCORED_TOKENS:] for row in rows]
    shared = SHARED_TOKENS if lm.shares else 0
    batch = Batch(
        prompts=[row[:-SCORED_TOKENS] for row in rows],
        golds=golds,
        traces=[Trace() for _ in rows],
        shared=shared,
        past=lm.prefill(rows[0][:shared]) if shared else None,
        sampled=None,
    )
    ids, mask = (one.to(lm.device) for one in laid_out(batch, lm.tokenizer.pad_token_id))
    past = read_prompts(lm, batch, ids, mask) if lm.shares else None
    score_golds(lm, batch, past, mask)
    seen: list[torch.Tensor] = []
    decoding = Decoding(stops=[], max_gen_toks=GENERATED_TOKENS, arguments={"do_sample": False})
    with configured(lm.model, GenerationConfig(do_sample=False, pad_token_id=lm.tokenizer.pad_token_id)):
        made = continued(lm, ids, mask, past, decoding, criteria=[], processors=[_keeping(seen)])
    new = made[:, ids.shape[1] :].tolist()
    found = [_level(torch.stack(seen)[:, place]) for place in range(len(rows))]

    def own() -> list[torch.Tensor]:
        pairs = zip(batch.prompts, new, strict=True)
        return [_level(_own_logits(lm, [*prompt, *answer[:-1]])[len(prompt) - 1 :]) for prompt, answer in pairs]

    if not compared(lm.model, found, own(), own=own).holds:
        return False
    return _nats_hold(lm, rows, [trace.gold_nll for trace in batch.traces])


def _keeping(seen: list[torch.Tensor]) -> Any:
    """Return a processor that leaves the logits as they are and keeps them."""

    def keep(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        seen.append(scores.clone())
        return scores

    return keep


def _nats_hold(lm: SharedPrefixScorer, rows: list[list[int]], nats: list[float | None]) -> bool:
    coarse = next(lm.model.parameters()).dtype != torch.float32
    for row, found in zip(rows, nats, strict=True):
        logprobs = _own_logits(lm, row)[-SCORED_TOKENS - 1 : -1].float().log_softmax(dim=-1)
        gold = torch.tensor(row[-SCORED_TOKENS:], device=logprobs.device)
        truth = -float(logprobs.gather(1, gold[:, None]).sum())
        if found is None or not abs(found - truth) <= (0.05 * abs(truth) if coarse else NATS):
            return False
    return True
