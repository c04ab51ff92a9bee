"""`fixed_rationale`: one text in the place of every rationale, held against the model's own forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import candidate_directory, chat_model, tiny_adapter
from cells_support import SENTENCES
from suites_support import write

from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.candidates.named import named_candidate
from harness.candidates.rule import rules_said
from harness.cost.estimate import writes_of
from harness.encoders.explain.states import token_states
from harness.encoders.loading import load
from harness.encoders.rationale import encoder as encoder_module
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.errors import HarnessError, InputError
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.load import load_suite, model_of

TOLERANCE = 1e-5
CONTEXT = 320
FIXED = " said once more for a reader"
TEXTS = [*SENTENCES, ""]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two families with room for the prompt, and an adapter of the first."""
    folder = tmp_path_factory.mktemp("models")
    for family in ("llama", "qwen2"):
        config = chat_model(folder / family, family) / "config.json"
        write(config, json.dumps(json.loads(config.read_text("utf-8")) | {"max_position_embeddings": CONTEXT}))
    tiny_adapter(folder / "llama", folder / "adapter")
    return folder


def candidate_of(place: Path, family: str = "llama", **options: Any) -> Candidate:
    """Return a rationale entry's candidate."""
    entry = {"name": "m", "encoder": "rationale", "model": str(place / family), "device": "cpu"}
    found = identify(model_of(entry | options), Sources())
    assert isinstance(found, Candidate)
    return found


def encoder_of(place: Path, family: str = "llama", *, use_cache: bool = False, **options: Any) -> RationaleEncoder:
    """Load a tiny model as the encoder."""
    inner = load(candidate_of(place, family, **options), use_cache=use_cache).inner
    assert isinstance(inner, RationaleEncoder)
    return inner


def ids_of(encoder: RationaleEncoder, text: str) -> list[int]:
    """Return the ids of a text alone."""
    return list(encoder.tokenizer(text, add_special_tokens=False)["input_ids"])


def by_hand(encoder: RationaleEncoder, own: list[int], fixed: list[int], *, skip: int = 0) -> np.ndarray:
    """Return the mean over text, header and fixed text of one unpadded pass of transformers' own model."""
    template = encoder.template
    row = [*template.prefix, *own, *template.suffix, *fixed]
    with torch.no_grad():
        states = encoder.model.base_model(input_ids=torch.tensor([row])).last_hidden_state[0]
    mean: np.ndarray = states[len(template.prefix) + skip :].double().mean(dim=0).numpy()
    return mean


