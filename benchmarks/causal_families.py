"""Which families of transformers run on which path: `python benchmarks/causal_families.py [FAMILY ...]`.

Every family that AutoModelForCausalLM knows and that can be built small is saved as a random model and loaded as a
suite would: mean-pool, rationale with a shared prefix and plain, the ability axis, and the forward passes of training.
The truth is the model loaded apart from all that, one row at a time, without padding, mask or cache. Each path either
gives the same to 1e-4 or is refused by name; anything else is printed, and the exit code is 1.

    --write   put the table into docs/encoders.md
    --check   exit with 1 where the table there is another

A few minutes on two cores; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from grace.training.probe import LEFT, PACKED, PADDED, STAGED, Way
from harness.encoders.checked import CheckedEncoder
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.probe import family as family_of
from harness.encoders.probe import is_causal
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.template import tokenise
from harness.encoders.reading import read
from harness.errors import HarnessError
from harness.sources.places import Located
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

DOCUMENT = ROOT / "docs" / "encoders.md"
BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"
TEXTS = ("the cat sat on the mat and looked at the moon", "rain", "a small dog ran over the green hill", "two men")
WITHIN = 1e-4
"""How far a vector or a row of logits may be from the truth, relative to its length."""
MOST_WEIGHTS = 5_000_000
"""A family that cannot be built smaller than this is left out, and named."""
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class WrongError(Exception):
    """A path gave another number than the model itself, without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A tiny model on disk, and the same one loaded apart."""

    folder: Path
    attention: str
    truth: Any
    tokenizer: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one path of one family."""

    said: str
    """A word for the table: how it runs, or "-" where it is refused."""
    why: str = ""
    """Of a refusal."""
    is_wrong: bool = False
    """Neither right nor refused."""


def main() -> int:
    """Run the paths of every family and print, write or check the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="model types; all where none is given")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    names = asked.families or list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    found: dict[str, dict[str, Outcome]] = {}
    left_out = []
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        for name, outcomes in zip(names, pool.map(paths_of, names), strict=True):
            if isinstance(outcomes, str):
                left_out.append(name)
                print(f"{name}: not built: {outcomes}", flush=True)
                continue
            found[name] = outcomes
            print(f"{name}: " + "; ".join(f"{path}: {one.said}" for path, one in outcomes.items()), flush=True)
            for path, one in outcomes.items():
                if one.why:
                    print(f"    {path}: {one.why}", flush=True)
    table = "".join(f"{line}\n" for line in table_of(found, left_out))
    wrong = [f"{name}: {path}" for name, row in found.items() for path, one in row.items() if one.is_wrong]
    print(table)
    print(f"{len(found)} families; neither right nor refused: {', '.join(wrong) or 'none'}")
    return 1 if wrong or not document(table, writes=asked.write, checks=asked.check) else 0


def paths_of(name: str) -> dict[str, Outcome] | str:
    """Return what became of each path of a family, or why it could not be built small."""
    torch.set_num_threads(1)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        try:
            saved = save(name, Path(folder))
        except Exception as error:  # noqa: BLE001 - whatever a configuration says that this program did not expect
            return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        return {path: outcome_of(run, saved) for path, run in PATHS.items()}


def document(table: str, *, writes: bool, checks: bool) -> bool:
    """Put the table into the document or compare it; returns whether what was asked for holds."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    if writes:
        DOCUMENT.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")
    if checks and old != table:
        print(f"{DOCUMENT.relative_to(ROOT)} has another table: run this with --write")
        return False
    return True


def save(name: str, folder: Path) -> Saved:
    """Build a family small, save it, and load it apart with the first attention that it takes."""
    from cells_support import tiny_tokenizer
    from families import CONTEXT, tiny, tiny_config

    with torch.device("meta"):
        weights = AutoModelForCausalLM.from_config(tiny_config(name)).num_parameters()
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights} weights")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.model_max_length = CONTEXT
    tiny(name).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for attention in ("sdpa", "eager"):
        try:
            truth = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
        except (ValueError, ImportError):
            continue
        with torch.no_grad():
            truth(input_ids=torch.tensor([[5, 6, 7]]))
        return Saved(folder=folder, attention=attention, truth=truth, tokenizer=tokenizer)
    raise ValueError("takes no attention that a suite can name")


