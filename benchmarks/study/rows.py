"""What the study trains, how each candidate is read, and which differences are asked for before anything is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SHORT = {"max_new_tokens": 16, "temperature": 0.0}
LONG = SHORT | {"max_new_tokens": 48}
BASE, BASE_THINKING = "base", "base+rationale"
SEEDS = (0, 1, 2)
READER = "infonce-pool"
"""Whose vectors are taken where only the rationales shall differ, and who teaches the students."""
SCALES = (0.8, 0.6, 0.4)
SCALED_ROW, HALVED_ROW = "infonce-pool-retain-scaled", "infonce-pool-retain-halved"
KEPT_SCALE = 0.7
"""The largest of 1, .9, .8, ... .4 at which InfoNCE over a pool + KL forgets no more than InfoNCE + KL does, in nats a
token on answers of GSM8K's training split, seed 0."""
LESS_SCALE = 0.5
"""The largest of them at which it is shown there to forget less, by more than the retention verdict's margin: the
difference's interval ends below -0.01 nats."""
Reading = Literal["text", "suffix", "fixed", "own", "base"]
"""What stands in the vector: the text; the text and the fixed sentence that it was trained with behind each; the same
in the layout of rationales; text and own rationale (adapter on while it writes); text and the base's."""
SENTENCE = " What this text says is said here once more, in other words and for another reader."
"""The fixed one; as `suffix` in grace/configs/study/infonce-suffix.yaml and infonce-suffix-retain.yaml, and without its
first space, behind a chat template's header, as `rationale.fixed` in infonce-fixed.yaml and
infonce-fixed-retain.yaml."""
OF_TEXT = ("text", "suffix")
"""Readings of the text outside the layout of rationales."""
ONE_PASS = (*OF_TEXT, "fixed")
"""Readings in which nothing is written; they stand under both rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to train."""

    name: str
    config: str
    """Of grace/configs, without suffix."""
    readings: tuple[Reading, ...]
    """The first is the row's own."""
    of_all_seeds: int = 1
    """So many of the readings, from the first, are those of every seed; the others of seed 0 alone."""
    options: tuple[str, ...] = ()
    budgets: int = 1
    """Of the backbone's processor time."""
    seeds: tuple[int, ...] = SEEDS
    is_taught: bool = False
    """Learns the vectors of `READER` of the same seed, reading text and the base's rationale."""
    reads_sentences: bool = False
    """Trained on single sentences, else on triplets."""
    is_core: bool = False
    """Its further seeds come before those of the others."""
    of: str | None = None
    """The row whose runs it reads; None: its own."""
    scale: float = 1.0
    """By which the adapter of those is multiplied."""
    variant_of: str | None = None
    """The row that it is another setting of: development data say which of the two is shown."""