@pytest.mark.parametrize("prompt", [None, "query: "])
@pytest.mark.parametrize(
    ("family", "options"),
    [("llama", {}), ("qwen2", {}), ("llama", {"forward": "plain"}), ("llama", {"adapter": "adapter"})],
)
def test_vectors_are_those_of_the_models_own_pass(
    place: Path, family: str, options: dict[str, Any], prompt: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean runs over text, header and fixed text; nothing is written."""
    given = options | ({"adapter": str(place / "adapter")} if "adapter" in options else {})
    encoder = encoder_of(place, family, fixed_rationale=FIXED, **given)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(encoder_module, "generate", refused)
    found = encoder.encode(TEXTS, role=None, prompt=prompt)
    fixed = ids_of(encoder, FIXED)
    expected = np.stack([by_hand(encoder, ids_of(encoder, f"{prompt or ''}{one}"), fixed) for one in TEXTS])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert encoder.describe()["writer"] == {"name": "nobody", "fixed_rationale": FIXED}
    assert "generation" not in encoder.describe()
    details = encoder.take_details()
    assert (details["rationales"], details["tokens_generated"]) == (len(TEXTS), 0)


def test_ablations_take_the_fixed_text_apart(place: Path) -> None:
    """Text alone in the same layout, and the fixed text alone behind it; those of what is written are refused."""
    alone = encoder_of(place, fixed_rationale=FIXED, ablation="text-only")
    fixed = ids_of(alone, FIXED)
    found = alone.encode(TEXTS[:2], role=None, prompt=None)
    np.testing.assert_allclose(found, [by_hand(alone, ids_of(alone, one), []) for one in TEXTS[:2]], atol=TOLERANCE)
    rest = encoder_of(place, fixed_rationale=FIXED, ablation="rationale-only")
    found = rest.encode(TEXTS[:2], role=None, prompt=None)
    own = [ids_of(rest, one) for one in TEXTS[:2]]
    expected = [by_hand(rest, one, fixed, skip=len(one) + len(rest.template.suffix)) for one in own]
    np.testing.assert_allclose(found, expected, atol=10 * TOLERANCE)
    for ablation in ("shuffled-rationale", "fixed-rationale"):
        with pytest.raises(InputError, match=r"one text for all; valid.*: none, text-only, rationale-only"):
            candidate_of(place, fixed_rationale=FIXED, ablation=ablation)


def test_special_tokens_in_it_are_tokens_and_an_empty_one_is_none(place: Path) -> None:
    """What whoever writes a suite says is meant: `</think>` of a model that has it."""
    encoder = encoder_of(place, fixed_rationale="<|im_end|>")
    close = encoder.tokenizer.convert_tokens_to_ids("<|im_end|>")
    (entry,) = encoder.write(["a cat"], prompt=None)
    assert entry.about["ids"] == [close]
    assert encoder_of(place, fixed_rationale="").pool is None


def test_a_text_gives_way_to_it(place: Path) -> None:
    """The fixed text is read whole behind a text that is too long, which is cut and counted."""
    encoder = encoder_of(place, fixed_rationale=FIXED, max_text_tokens=10**6)
    long = " ".join(SENTENCES * 40)
    own, fixed = ids_of(encoder, long), ids_of(encoder, FIXED)
    around = len(encoder.template.prefix) + len(encoder.template.suffix) + len(fixed)
    room = CONTEXT - around
    assert len(own) > room
    (entry,) = encoder.write([long], prompt=None)
    assert entry.about == {"ids": fixed, "cut": False}
    np.testing.assert_allclose(entry.vector, by_hand(encoder, own[:room], fixed), atol=TOLERANCE)
    assert (encoder.counters.truncated_texts, encoder.counters.cut_tokens) == (1, len(own) - room)
    with pytest.raises(HarnessError, match="no room for text"):
        encoder_of(place, fixed_rationale=FIXED * 20, max_text_tokens=16)


def test_the_key_changes_with_it_and_stays_without(place: Path) -> None:
    """Entries that say nothing keep their keys, and answers do not hang on it; how one writes is no part of it."""
    plain, empty, other = (
        candidate_of(place, **one) for one in ({}, {"fixed_rationale": ""}, {"fixed_rationale": "x"})
    )
    known = plain.identity()
    assert known is not None
    assert "fixed_rationale" not in known | known["options"]
    assert empty.identity() == known
    options = {name: one for name, one in known["options"].items() if name != "generation"}
    assert other.identity() == known | {"fixed_rationale": "x", "options": options}
    assert other.language_model_identity() == plain.language_model_identity()
    assert not other.draws_random_numbers
    assert list(rules_said(other)) == [
        "in the place of every rationale 'x' is read; nothing is written; answers are given without it"
    ]


def test_vectors_are_kept_under_the_text(place: Path) -> None:
    """A second encoder finds them in the cache; one with another text does not."""
    first = encoder_of(place, fixed_rationale=FIXED, use_cache=True)
    found = first.encode(TEXTS, role=None, prompt=None)
    again = encoder_of(place, fixed_rationale=FIXED, use_cache=True)
    np.testing.assert_array_equal(again.encode(TEXTS, role=None, prompt=None), found)
    assert again.take_details()["from_cache"] == len(TEXTS)
    other = encoder_of(place, fixed_rationale=" other words", use_cache=True)
    other.encode(TEXTS, role=None, prompt=None)
    assert other.take_details()["from_cache"] == 0


def test_an_explanation_has_it_as_the_rationale(place: Path) -> None:
    """Text, header and fixed text make the vector."""
    encoder = encoder_of(place, fixed_rationale=FIXED)
    (found,) = token_states(encoder, SENTENCES[:1])
    own, fixed = ids_of(encoder, SENTENCES[0]), ids_of(encoder, FIXED)
    assert found.ids == (*own, *encoder.template.suffix, *fixed)
    assert found.parts[-len(fixed) :] == ("rationale",) * len(fixed)
    np.testing.assert_allclose(found.vector, by_hand(encoder, own, fixed), atol=TOLERANCE)


REFUSED = """\
version: 1
name: s
models:
  - {{name: fixed, encoder: rationale, model: {model}, fixed_rationale: " or so"{said}}}
  - {{name: other, encoder: rationale, model: {model}{other}}}
tasks: {{embedding: {{names: [STS12]}}}}
"""


@pytest.mark.parametrize(
    ("said", "other", "fault"),
    [
        (
            ", generation: {max_new_tokens: 4}",
            "",
            r"s\.yaml:4:\d+: generation: nothing is written where `fixed_rationale`",
        ),
        (", writer: other", "", r"s\.yaml:4:\d+: writer: nothing is written where `fixed_rationale`"),
        (", seeds: 2", "", "seeds: temperature 0 decodes greedily"),
        (", ablation: shuffled-rationale", "", "one text for all; valid: none, text-only, rationale-only"),
        ("", ", writer: fixed", r"'fixed' writes no rationales \(fixed_rationale: one text for all\)"),
    ],
)
def test_what_says_how_it_is_written_is_refused_at_its_place(
    place: Path, tmp_path: Path, said: str, other: str, fault: str
) -> None:
    """Before anything loads, with file, line and the way out."""
    path = tmp_path / "s.yaml"
    write(path, REFUSED.format(model=place / "llama", said=said, other=other))
    with pytest.raises(InputError, match=fault):
        load_suite(path)


def test_every_fault_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    """Of entries of models and of candidates, before anything is looked for."""
    path = tmp_path / "s.yaml"
    write(
        path,
        """\
version: 1
name: s
models:
  - {name: a, encoder: rationale, model: x, fixed_rationale: y, generation: {temperature: 1}, ablation: fixed-rationale}
  - {name: b, candidate: runs/x, fixed_rationale: y, writer: base, generation: {temperature: 1}}
  - {name: c, candidate: runs/x, fixed_rationale: y, kind: mean-pool}
tasks: {embedding: {names: [STS12]}}
""",
    )
    with pytest.raises(InputError) as caught:
        load_suite(path)
    said = [one.removeprefix(f"{path}:").split(":") for one in caught.value.problems]
    assert [(line, key.strip()) for line, _, key, *_ in said] == [
        ("4", "generation"),
        ("4", "ablation"),
        ("5", "writer"),
        ("5", "generation"),
        ("6", "fixed_rationale"),
    ]


def test_a_plan_counts_no_tokens_to_write(place: Path, tmp_path: Path) -> None:
    """Nothing is written, so none are promised."""
    path = tmp_path / "s.yaml"
    write(path, REFUSED.format(model=place / "llama", said="", other=", generation: {max_new_tokens: 4}"))
    plan = make_plan(load_suite(path).suite, Sources(offline=True))
    assert writes_of(plan) == {"fixed": 0, "other": 4}


def test_a_candidate_says_its_own_and_an_entry_another(place: Path, tmp_path: Path) -> None:
    """An entry's own stands in its place, or in that of what is written; an empty one for none."""
    base = place / "llama"
    own = candidate_directory(tmp_path / "own", base, kind="rationale", encoder="{fixed_rationale: ' as said'}")
    writing = "{generation: {max_new_tokens: 5}, writer: self}"
    writes = candidate_directory(tmp_path / "writes", base, kind="rationale", adapter=True, encoder=writing)

    def spec(folder: Path, *said: str) -> Any:
        return named_candidate(str(folder), Sources(), list(said)).spec

    assert [spec(own, *one).fixed_rationale for one in ([], ["fixed_rationale=' more'"], ["fixed_rationale=''"])] == [
        " as said",
        " more",
        None,
    ]
    replaced = spec(writes, "fixed_rationale=' more'")
    assert (replaced.fixed_rationale, replaced.writes) == (" more", 0)
    assert (spec(writes).writes, spec(writes, "writer=base").writer) == (5, "base")
    assert spec(own, "fixed_rationale=''", "generation.max_new_tokens=3").writes == 3
    with pytest.raises(
        InputError, match=r"generation: nothing is written where .*\(a candidate's: `fixed_rationale: ''`"
    ):
        spec(own, "generation.max_new_tokens=3")
    with pytest.raises(InputError, match="kind mean-pool would leave its fixed rationale out"):
        spec(own, "kind=mean-pool")
    plain = candidate_directory(tmp_path / "plain", base, kind="mean-pool")
    with pytest.raises(InputError, match="fixed_rationale: mean-pool has no such thing"):
        spec(plain, "fixed_rationale= more")
    with_adapter = named_candidate(str(writes), Sources(), ["fixed_rationale=' more'", "serving=switched"])
    assert with_adapter.answering().identity() == candidate_of(place).identity()
