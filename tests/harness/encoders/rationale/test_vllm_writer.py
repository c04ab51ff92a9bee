"""The vLLM engine's bookkeeping, with a stand-in for the library: it needs a GPU and is not installed here.

The stand-in keeps vLLM's documented contract (prompts as ids in order, one answer each, an end token kept in
`token_ids`, `finish_reason`), and writes with the real tiny model, so that prompts, ends, seeds and pooling are held
against the transformers engine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import chat_model
from cells_support import located

from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.encoders.rationale import vllm_writer
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.generate import Sampling
from harness.encoders.rationale.template import tokenise
from harness.errors import EnvironmentGapError, ExitCode, HarnessError, InputError
from harness.sources.places import Sources
from harness.suite.model_entries import RationaleSpec

TEXTS = ["a cat sat on the mat", "two men play chess", "rain", ""]


@dataclass
class Params:
    """Keeps what a request was given."""

    given: dict[str, Any] = field(default_factory=dict)

    def __init__(self, **given: Any) -> None:
        self.given = given


class GreedyLLM:
    """Answers greedily with a real model, a prompt at a time."""

    def __init__(self, **options: Any) -> None:
        from transformers import AutoModelForCausalLM

        self.options = options
        self.model = AutoModelForCausalLM.from_pretrained(options["model"])
        self.asked: list[Any] = []

    def generate(self, requests: list[Any], params: list[Params], *, use_tqdm: bool) -> list[Any]:
        self.asked += list(zip(requests, params, strict=True))
        return [self._answer(one["prompt_token_ids"], two.given) for one, two in zip(requests, params, strict=True)]

    def _answer(self, prompt: list[int], given: dict[str, Any]) -> Any:
        assert given["temperature"] == 0
        ids: list[int] = []
        with torch.inference_mode():
            while len(ids) < given["max_tokens"]:
                ids.append(int(self.model(torch.tensor([[*prompt, *ids]])).logits[0, -1].argmax()))
                if ids[-1] in given["stop_token_ids"]:
                    break
        reason = "stop" if ids[-1] in given["stop_token_ids"] else "length"
        return SimpleNamespace(prompt_token_ids=prompt, outputs=[SimpleNamespace(token_ids=ids, finish_reason=reason)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny chat model."""
    return chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where `import vllm` finds it."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=GreedyLLM, SamplingParams=Params))


def spec(folder: Path, engine: str = "vllm", **options: Any) -> RationaleSpec:
    """Return a rationale entry over the tiny model."""
    generation = {"max_new_tokens": 6, "engine": engine} | options.pop("generation", {})
    given = {"name": "r", "encoder": "rationale", "model": str(folder), "device": "cpu", "max_text_tokens": 24}
    return RationaleSpec.model_validate(given | {"generation": generation} | options)


def encoder(folder: Path, engine: str = "vllm", **options: Any) -> RationaleEncoder:
    """Return a rationale encoder over the tiny model."""
    return RationaleEncoder(spec(folder, engine, **options), located(folder), None, fingerprint="f", seed=5, cache=None)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("ablation", ["none", "rationale-only", "text-only", "shuffled-rationale", "fixed-rationale"])
def test_greedy_rationales_and_vectors_are_those_of_transformers(folder: Path, ablation: str) -> None:
    """The same prompt ids, ends and pooling: without sampling the engines cannot differ."""
    ours, theirs = encoder(folder, "transformers"), encoder(folder, "vllm")
    texts = [text for text, one in zip(TEXTS, ours.write(TEXTS, prompt=None), strict=True) if one.about["ids"]]
    assert len(texts) >= 2
    expected = encoder(folder, "transformers", ablation=ablation).encode(texts, role=None, prompt=None)
    found = encoder(folder, "vllm", ablation=ablation).encode(texts, role=None, prompt=None)
    assert [one.about for one in theirs.write(TEXTS, prompt=None)] == [
        one.about for one in ours.write(TEXTS, prompt=None)
    ]
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.usefixtures("stand_in")
def test_each_request_has_its_own_seed_and_the_whole_prompt(folder: Path) -> None:
    """Prompts are prefix, text and suffix as ids; seeds depend on text, seed and rollout, not on neighbours."""
    one = encoder(folder)
    one.write(TEXTS, prompt=None)
    ids = tokenise(one.tokenizer, TEXTS)
    expected = {
        (*one.template.prefix, *own, *one.template.suffix): vllm_writer.request_seed(5, text, 0)
        for text, own in zip(TEXTS, ids, strict=True)
    }
    asked = one._vllm.llm.asked
    assert {tuple(request["prompt_token_ids"]): params.given["seed"] for request, params in asked} == expected
    assert len(set(expected.values())) == len(TEXTS)
    for _, params in asked:
        assert params.given["max_tokens"] == 6
        assert params.given["n"] == 1
        assert params.given["top_p"] == 1.0
        assert params.given["detokenize"] is False
        assert set(params.given["stop_token_ids"]) == one._ends
    seeds = {vllm_writer.request_seed(s, t, r) for s in (0, 1) for t in ("a", "b") for r in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)


