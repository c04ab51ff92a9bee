"""`grace export`: sentence-transformers gives the harness's vectors, from a directory that stands alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from candidates_support import GraceCommand, candidate_directory, chat_model
from cells_support import make_score, save_tiny_model, tiny_tokenizer
from sentence_transformers import SentenceTransformer
from suites_support import isolate
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer, BloomConfig
from weights_support import rewrite, without

from grace.export import export as module
from harness.candidates.candidate_file import read_candidate_file
from harness.candidates.named import named_candidate
from harness.encoders.loading import load
from harness.results.records import to_json
from harness.sources.places import Sources

TEXTS = ["the cat sat on the mat", "a 🙂 and <|im_end|> inside", "rain", "the moon " * 60]
WRITES = "{generation: {max_new_tokens: 5, temperature: 1.0}, max_text_tokens: 40}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny chat model."""
    return chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def grace(model: Path, tmp_path: Path, monkeypatch, capsys) -> GraceCommand:
    """Return the command, in a working directory of its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    return GraceCommand(monkeypatch, capsys)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return rows at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def harness_vectors(reference: str, prompt: str | None = None) -> np.ndarray:
    """Return what the harness gives for `TEXTS`."""
    return load(named_candidate(reference, Sources()), use_cache=False).encode(TEXTS, prompt=prompt)


def test_plain_candidate_loads_with_sentence_transformers_alone(grace, model: Path, tmp_path: Path) -> None:
    """Adapter merged, no trust asked for, the same ids and vectors; the base and the candidate may be gone."""
    base = tmp_path / "base"
    shutil.copytree(model, base)
    candidate_directory(tmp_path / "run", base, kind="mean-pool", adapter=True, encoder="{max_text_tokens: 20}")
    expected = harness_vectors("run")
    ids = load(named_candidate("run", Sources())).inner.text_ids(TEXTS, 0)
    said = grace("export", "run", "--out", "out")
    assert said.code == 0, said.err
    assert 'SentenceTransformer("out")' in said.out
    shutil.rmtree(base)
    shutil.rmtree(tmp_path / "run")
    assert {path.stat().st_mode & 0o777 for path in Path("out").rglob("*") if path.is_file()} == {0o644}
    loaded = SentenceTransformer("out", device="cpu")
    assert loaded.tokenizer.chat_template  # which sentence-transformers 6 would put every text through
    assert [type(module).__module__.split(".")[0] for module in loaded] == ["sentence_transformers"] * 2
    features = loaded.preprocess(TEXTS)
    kept = [
        row[mask.bool()].tolist() for row, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
    ]
    assert kept == ids
    assert np.abs(loaded.encode(TEXTS) - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(unit(loaded.encode(TEXTS, batch_size=1)) - unit(expected)).max() < 1e-5
    assert loaded.similarity_fn_name == "cosine"


def test_rationale_candidate_loads_where_this_package_is(grace, model: Path, tmp_path: Path) -> None:
    """The line that is printed loads it, the vectors are the harness's, and without trust it is refused."""
    candidate_directory(tmp_path / "run", model, kind="rationale", adapter=True, encoder=WRITES)
    said = grace("export", "run", "--out", "out")
    assert said.code == 0, said.err
    assert 'SentenceTransformer("out", trust_remote_code=True)' in said.out
    loaded = SentenceTransformer("out", device="cpu", trust_remote_code=True)
    assert np.abs(unit(loaded.encode(TEXTS)) - unit(harness_vectors("run"))).max() < 1e-5
    assert np.abs(unit(loaded.encode(TEXTS, prompt="on: ")) - unit(harness_vectors("run", "on: "))).max() < 1e-5
    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer("out", device="cpu")
    loaded.save("again")
    again = SentenceTransformer("again", device="cpu", trust_remote_code=True)
    assert np.array_equal(again.encode(TEXTS), loaded.encode(TEXTS))