def outcome_of(run: Callable[[Saved], str], saved: Saved) -> Outcome:
    """Run one path."""
    try:
        return Outcome(said=run(saved))
    except HarnessError as error:
        message = str(error)
        named = type(saved.truth).__name__ in message or str(saved.truth.config.model_type) in message
        return Outcome(said="-", why=message, is_wrong=not named)
    except Exception as error:  # noqa: BLE001 - what a user would see as a traceback is what this looks for
        return Outcome(said="WRONG", why=f"{type(error).__name__}: {error}", is_wrong=True)


def mean_pool(saved: Saved) -> str:
    """Encode with a text a batch and all at once; returns how rows are read."""
    readings = set()
    for budget in (1, 4096):
        spec = MeanPoolSpec(encoder="mean-pool", batch_tokens=budget, **_entry(saved))
        encoder = MeanPoolEncoder(spec, _place(saved), None)
        vectors = encoder.encode(list(TEXTS), role=None, prompt=None)
        for text, vector in zip(TEXTS, vectors, strict=True):
            ids = saved.tokenizer(text, add_special_tokens=False)["input_ids"]
            _same(vector, _states(saved, ids).mean(axis=0))
        readings.add(encoder.reading)
    return " ".join(sorted(readings))


def rationale(saved: Saved, forward: str) -> str:
    """Write and pool, and hold tokens and vectors against the model's own pass over all ids."""
    spec = RationaleSpec(
        encoder="rationale", forward=forward, max_text_tokens=20, generation={"max_new_tokens": 6}, **_entry(saved)
    )
    encoder = RationaleEncoder(spec, _place(saved), None, fingerprint="", seed=0, cache=None)
    prefix, suffix = list(encoder.template.prefix), list(encoder.template.suffix)
    for ids, entry in zip(tokenise(saved.tokenizer, TEXTS), encoder.write(TEXTS, prompt=None), strict=True):
        new = entry.about["ids"]
        row = [*prefix, *ids[:20], *suffix, *new]
        _same(entry.vector, _states(saved, row)[len(prefix) :].mean(axis=0))
        _likeliest(saved, row, new)
    return "yes"


def ability(saved: Saved) -> str:
    """Score continuations and write answers; returns how rows are read."""
    from lm_eval.api.instance import Instance

    from harness.backends.lm_eval.ask import language_model

    spec = MeanPoolSpec(encoder="mean-pool", **_entry(saved))
    encoder = CheckedEncoder(MeanPoolEncoder(spec, _place(saved), None), name=saved.folder.name)
    lm = language_model(encoder, {}, chat_template=False)
    lm.gold_of = lambda _: None
    # BART's forces an end at the limit, as lm-eval has it too; what is asked here is what the forward pass says.
    lm.model.generation_config = GenerationConfig(eos_token_id=lm.eot_token_id, pad_token_id=lm.tokenizer.pad_token_id)
    start = " ".join(TEXTS)
    pairs = [(f"{start} {text}", ending) for text in TEXTS for ending in (" a hill", " moon rain")]
    asked = [Instance("loglikelihood", {}, pair, 0, metadata=("t", place, 1)) for place, pair in enumerate(pairs)]
    for (context, ending), (nats, _) in zip(pairs, lm.loglikelihood(asked), strict=True):
        before, behind = lm._encode_pair(context, ending)
        logprobs = _logits(saved, [*before, *behind][:-1])[-len(behind) :].log_softmax(dim=-1)
        truth = float(logprobs.gather(1, torch.tensor(behind)[:, None]).sum())
        if abs(nats - truth) > WITHIN * max(abs(truth), 10):
            raise WrongError(f"{nats} nats in place of {truth}")
    settings = {"until": ["\n\n"], "max_gen_toks": 5, "do_sample": False}
    texts = [f"{start} {text}" for text in TEXTS]
    asked = [
        Instance("generate_until", {}, (text, dict(settings)), 0, metadata=("g", place, 1))
        for place, text in enumerate(texts)
    ]
    for text, answer in zip(texts, lm.generate_until(asked), strict=True):
        prompt = lm.tok_encode(text)
        if answer != lm.tok_decode(_greedy(saved, lm, prompt, 5)).split("\n\n")[0]:
            raise WrongError("another answer than one token at a time")
    return f"{'shared' if lm.shares else 'whole'}, {'padded' if lm.pads else 'alone'}"