def answer(prompt: list[int], ids: list[int], reason: str, count: int = 1) -> Any:
    """Return an answer as vLLM gives it."""
    return SimpleNamespace(
        prompt_token_ids=prompt, outputs=[SimpleNamespace(token_ids=ids, finish_reason=reason)] * count
    )


def write(answers: list[Any], prompts: list[list[int]]) -> list[vllm_writer.Written]:
    """Return what is made of given answers."""
    llm = SimpleNamespace(generate=lambda *_, **__: answers)
    engine = vllm_writer.Engine(llm=llm, sampling_params=Params)
    sampling = Sampling(max_new_tokens=3)
    return vllm_writer.write(engine, prompts, ["t"] * len(prompts), ends=frozenset({2}), sampling=sampling)


def test_ends_are_taken_off_and_cuts_are_known() -> None:
    """With or without its end token an answer that stopped is whole; one at the limit is cut; no token is empty."""
    prompts = [[1], [2], [3], [4]]
    answers = [
        answer([1], [7, 2], "stop"),
        answer([2], [7], "stop"),
        answer([3], [7, 8, 9], "length"),
        answer([4], [2], "stop"),
    ]
    assert write(answers, prompts) == [([7], False), ([7], False), ([7, 8, 9], True), ([], False)]
    assert write([], []) == []


def test_answers_to_other_prompts_are_refused() -> None:
    """An engine that loses, doubles or reorders requests scores nothing."""
    with pytest.raises(HarnessError, match="another order"):
        write([answer([2], [7], "stop"), answer([1], [7], "stop")], [[1], [2]])
    with pytest.raises(HarnessError, match="another order"):
        write([answer([1], [7], "stop")], [[1], [2]])
    with pytest.raises(HarnessError, match="2 answers"):
        write([answer([1], [7], "stop", count=2)], [[1]])


def test_without_the_package_it_is_a_gap_before_any_weight_is_loaded(folder: Path, monkeypatch) -> None:
    """The message names the extra, and the exit code is that of a lacking environment."""
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EnvironmentGapError, match=r"encoder-verdict\[vllm\]") as caught:
        encoder(folder)
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


@pytest.mark.usefixtures("stand_in")
def test_what_vllm_would_change_is_refused(folder: Path) -> None:
    """An adapter, which it would leave out, and a temperature that it would raise."""
    with pytest.raises(InputError, match="grace export"):
        vllm_writer.start(spec(folder), located(folder), located("adapter"))
    with pytest.raises(InputError, match="at least"):
        vllm_writer.start(spec(folder, generation={"temperature": 0.001}), located(folder), None)


def test_engine_is_in_the_key_only_when_it_is_not_the_usual_one(folder: Path) -> None:
    """Candidates of before there was a choice keep their fingerprint; vllm has one of its own."""
    found = [identify(spec(folder, engine), Sources()) for engine in ("transformers", "vllm")]
    usual, other = (one for one in found if isinstance(one, Candidate))
    assert usual.identity()["options"]["generation"] == {"max_new_tokens": 6, "temperature": 0.0}
    assert other.identity()["options"]["generation"]["engine"] == "vllm"
    assert usual.fingerprint() != other.fingerprint()
