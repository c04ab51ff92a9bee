"""What to load, and the identity that names it everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suites_support import isolate, weights, write

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.candidate_file import read_candidate_file
from harness.candidates.identify import identify
from harness.errors import InputError
from harness.sources.places import Sources
from harness.suite.model_entries import CandidateSpec, Generation, MeanPoolSpec, OtherEncoderSpec, RationaleSpec

MINIMAL = "version: 1\nkind: mean-pool\nbase: {model: weights}\n"
WHOLE = """\
version: 1
kind: rationale
base: {model: weights, revision: abc, sha256: null}
adapter: adapter
encoder:
  dtype: bfloat16
  generation: {max_new_tokens: 32, temperature: 0}
  prompts: {query: "q: "}
selected_on: validation split of STSBenchmark
training: {objective: grace, git: 0123abc, steps: 10}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A working directory with base weights, and caches of its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(tmp_path / "weights")


def directory(text: str = MINIMAL, name: str = "run") -> Path:
    """Write a candidate directory with an adapter."""
    folder = Path(name)
    write(folder / "candidate.yaml", text)
    weights(folder / "adapter", "adapter")
    return folder


def candidate(**changes: Any) -> Candidate:
    """Identify a mean-pool entry over the base weights."""
    spec = MeanPoolSpec(**({"name": "m", "encoder": "mean-pool", "model": "weights"} | changes))
    found = identify(spec, Sources())
    assert isinstance(found, Candidate)
    return found


def of_directory(folder: Path, **changes: Any) -> Candidate | MissingCandidate:
    """Identify a candidate directory."""
    return identify(CandidateSpec(**({"name": "c", "candidate": str(folder)} | changes)), Sources())


def test_a_candidate_directory_says_how_it_is_loaded():
    """Kind, base, adapter, options and what it was selected on come from its candidate.yaml."""
    folder = directory(WHOLE)
    found = of_directory(folder, device="cpu", batch_tokens=128, note="a remark")
    assert found.spec == RationaleSpec(
        name="c",
        note="a remark",
        device="cpu",
        batch_tokens=128,
        encoder="rationale",
        model="weights",
        revision="abc",
        adapter=str(folder / "adapter"),
        dtype="bfloat16",
        generation=Generation(max_new_tokens=32, temperature=0),
        prompts={"query": "q: "},
    )
    assert (found.name, found.kind, found.directory, found.note) == ("c", "rationale", folder, "a remark")
    assert found.weights.load_from == str(Path("weights").resolve())
    assert found.adapter.load_from == str((folder / "adapter").resolve())
    assert found.selected_on == "validation split of STSBenchmark"
    assert found.training == {"objective": "grace", "git": "0123abc", "steps": 10}


def test_a_suite_reads_trained_weights_with_or_without_a_rationale():
    """`kind` and `generation` of the entry win over the directory's; without a rationale its settings are no option."""
    folder = directory(WHOLE)
    plain = identify(CandidateSpec(name="m", candidate=str(folder), kind="mean-pool"), Sources())
    assert isinstance(plain, Candidate)
    assert (plain.kind, plain.adapter is not None) == ("mean-pool", True)
    short = Generation(max_new_tokens=8)
    found = identify(CandidateSpec(name="m", candidate=str(folder), generation=short), Sources())
    assert isinstance(found, Candidate)
    assert isinstance(found.spec, RationaleSpec)
    assert found.spec.generation.max_new_tokens == 8
    other = directory(MINIMAL, "other")
    with_rationale = identify(CandidateSpec(name="m", candidate=str(other), kind="rationale"), Sources())
    assert isinstance(with_rationale, Candidate)
    assert with_rationale.kind == "rationale"
    with pytest.raises(InputError, match="generation"):
        identify(CandidateSpec(name="m", candidate=str(other), generation=short), Sources())


def test_a_suite_says_one_thing_of_how_a_candidate_writes_and_the_rest_stays_the_candidates_own():
    """A key that is not named is no wish for the default: a candidate of 6 tokens is not measured at 64."""
    own = "encoder: {generation: {max_new_tokens: 6, temperature: 1.0, engine: vllm}}\n"
    folder = directory("version: 1\nkind: rationale\nbase: {model: weights}\n" + own)
    for said in ({"max_new_tokens": 32}, {"temperature": 0.5}, {"engine": "transformers"}, {}):
        found = of_directory(folder, generation=said)
        assert found.spec.generation == Generation(**{"max_new_tokens": 6, "temperature": 1.0, "engine": "vllm"} | said)


def test_a_suite_says_one_thing_of_how_a_candidate_answers_and_the_rest_stays_the_candidates_own():
    """Ability tasks, their settings and their generation arguments merge key by key; lists are replaced."""
    own = "gsm8k: {num_fewshot: 2, until: [a, b], generation: {do_sample: true, temperature: 0.6}}"
    folder = directory(MINIMAL + f"encoder: {{ability: {{{own}, mmlu: {{num_fewshot: 3}}}}}}\n")
    said = {"gsm8k": {"chat_template": True, "until": ["c"], "generation": {"temperature": 1}}}
    ability = of_directory(folder, ability=said).spec.ability
    assert {name: one.model_dump(exclude_unset=True) for name, one in ability.items()} == {
        "gsm8k": {
            "num_fewshot": 2,
            "until": ["c"],
            "generation": {"do_sample": True, "temperature": 1},
            "chat_template": True,
        },
        "mmlu": {"num_fewshot": 3},
    }