ROWS = (
    Row(name="infonce-pool", is_core=True, config="study/infonce-pool", readings=("base", "own")),
    Row(name="infonce", is_core=True, config="trial/infonce", readings=("text", "base"), of_all_seeds=2),
    Row(name="infonce-retain", is_core=True, config="trial/infonce-retain", readings=("text", "base")),
    Row(name="infonce-pool-retain", is_core=True, config="study/infonce-pool-retain", readings=("own", "base")),
    Row(
        name="infonce-pool-retain-1",
        config="study/infonce-pool-retain",
        options=("retain_weight=1",),
        readings=("own", "base"),
        variant_of="infonce-pool-retain",
        seeds=(0,),
    ),
    Row(
        name=SCALED_ROW,
        config="study/infonce-pool-retain",
        of="infonce-pool-retain",
        scale=KEPT_SCALE,
        readings=("own",),
    ),
    Row(
        name=HALVED_ROW,
        config="study/infonce-pool-retain",
        of="infonce-pool-retain",
        scale=LESS_SCALE,
        readings=("own",),
    ),
    Row(name="infonce-suffix", config="study/infonce-suffix", readings=("suffix",)),
    Row(name="infonce-fixed", config="study/infonce-fixed", readings=("fixed",)),
    Row(name="infonce-fixed-retain", config="study/infonce-fixed-retain", readings=("fixed",)),
    Row(name="infonce-suffix-retain", config="study/infonce-suffix-retain", readings=("suffix",)),
    Row(name="distil", config="study/distil", readings=("text",), is_taught=True),
    Row(name="distil-lora", is_core=True, config="study/distil-lora", readings=("text",), is_taught=True),
    Row(name="soft-tokens", config="study/soft-tokens", readings=("text",)),
    Row(name="grace-corrected", config="trial/grace-corrected", readings=("own",)),
    Row(name="grace-hybrid-kl", config="study/grace-hybrid-kl", readings=("own",)),
    Row(
        name="grace-hybrid-kl-.5",
        config="study/grace-hybrid-kl",
        options=("grace.beta=0.5",),
        readings=("own",),
        variant_of="grace-hybrid-kl",
        seeds=(0,),
    ),
    Row(name="infonce-self-retain", config="study/infonce-self-retain", readings=("own",)),
    Row(name="grace-paper-published", config="trial/grace-paper-published", readings=("own",), seeds=(0,)),
    Row(name="grace-hybrid", config="trial/grace-hybrid", readings=("own",), seeds=(0,)),
    Row(name="best-of-n", config="study/best-of-n", readings=("own",), seeds=(0,)),
    Row(name="random-of-n", config="study/random-of-n", readings=("own",), seeds=(0,)),
    Row(
        name="infonce-long",
        config="trial/infonce",
        budgets=2,
        readings=("text",),
        seeds=(0,),
    ),
    Row(
        name="grace-unsupervised",
        config="trial/grace-unsupervised",
        readings=("own",),
        reads_sentences=True,
        seeds=(0,),
    ),
    Row(name="simcse", config="trial/simcse", readings=("text",), reads_sentences=True, seeds=(0,)),
)
BY_NAME = {row.name: row for row in ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A difference that is asked for, between two (row, reading)."""

    text: str
    one: tuple[str, Reading]
    other: tuple[str, Reading]
    rule: Literal["merged", "switched"]


def asked(text: str, one: str, other: str, rule: Literal["merged", "switched"]) -> Question:
    """Return a question between two `row:reading`."""
    sides = [tuple(side.split(":")) for side in (one, other)]
    return Question(text=text, one=sides[0], other=sides[1], rule=rule)  # type: ignore[arg-type]


QUESTIONS = (
    asked("Goal 1: thinking + KL above InfoNCE + KL", "infonce-pool-retain:own", "infonce-retain:text", "merged"),
    asked("Goal 1, at a scale that forgets no more", f"{SCALED_ROW}:own", "infonce-retain:text", "merged"),
    asked("Goal 1, at a scale shown to forget less", f"{HALVED_ROW}:own", "infonce-retain:text", "merged"),
    asked("Goal 2: thinking above InfoNCE, adapter off for answering", "infonce-pool:base", "infonce:text", "switched"),
    asked("Is it the training, or the rationale at test time?", "infonce-pool:base", "infonce:base", "switched"),
    asked("Do rationales help InfoNCE on text at test time?", "infonce:base", "infonce:text", "switched"),
    asked("Rationales above a fixed sentence", "infonce-pool:base", "infonce-suffix:suffix", "switched"),
    asked("A fixed sentence above nothing", "infonce-suffix:suffix", "infonce:text", "switched"),
    asked("Rationales above a fixed sentence in their layout", "infonce-pool:base", "infonce-fixed:fixed", "switched"),
    asked("A fixed sentence in the layout above nothing", "infonce-fixed:fixed", "infonce:text", "switched"),
    asked("Rationales above it, layout, + KL", "infonce-pool-retain:own", "infonce-fixed-retain:fixed", "merged"),
    asked("A sentence, layout, above nothing, + KL", "infonce-fixed-retain:fixed", "infonce-retain:text", "merged"),
    asked("Rationales above a sentence, + KL", "infonce-pool-retain:own", "infonce-suffix-retain:suffix", "merged"),
    asked("A fixed sentence above nothing, + KL", "infonce-suffix-retain:suffix", "infonce-retain:text", "merged"),
    asked("Students: soft tokens above their control", "distil:text", "soft-tokens:text", "switched"),
    asked("Students: LoRA above InfoNCE on text", "distil-lora:text", "infonce:text", "switched"),
    asked("Students: LoRA above InfoNCE for twice the time", "distil-lora:text", "infonce-long:text", "switched"),
    asked("Own rationales above the base's, + KL", "infonce-self-retain:own", "infonce-pool-retain:own", "merged"),
    asked("GRACE, corrected, above the base", "grace-corrected:own", f"{BASE}:text", "merged"),
    asked("GRACE, corrected, above the base that thinks", "grace-corrected:own", f"{BASE}:own", "merged"),
    asked("GRACE, corrected, above InfoNCE", "grace-corrected:own", "infonce:text", "merged"),
    asked("GRACE, corrected, above InfoNCE + KL", "grace-corrected:own", "infonce-retain:text", "merged"),
    asked("GRACE, corrected, above InfoNCE, pool + KL", "grace-corrected:own", "infonce-pool-retain:own", "merged"),
    asked("GRACE, hybrid + KL, above InfoNCE + KL", "grace-hybrid-kl:own", "infonce-retain:text", "merged"),
    asked("GRACE, hybrid + KL, above InfoNCE, pool + KL", "grace-hybrid-kl:own", "infonce-pool-retain:own", "merged"),
    asked("GRACE, hybrid, above InfoNCE over a pool", "grace-hybrid:own", "infonce-pool:own", "merged"),
    asked("GRACE as published above the base", "grace-paper-published:own", f"{BASE}:text", "merged"),
    asked("GRACE, corrected, above it as published", "grace-corrected:own", "grace-paper-published:own", "merged"),
    asked("Best of n above a random one of n", "best-of-n:own", "random-of-n:own", "merged"),
    asked("Best of n above GRACE, corrected", "best-of-n:own", "grace-corrected:own", "merged"),
    asked("GRACE, unsupervised, above the base", "grace-unsupervised:own", f"{BASE}:text", "merged"),
    asked("GRACE, unsupervised, above SimCSE", "grace-unsupervised:own", "simcse:text", "merged"),
)  # fmt: skip


def run_name(row: str, seed: int) -> str:
    """Return what a run's folder is called, and its entries begin with."""
    return f"{row}-seed-{seed}"


def trained(row: str) -> str:
    """Return the row whose runs a row reads: itself, or another at another scale."""
    return BY_NAME[row].of or row


def readings_of(row: Row, seed: int) -> tuple[Reading, ...]:
    """Return how a run is read: by the row's own reading, with seed 0 by the others too."""
    return row.readings if seed == 0 else row.readings[: row.of_all_seeds]


def entry_name(row: str, seed: int, reading: Reading) -> str:
    """Return the suite entry of a run under a reading."""
    if row == BASE:
        return BASE if reading == "text" else BASE_THINKING
    return f"{run_name(row, seed)}-{reading}"


def entry(row: str, seed: int, reading: Reading) -> dict[str, Any]:
    """Return the suite entry's content; readings of the base's rationales stand under the rule `switched`."""
    made: dict[str, Any] = {"name": entry_name(row, seed, reading), "candidate": f"runs/{run_name(trained(row), seed)}"}
    made |= {"adapter_scale": BY_NAME[row].scale} if BY_NAME[row].scale != 1 else {}
    if reading in OF_TEXT:
        return made | {"kind": "mean-pool"}  # a suffix is the candidate's own
    made |= {"kind": "rationale"}
    if reading == "fixed":
        return made  # the text is the candidate's own
    made |= {"generation": SHORT}
    return made | ({"writer": "base", "serving": "switched"} if reading == "base" else {})


def base_entries(weights: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the two entries of the base."""
    thinking = {"name": BASE_THINKING, "encoder": "rationale", "generation": SHORT}
    return [{"name": BASE, "encoder": "mean-pool", **weights}, {**thinking, **weights}]


SCALED: tuple[tuple[str, Reading], ...] = (
    ("infonce", "text"),
    ("infonce-retain", "text"),
    ("infonce-pool-retain", "own"),
    ("infonce-pool", "own"),
)


REPEATED: tuple[tuple[str, Reading], ...] = ((READER, "base"), ("infonce", "text"))


def again(row: str, reading: Reading) -> str:
    """Return the entry of seed 0 that differences within one training are taken to."""
    return again_run(entry_name(row, 0, reading))


def again_run(name: str) -> str:
    """Return what a run, or an entry of it, is called where the table has another of the same row and seed."""
    return f"{name}-again"


ABLATED: dict[tuple[str, int, Reading], tuple[str, ...]] = {
    (READER, 0, "base"): ("shuffled-rationale", "fixed-rationale", "rationale-only", "text-only"),
    ("infonce", 0, "base"): ("fixed-rationale", "text-only"),
    **{("grace-corrected", seed, "own"): ("fixed-rationale", "shuffled-rationale") for seed in SEEDS},
}
"""What is read otherwise than it is meant to be, and how."""


SENTENCED: dict[tuple[str, Reading], str | None] = {
    ("infonce", "text"): SENTENCE,
    (READER, "base"): SENTENCE,
    ("infonce-suffix", "suffix"): None,
}
"""Of seed 0, read in one pass with the sentence behind each text, or without; and the reading that it is taken to."""


def sentenced(row: str) -> str:
    """Return the entry of a row of `SENTENCED`."""
    return f"{run_name(row, 0)}-text-{'alone' if row == 'infonce-suffix' else 'sentence'}"


def further(chosen: Mapping[str, str], weights: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries beside the main table, seed 0: adapter scales, other writers, ablations, longer rationales.

    Those named `...-again` are what the table has, once more: where the runs of an earlier report are gone and were
    trained anew for what is asked here, differences are taken to these and the table keeps what was judged first.

    Args:
        chosen: shown row -> its chosen setting.
        weights: of the base.
    """
    made = [entry(row, 0, reading) | {"name": again(row, reading)} for row, reading in REPEATED]
    made += [_scaled(chosen.get(row, row), reading, scale) for row, reading in SCALED for scale in SCALES]
    writers = [(row, 0) for row in ("grace-corrected", "grace-hybrid-kl", "grace-paper-published", "best-of-n")]
    for writer, seed in [*writers, ("grace-corrected", 1), ("grace-corrected", 2)]:
        own = entry(READER, 0, "own") | {"name": f"{READER}-seed-0-reads-{run_name(writer, seed)}"}
        del own["generation"]  # the writer's
        made.append(own | {"writer": entry_name(chosen.get(writer, writer), seed, "own")})
    made += [
        entry(row, 0, "text") | {"name": sentenced(row), "suffix": suffix or ""}
        for (row, _), suffix in SENTENCED.items()
    ]
    made += [_ablated(*of, ablation, weights) for of, ablations in ABLATED.items() for ablation in ablations]
    retained = chosen.get("infonce-pool-retain", "infonce-pool-retain")
    return [*made, _long(READER, "base"), _long(retained, "own")]


def _long(row: str, reading: Reading) -> dict[str, Any]:
    return entry(row, 0, reading) | {"name": f"{entry_name(row, 0, reading)}-48", "generation": LONG}


def _scaled(row: str, reading: Reading, scale: float) -> dict[str, Any]:
    return entry(row, 0, reading) | {"name": f"{entry_name(row, 0, reading)}-x{scale}", "adapter_scale": scale}


def ablated(row: str, seed: int, reading: Reading, ablation: str) -> str:
    """Return the entry of a run under a reading that is taken apart."""
    return f"{entry_name(row, seed, reading)}-{ablation}"


LAYOUTS = (
    (ablated("infonce", 0, "base", "fixed-rationale"), sentenced("infonce")),
    (ablated(READER, 0, "base", "fixed-rationale"), sentenced(READER)),
    (ablated("infonce", 0, "base", "text-only"), entry_name("infonce", 0, "text")),
)
"""Entries that read the same behind a text: in the layout of rationales (instruction, chat template) and outside it."""


def _ablated(row: str, seed: int, reading: Reading, ablation: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry; a candidate's directory does not say an ablation, so that it names weights and adapter."""
    made = {"name": ablated(row, seed, reading, ablation), "encoder": "rationale", "generation": SHORT, **weights}
    made |= {"adapter": f"runs/{run_name(row, seed)}/adapter", "ablation": ablation}
    return made | ({"writer": "base", "serving": "switched"} if reading == "base" else {})