def test_what_is_read_behind_a_text_is_exported_with_it(grace, model: Path, tmp_path: Path) -> None:
    """sentence-transformers' own modules put nothing behind a text: this package's module reads it, prompt or not."""
    candidate_directory(tmp_path / "run", model, kind="mean-pool", adapter=True, encoder="{suffix: ' in other words'}")
    said = grace("export", "run", "--out", "out", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["modules"] == "this package"
    loaded = SentenceTransformer("out", device="cpu", trust_remote_code=True)
    assert np.abs(unit(loaded.encode(TEXTS)) - unit(harness_vectors("run"))).max() < 1e-5
    assert np.abs(unit(loaded.encode(TEXTS, prompt="on: ")) - unit(harness_vectors("run", "on: "))).max() < 1e-5
    bare = load(named_candidate("run", Sources(), ["suffix=''"]), use_cache=False).encode(TEXTS)
    assert np.abs(unit(loaded.encode(TEXTS)) - unit(bare)).max() > 1e-3


def test_one_text_in_the_place_of_rationales_is_exported_with_it(grace, model: Path, tmp_path: Path) -> None:
    """The export reads it as the candidate does, and its card names it and nothing of writing."""
    roomy = shutil.copytree(model, tmp_path / "roomy")  # the prompt alone is longer than the other tests' context
    config = json.loads((roomy / "config.json").read_text("utf-8")) | {"max_position_embeddings": 320}
    (roomy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    candidate_directory(tmp_path / "run", roomy, kind="rationale", adapter=True, encoder="{fixed_rationale: ' or so'}")
    said = grace("export", "run", "--out", "out")
    assert said.code == 0, said.err
    loaded = SentenceTransformer("out", device="cpu", trust_remote_code=True)
    assert np.abs(unit(loaded.encode(TEXTS)) - unit(harness_vectors("run"))).max() < 1e-5
    card = Path("out/README.md").read_text("utf-8")
    assert "in the place of every rationale |  or so |" in card
    assert "| generation |" not in card


def test_what_exports_name_is_where_it_was() -> None:
    """The class and the file of settings are written into directories that others have: neither may move."""
    from grace.export import export as module
    from harness.encoders import st_module

    named = st_module.CandidateModule
    assert f"{named.__module__}.{named.__qualname__}" == module.MODULE_CLASS
    assert module.MODULE_CLASS == "harness.encoders.st_module.CandidateModule"
    assert module.SETTINGS_FILE == st_module.SETTINGS_FILE == "harness_module.json"


def test_prompts_and_leading_tokens_take_no_part(grace, tmp_path: Path) -> None:
    """Where a prompt or a beginning-of-text token stands before a text, the export still gives the harness's mean."""
    save_tiny_model(tmp_path / "bos", adds_bos=True)
    candidate_directory(tmp_path / "run", tmp_path / "bos", kind="mean-pool", encoder="{prompts: {query: 'q: '}}")
    said = grace("export", "run", "--out", "out", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["modules"] == "this package"
    loaded = SentenceTransformer("out", device="cpu", trust_remote_code=True)
    assert np.abs(unit(loaded.encode(TEXTS)) - unit(harness_vectors("run"))).max() < 1e-5
    assert np.abs(unit(loaded.encode(TEXTS, prompt_name="query")) - unit(harness_vectors("run", "q: "))).max() < 1e-5


def test_models_whose_configuration_has_other_names_are_exported(grace, tmp_path: Path) -> None:
    """A Bloom has no longest text and another name for its hidden size; the export has the harness's vectors."""
    tokenizer = tiny_tokenizer()
    config = BloomConfig(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    encoder = "{attn_implementation: eager}"
    candidate_directory(tmp_path / "run", tmp_path / "base", kind="mean-pool", encoder=encoder)
    said = grace("export", "run", "--out", "out")
    assert said.code == 0, said.err
    loaded = SentenceTransformer("out", device="cpu", model_kwargs={"attn_implementation": "eager"})
    long = [*TEXTS, "the moon " * 600]
    expected = load(named_candidate("run", Sources()), use_cache=False).encode(long)
    assert np.abs(unit(loaded.encode(long)) - unit(expected)).max() < 1e-5


def test_the_card_says_what_an_empty_text_gives(grace, model: Path, tmp_path: Path) -> None:
    """sentence-transformers' own modules average nothing; this package's read one end-of-text token."""
    candidate_directory(tmp_path / "run", model, kind="mean-pool", encoder="{}")
    assert grace("export", "run", "--out", "out").code == 0
    loaded = SentenceTransformer("out", device="cpu")
    assert not loaded.encode(["rain", ""])[1].any()
    with pytest.raises(RuntimeError):
        loaded.encode([""])
    assert "A text without a token" in Path("out/README.md").read_text(encoding="utf-8")
    candidate_directory(tmp_path / "prompted", model, kind="mean-pool", encoder="{prompts: {query: 'q: '}}")
    assert grace("export", "prompted", "--out", "other").code == 0
    again = SentenceTransformer("other", device="cpu", trust_remote_code=True)
    expected = load(named_candidate("prompted", Sources()), use_cache=False).encode([""])
    assert np.abs(again.encode([""]) - expected).max() < 1e-5
    assert "A text without a token" not in Path("other/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("template", ["</s> $A", "$A <unk>", "<s> $A </s>"])
def test_what_a_tokenizer_puts_around_a_text_takes_no_part(grace, tmp_path: Path, template: str) -> None:
    """Before a text it is read, behind it it is not: the export's mean is the one over the text's own positions."""
    save_tiny_model(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    names = [part for part in template.split() if part != "$A"]
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in names]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=special)
    tokenizer.save_pretrained(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    candidate_directory(tmp_path / "run", tmp_path / "base", kind="mean-pool", encoder="{}")
    said = grace("export", "run", "--out", "out")
    assert said.code == 0, said.err
    loaded = SentenceTransformer("out", device="cpu", trust_remote_code=True)
    front, text = template.split().index("$A"), "the cat sat on the mat"
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[-1][0]
    expected = states[front : ids.shape[1] - len(names) + front].mean(dim=0, keepdim=True).numpy()
    assert np.abs(unit(loaded.encode([text])) - unit(expected)).max() < 1e-5


@pytest.mark.parametrize("kind", ["mean-pool", "rationale"])
def test_harness_runs_an_export_both_ways(grace, model: Path, tmp_path: Path, kind: str) -> None:
    """As `encoder: sentence-transformers` and as a candidate directory the export has the candidate's vectors."""
    candidate_directory(tmp_path / "run", model, kind=kind, encoder=WRITES if kind == "rationale" else "{}")
    assert grace("export", "run", "--out", "out").code == 0
    expected = unit(harness_vectors("run"))
    entry = "{encoder: sentence-transformers, model: out, trust_remote_code: true}"
    for reference in (entry, "out"):
        assert np.abs(unit(harness_vectors(reference)) - expected).max() < 1e-5


def test_seed_of_sampled_rationales_is_exported(grace, model: Path, tmp_path: Path) -> None:
    """Another seed writes other rationales, and the export keeps the one it was made with."""
    candidate_directory(tmp_path / "run", model, kind="rationale", encoder=WRITES)
    assert grace("export", "run", "--out", "out", "--seed", 3).code == 0
    found = SentenceTransformer("out", device="cpu", trust_remote_code=True).encode(TEXTS)
    seeded = load(named_candidate("run", Sources()), seed=3, use_cache=False).encode(TEXTS)
    assert np.abs(unit(found) - unit(seeded)).max() < 1e-5
    assert np.abs(unit(found) - unit(harness_vectors("run"))).max() > 1e-3


def test_card_says_where_it_comes_from_and_what_it_scored(grace, model: Path, tmp_path: Path) -> None:
    """Base, training, selection and prompt are in the card, with the scores of this candidate and no other's."""
    candidate_directory(tmp_path / "run", model, kind="rationale", encoder=WRITES)
    fingerprint = named_candidate("run", Sources()).fingerprint()
    own = make_score(task="STS12", score=61.25, provenance={"fingerprint": fingerprint})
    other = make_score(task="STS13", score=12.5, provenance={"fingerprint": "f" * 64})
    for record in (own, other):
        folder = tmp_path / "results" / record.task
        folder.mkdir(parents=True)
        (folder / f"{record.key}.json").write_text(to_json(record), encoding="utf-8")
    assert grace("export", "run", "--out", "out", "--results", "results").code == 0
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for words in (
        str(model),
        "objective: infonce",
        "STS-B validation",
        "within <think></think> tags",
        "61.25",
        "48.00",
    ):
        assert words in card, words
    assert "STS13" not in card
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")


def test_full_folders_are_left_alone(grace, model: Path, tmp_path: Path) -> None:
    """A folder that is not empty is refused unless forced; a failed export leaves nothing behind."""
    candidate_directory(tmp_path / "run", model, kind="mean-pool")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep", encoding="utf-8")
    said = grace("export", "run", "--out", "out")
    assert said.code == 2
    assert "--force" in said.err
    assert (tmp_path / "out" / "mine.txt").exists()
    assert grace("export", "run", "--out", "out", "--force").code == 0
    assert not (tmp_path / "out" / "mine.txt").exists()


def test_vectors_that_differ_are_not_handed_out(grace, model: Path, tmp_path: Path, monkeypatch) -> None:
    """An export that would give other vectors is thrown away: here one that pools the last token."""
    candidate_directory(tmp_path / "run", model, kind="mean-pool")
    write = module._write_modules

    def wrong(candidate, folder, seed, size):
        found = write(candidate, folder, seed, size)
        path = folder / "1_Pooling" / "config.json"
        path.write_text(path.read_text(encoding="utf-8").replace('"mean"', '"lasttoken"'), encoding="utf-8")
        return found

    monkeypatch.setattr(module, "_write_modules", wrong)
    said = grace("export", "run", "--out", "out")
    assert said.code == 3
    assert "nothing was written" in said.err
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{encoder: tf-idf}", "--out", "out"), 2, "cannot be exported"),
        (("MODEL", "--out", "out", "--format", "sentence-transformer"), 2, "did you mean 'sentence-transformers'"),
        (("MODEL", "--out", "out", "--results", "none"), 2, "no such folder"),
        (("SHUFFLED", "--out", "out"), 2, "depends on the other texts"),
        (("MODEL",), 2, "--out"),
    ],
)
def test_mistakes_end_with_2(grace, model: Path, tmp_path: Path, arguments, code: int, words: str) -> None:
    """Each mistake has one message, before anything loads."""
    entries = {
        "MODEL": "{encoder: mean-pool, model: " + str(model) + "}",
        "SHUFFLED": "{encoder: rationale, ablation: shuffled-rationale, model: " + str(model) + "}",
    }
    said = grace("export", *[entries.get(argument, argument) for argument in arguments])
    assert said.code == code
    assert words in said.err
    assert not (tmp_path / "out").exists()


def test_a_scaled_adapter_is_merged_as_far_as_it_was_scaled(grace, model: Path, tmp_path: Path) -> None:
    """Nothing of the rule or the scale is left to say of one set of weights; another's rationales are not in it."""
    options = "{adapter_scale: 0.5, serving: switched}"
    candidate_directory(tmp_path / "run", model, kind="mean-pool", adapter=True, encoder=options)
    expected = harness_vectors("run")
    assert grace("export", "run", "--out", "out").code == 0
    assert np.abs(load(named_candidate("out", Sources())).encode(TEXTS) - expected).max() < 1e-5
    assert not {"serving", "adapter_scale"} & set(read_candidate_file(tmp_path / "out" / "candidate.yaml").encoder)
    candidate_directory(tmp_path / "reader", model, kind="rationale", adapter=True, encoder="{writer: base}")
    said = grace("export", "reader", "--out", "other")
    assert (said.code, "reads the rationales of 'base', and an export is one set" in said.err) == (2, True)


def test_an_export_says_of_what_scale_it_is_and_what_became_of_the_rule(grace, model: Path, tmp_path: Path) -> None:
    """In the card and in candidate.yaml; an adapter as it was trained, and merged, has nothing to be said of."""
    candidate_directory(tmp_path / "run", model, kind="mean-pool", adapter=True)
    assert grace("export", "run", "--out", "whole").code == 0
    for name, override, row, kept in (
        ("half", ["adapter_scale=0.5"], "merged into the weights at adapter_scale 0.5", {"adapter_scale": 0.5}),
        (
            "both",
            ["adapter_scale=0.5", "serving=switched"],
            "merged into the weights at adapter_scale 0.5, for answers too: `serving: switched` cannot be kept",
            {"adapter_scale": 0.5, "serving": "switched"},
        ),
    ):
        said = grace("export", "run", "--out", name, *(word for one in override for word in ("-o", one)))
        assert said.code == 0, said.err
        assert f"| adapter | {row}" in (tmp_path / name / "README.md").read_text(encoding="utf-8")
        assert read_candidate_file(tmp_path / name / "candidate.yaml").training["merged"] == kept
        assert ("serving: switched" in said.err) == ("serving" in kept)
    assert "| adapter | merged into the weights |\n" in (tmp_path / "whole" / "README.md").read_text(encoding="utf-8")
    assert "merged" not in read_candidate_file(tmp_path / "whole" / "candidate.yaml").training


@pytest.mark.parametrize("when", ["before", "while the model loads"])
def test_soft_tokens_that_are_gone_are_no_fault_of_out(
    grace, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Exit 4, the file named: when the candidate is looked up, and where it goes while the model loads."""
    options = f"{{soft_tokens: {{file: s.safetensors, sha256: {'a' * 64}}}}}"
    soft = candidate_directory(tmp_path / "run", model, kind="mean-pool", encoder=options) / "s.safetensors"
    save = module._save_weights

    def gone(candidate, folder):
        soft.unlink()
        return save(candidate, folder)

    if when != "before":
        soft.write_bytes(b"soft")
        monkeypatch.setattr(module, "_save_weights", gone)
    said = grace("export", "run", "--out", "out")
    assert (said.code, "--out" in said.err) == (4, False), said.err
    assert "soft tokens run/s.safetensors: no such file" in said.err
    assert not (tmp_path / "out").exists()


def test_a_head_that_is_not_there_is_not_made_up(grace, tmp_path: Path) -> None:
    """A base without one: the export's vectors are the candidate's, and it has no answers either."""
    from harness.errors import WeightsDoNotFitError

    base = rewrite(chat_model(tmp_path / "base"), without("lm_head"))
    candidate_directory(tmp_path / "run", base, kind="mean-pool", adapter=True)
    expected = harness_vectors("run")
    assert grace("export", "run", "--out", "out").code == 0
    again = load(named_candidate("out", Sources()))
    assert np.abs(again.encode(TEXTS) - expected).max() < 1e-5
    with pytest.raises(WeightsDoNotFitError, match=r"lm_head\.weight"):
        again.causal_lm()