def test_what_is_malformed_in_a_directory_is_named_though_a_suite_says_more_of_it():
    """The suite's keys do not stand in for a mapping that is none."""
    folder = directory("version: 1\nkind: rationale\nbase: {model: weights}\nencoder: {generation: 6}\n")
    with pytest.raises(InputError, match=r"candidate\.yaml:4:23: encoder\.generation"):
        of_directory(folder, generation={"temperature": 1})


def test_full_weights_in_the_directory_replace_the_base():
    """Then the base's revision no longer applies."""
    folder = directory("version: 1\nkind: mean-pool\nbase: {model: some/base, revision: abc}\nweights: merged\n")
    weights(folder / "merged", "merged")
    found = of_directory(folder)
    assert (found.spec.model, found.spec.revision) == (str(folder / "merged"), None)
    assert found.weights.load_from == str((folder / "merged").resolve())


def test_a_trained_candidate_equals_the_same_model_written_out_in_a_suite():
    """The directory is a way of saying it, and no part of the identity."""
    folder = directory(MINIMAL + "adapter: adapter\nencoder: {max_text_tokens: 64}\n")
    by_hand = candidate(adapter=str(folder / "adapter"), max_text_tokens=64)
    assert of_directory(folder).fingerprint() == by_hand.fingerprint()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "version: 2\nkind: men-pool\nbase: {modl: x}\nextra: 1\nselected_on: [a]\n",
            [
                "1:10: version: ",
                "2:7: kind: ",
                "3:7: base.model: ",
                "3:8: base.modl: ",
                "4:1: extra: ",
                "5:14: selected_on: ",
            ],
        ),
        ("kind: mean-pool\n", ["1:1: version: ", "1:1: base: "]),
        (MINIMAL + "selected_on: 2024-05-06\n", ["4:14: YAML reads 2024-05-06 as a date; quote it: '2024-05-06'"]),
        (
            MINIMAL + "selected_on: no\n",
            ["4:14: selected_on: Input should be a valid string, which YAML reads as"],
        ),
        ("version: 1\nversion: 1\n", ["2:1: key 'version' is given twice"]),
        ("", ["1:1: the file is empty"]),
    ],
)
def test_a_broken_candidate_file_names_all_its_problems_with_their_positions(text, problems):
    """As a broken suite does."""
    folder = directory(text)
    with pytest.raises(InputError) as caught:
        read_candidate_file(folder / "candidate.yaml")
    found = sorted(caught.value.problems)
    assert len(found) == len(problems)
    for line, wanted in zip(found, [f"run/candidate.yaml:{one}" for one in sorted(problems)], strict=True):
        assert line.startswith(wanted)


def test_options_that_the_kind_does_not_have_are_named():
    """encoder: is checked against the kind's own options, all at once."""
    folder = directory(MINIMAL + "encoder: {dtpe: float32, max_text_tokens: 0}\n")
    with pytest.raises(InputError) as caught:
        of_directory(folder)
    assert [line.split(": ")[:2] for line in sorted(caught.value.problems)] == [
        ["run/candidate.yaml:4:11", "encoder.dtpe"],
        ["run/candidate.yaml:4:43", "encoder.max_text_tokens"],
    ]


@pytest.mark.parametrize(
    ("made", "why"), [(False, "there is no such directory yet"), (True, "it holds no candidate.yaml")]
)
def test_an_untrained_candidate_is_missing_and_says_what_trains_it(made, why):
    """It may yet have a language model, so its cells are missing, not n/a."""
    if made:
        Path("runs/x").mkdir(parents=True)
    found = of_directory(Path("runs/x"), config="x.yaml", note="soon")
    assert isinstance(found, MissingCandidate)
    assert (found.untrained, found.has_language_model, found.note) == (True, True, "soon")
    assert [(gap.why, gap.command) for gap in found.gaps] == [(why, "grace train x.yaml --out runs/x")]


def test_every_missing_part_is_a_gap():
    """Weights and adapter at once."""
    found = identify(
        MeanPoolSpec(name="m", encoder="mean-pool", model="gone/model", adapter="gone/adapter"), Sources(offline=True)
    )
    assert [gap.what for gap in found.gaps] == ["model gone/model", "model gone/adapter"]
    assert found.untrained is False


@pytest.mark.parametrize(("kind", "has"), [("mean-pool", True), ("rationale", True), ("sentence-transformers", False)])
def test_only_causal_models_have_a_language_model(kind, has):
    """The ability axis runs on these."""
    found = of_directory(directory(MINIMAL.replace("mean-pool", kind)))
    assert found.has_language_model is has