def training(saved: Saved, way: Way) -> str:
    """Ask the probe of training, which compares with the model's own pass itself."""
    if not is_causal(saved.truth, saved.tokenizer):
        raise HarnessError(f"{family_of(saved.truth)} is not causal")
    why = way.fault(saved.truth, saved.tokenizer)
    if why is not None:
        raise HarnessError(f"{family_of(saved.truth)}: {why}")
    return "yes"


PATHS: dict[str, Callable[[Saved], str]] = {
    "mean-pool": mean_pool,
    "rationale": lambda saved: rationale(saved, "shared-prefix"),
    "rationale plain": lambda saved: rationale(saved, "plain"),
    "ability": ability,
    "packed": lambda saved: training(saved, PACKED),
    "padded": lambda saved: training(saved, PADDED),
    "staged": lambda saved: training(saved, STAGED),
    "trl": lambda saved: training(saved, LEFT),
}
"""Path -> what runs it and returns a word for the table."""


def table_of(found: dict[str, dict[str, Outcome]], left_out: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table: families of one outcome in a row, the largest row first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, row in found.items():
        groups.setdefault(tuple(row[path].said for path in PATHS), []).append(name)
    yield "| mean-pool | rationale | `forward: plain` | ability | packed | padded | staged | trl | families |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for outcome, names in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield f"| {' | '.join(outcome)} | {len(names)}: {', '.join(sorted(names))} |"
    if left_out:
        yield ""
        yield f"Not built small, so not run: {', '.join(sorted(left_out))}."


def _entry(saved: Saved) -> dict[str, Any]:
    return {
        "name": "tiny",
        "model": str(saved.folder),
        "device": "cpu",
        "attn_implementation": saved.attention,
    }


def _place(saved: Saved) -> Located:
    return Located(
        kind="folder", load_from=str(saved.folder), revision=None, identity={}, source="benchmark", vouched=None
    )


@torch.no_grad()
def _states(saved: Saved, ids: list[int]) -> np.ndarray:
    """Return the last states of one row by the model apart, (t, h) float64."""
    states: np.ndarray = read(saved.truth, [ids])[0].double().numpy()
    return states


@torch.no_grad()
def _logits(saved: Saved, ids: list[int]) -> torch.Tensor:
    """Return the logits of one row by the model apart, (t, vocabulary) float32."""
    logits: torch.Tensor = saved.truth(input_ids=torch.tensor([ids])).logits[0].float()
    return logits


def _greedy(saved: Saved, lm: Any, prompt: list[int], limit: int) -> list[int]:
    """Return the likeliest continuation, everything read again for each token."""
    new: list[int] = []
    while len(new) < limit:
        new.append(int(_logits(saved, [*prompt, *new])[-1].argmax()))
        if new[-1] == lm.eot_token_id:
            return new[:-1]
    return new


def _same(found: np.ndarray, truth: np.ndarray) -> None:
    apart = float(np.linalg.norm(found.astype(np.float64) - truth) / np.linalg.norm(truth))
    if not apart <= WITHIN:
        raise WrongError(f"a vector is {apart:.1g} of its length away")


def _likeliest(saved: Saved, row: list[int], new: list[int]) -> None:
    """Raise where a token was written that is not the likeliest, but for rounding."""
    for logits, token in zip(_logits(saved, row)[len(row) - len(new) - 1 : -1], new, strict=True):
        if float(logits.max() - logits[token]) > WITHIN * float(logits.abs().max()):
            raise WrongError("a token was written that is not the likeliest")


if __name__ == "__main__":
    sys.exit(main())