def test_an_encoder_of_another_package_is_keyed_by_its_options():
    """And by what provides it."""
    one, other = (
        identify(OtherEncoderSpec(name="x", encoder="theirs", options={"size": size}), Sources()) for size in (1, 2)
    )
    assert one.identity() == {"kind": "theirs", "options": {"size": 1}, "provided_by": "unknown"}
    assert one.fingerprint() != other.fingerprint()


CHANGES: dict[str, dict[str, Any]] = {
    "prompts": {"prompts": {"STS": "a "}},
    "instruction": {"instruction": "I: {instruction}"},
    "dtype": {"dtype": "bfloat16"},
    "similarity": {"similarity": "dot"},
    "max_text_tokens": {"max_text_tokens": 8},
    "adapter": {"adapter": "run/adapter"},
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_the_fingerprint_changes_with_what_changes_vectors(name):
    """Prompts too, which cells take into their keys one by one."""
    directory()
    assert candidate(**CHANGES[name]).fingerprint() != candidate().fingerprint()


@pytest.mark.parametrize("change", [{"name": "n"}, {"note": "n"}, {"device": "cpu"}, {"batch_tokens": 9}], ids=str)
def test_the_fingerprint_does_not_change_with_name_or_device(change):
    """It names the content."""
    assert candidate(**change).fingerprint() == candidate().fingerprint()


def test_the_fingerprint_changes_with_the_adapters_bytes():
    """One byte of them, and back again."""
    folder = directory()
    file = folder / "adapter" / "model.safetensors"
    before = candidate(adapter=str(folder / "adapter")).fingerprint()
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert candidate(adapter=str(folder / "adapter")).fingerprint() != before
    file.write_bytes(content)
    assert candidate(adapter=str(folder / "adapter")).fingerprint() == before


def test_prompts_are_no_part_of_the_identity():
    """Each cell's key has the prompts of its task alone; json shows that nothing else slipped in."""
    identity = candidate(prompts={"STS": "secret "}, instruction="secret {instruction}").identity()
    assert identity == candidate().identity()
    assert "secret" not in json.dumps(identity)


def test_a_candidate_whose_revision_is_unknown_has_no_identity():
    """An unpinned repository, while the network may be asked."""
    found = candidate(model="some/model")
    assert (found.identity(), found.fingerprint()) == (None, None)


SOFT = (
    "version: 1\nkind: mean-pool\nbase: {model: weights}\nencoder: {soft_tokens: {file: s.safetensors, sha256: SHA}}\n"
)


@pytest.mark.parametrize("is_cut", [False, True], ids=["absent", "cut short"])
def test_soft_tokens_that_are_not_there_whole_are_a_gap(is_cut: bool):
    """As of weights and adapters, before anything loads: a plan does not call such a candidate ready."""
    folder = directory(SOFT.replace("SHA", "a" * 64))
    if is_cut:
        header = b'{"soft_tokens": {"dtype": "F32", "shape": [9, 4], "data_offsets": [0, 144]}}'
        (folder / "s.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"cut")
    found = of_directory(folder)
    assert isinstance(found, MissingCandidate)
    (gap,) = found.gaps
    assert gap.what == f"soft tokens {folder / 's.safetensors'}"
    assert "its header says" in gap.why if is_cut else gap.why == "no such file"
    assert "get its whole directory" in gap.command


def test_the_scale_of_an_adapter_is_in_the_identity_where_it_is_not_one():
    weights(Path("lora"), "lora")
    whole, half = candidate(adapter="lora"), candidate(adapter="lora", adapter_scale=0.5)
    assert candidate(adapter="lora", adapter_scale=1).identity() == whole.identity()
    assert "adapter_scale" not in json.dumps(whole.identity())
    assert half.identity() == whole.identity() | {"adapter_scale": 0.5}
    assert half.language_model_identity() == whole.language_model_identity() | {"adapter_scale": 0.5}


def test_a_suite_scales_the_adapter_of_a_candidate():
    found = of_directory(directory(WHOLE), adapter_scale=0.5)
    assert found.spec.adapter_scale == 0.5
    assert of_directory(Path("run"), kind="mean-pool", adapter_scale=0.5).spec.adapter_scale == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nkind: mean-pool\nbase: {model: weights}\nweights: adapter\n", "there is no adapter"),
        ("version: 1\nkind: sentence-transformers\nbase: {model: weights}\n", "sentence-transformers has no such"),
    ],
    ids=["full weights", "another kind"],
)
def test_a_candidate_without_an_adapter_is_not_scaled(text, said):
    with pytest.raises(InputError, match=f"model 'c': adapter_scale: {said}"):
        of_directory(directory(text), adapter_scale=0.5)


def test_an_adapter_that_is_no_sum_is_refused_before_it_loads():
    weights(Path("lora"), "lora")
    write(Path("lora/adapter_config.json"), '{"peft_type": "LORA", "use_dora": true}')
    with pytest.raises(InputError, match="cannot be scaled: DoRA"):
        candidate(adapter="lora", adapter_scale=0.5)
