"""FEVER: unique claims, evidence from pages, labels and baselines; on invented rows and on the real ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ability_support import save_tiny_lm, suite_text
from places import SHARED_HUB
from suites_support import suite_file

from harness.backends.lm_eval import fever
from harness.backends.lm_eval.catalogue import ITEMS, OWN_FOLDERS
from harness.errors import EnvironmentGapError, InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.lm_eval_files import own_task
from harness.plan.planner import make_plan
from harness.provision.wanted import Reads, needs_of
from harness.report.formats import markdown
from harness.report.sections.section import Report
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.shipped import shipped_folder
from harness.summary.build import summarise

TASKS = shipped_folder() / "tasks/fever"
REAL = SHARED_HUB / "datasets/fever/fever"
PAGES = {
    "Mill_-LRB-film-RRB-": "0\tMill is a film of 1961 .\tfilm\n1\tIt was shot in Tarrick -LRB- north -RRB- .\n2\t",
    "Tarrick": "0\tTarrick is a town .\n1\tIts mill burnt down in 1820 .",
    "Orla_Venn": "0\tOrla Venn was a potter .\tpotter\tpottery\n1\tShe died in 1943 .",
    "Senn": "0\tThe Senn is a river ; it is 80 km long .",
    "Grey_Ferry": "0\tThe Grey Ferry is a novel .\n10\tIt was translated .",
}
"""Five pages that we invented, as FEVER writes its own."""


def row(number: int, label: str, claim: str, *evidence: tuple[int, int, str, int]) -> list[dict[str, object]]:
    """Return a claim's rows: one a (annotation, evidence, page, sentence), or one without."""
    return [
        {
            "id": number, "label": label, "claim": claim, "evidence_annotation_id": annotation, "evidence_id": one,
            "evidence_wiki_url": page, "evidence_sentence_id": sentence,
        }
        for annotation, one, page, sentence in evidence or [(9, -1, "", -1)]
    ]  # fmt: skip


ROWS = [
    *row(5, fever.SUPPORTS, "Mill is a film.", (1, 1, "Mill_-LRB-film-RRB-", 0)),
    *row(3, fever.UNKNOWN, "Orla Venn liked tea."),
    *row(
        8, fever.REFUTES, "Mill was shot in a city.",
        (2, 2, "Mill_-LRB-film-RRB-", 1), (2, 2, "Tarrick", 0), (4, 4, "Senn", 0),
    ),
    *row(5, fever.SUPPORTS, "Mill is a film.", (7, 7, "Tarrick", 1)),
    *row(2, fever.REFUTES, "The Senn is a lake.", (3, 3, "Senn", 0)),
    *row(1, fever.SUPPORTS, "Orla Venn made pots.", (6, 6, "Orla_Venn", 0)),
    *row(7, fever.REFUTES, "The Grey Ferry was never translated.", (5, 5, "Grey_Ferry", 10)),
]  # fmt: skip


def rows_of(rows: list[dict[str, object]]) -> datasets.Dataset:
    """Return rows as lm-eval hands them over."""
    return datasets.Dataset.from_list(rows)


def pages_of(pages: dict[str, str]) -> datasets.Dataset:
    """Return pages as the config wiki_pages has them."""
    return rows_of([{"id": title, "text": "", "lines": lines} for title, lines in pages.items()])


def write_fever(hub: Path, *, pages: bool) -> Path:
    """Write the invented rows as a local hub, with or without the pages."""
    folder = hub / "datasets/fever/fever"
    configs = {"v1.0": ("paper_dev", ROWS)}
    if pages:
        configs["wiki_pages"] = ("wikipedia_pages", pages_of(PAGES).to_list())
    lines = ["---", "configs:"]
    for config, (split, rows) in configs.items():
        (folder / config).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / config / f"{split}.parquet")
        lines += [
            f"- config_name: {config}",
            "  data_files:",
            f"  - split: {split}",
            f"    path: {config}/{split}.parquet",
        ]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return hub


# --- claims ---


def test_a_claim_is_one_item_at_the_place_of_its_first_row():
    """Seven rows of evidence and two without are six claims, five of them with a verdict."""
    every = fever.three_way(rows_of(ROWS))
    assert every["id"] == [5, 3, 8, 2, 1, 7]
    assert fever.binary(rows_of(ROWS))["id"] == [5, 8, 2, 1, 7]
    assert every[0] == {"id": 5, "claim": "Mill is a film.", "label": "SUPPORTS"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (row(1, "MAYBE", "x"), "fever: row 0: label 'MAYBE' is none of SUPPORTS, REFUTES, NOT ENOUGH INFO"),
        (row(1, "SUPPORTS", "  "), "fever: row 0: claim '  ' is no text"),
        (row(1, "SUPPORTS", "x") + row(1, "REFUTES", "x"), "fever: row 1: id 1 stands for two claims or labels"),
        (row(1, "NOT ENOUGH INFO", "x"), "fever: no claim is labelled SUPPORTS or REFUTES"),
        ([{"id": 1, "claim": "x"}], "fever: no column 'label'; it has: id, claim"),
    ],
)
def test_broken_rows_are_named(rows, message):
    """With the row, the value and what would be right."""
    with pytest.raises(InputError) as caught:
        fever.binary(rows_of(rows))
    assert caught.value.problems[0].startswith(message)


# --- evidence ---


def test_evidence_is_the_first_set_of_a_claim_with_titles_and_readable_brackets():
    """Two sentences of one set, none of the next; a repeated claim keeps its first."""
    rows = rows_of(ROWS)
    found = fever.joined(fever.claims(rows, (fever.SUPPORTS, fever.REFUTES)), rows, pages_of(PAGES))
    assert [one["evidence"] for one in found] == [
        "Mill (film): Mill is a film of 1961.",
        "Mill (film): It was shot in Tarrick (north). Tarrick: Tarrick is a town.",
        "Senn: The Senn is a river; it is 80 km long.",
        "Orla Venn: Orla Venn was a potter.",
        "Grey Ferry: It was translated.",
    ]


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ((1, 1, "Nowhere", 0), "fever: claim 4: its evidence names page 'Nowhere', which wiki_pages does not have"),
        ((1, 1, "Senn", 1), "fever: claim 4: page 'Senn' has no sentence 1"),
        ((1, 1, "Mill_-LRB-film-RRB-", 2), "fever: claim 4: page 'Mill_-LRB-film-RRB-' has no sentence 2"),
        ((1, 1, "", -1), "fever: claim 4 is labelled and names no evidence (1 such claims)"),
    ],
)
def test_evidence_that_is_not_there_is_named(evidence, message):
    """Claim, page and sentence."""
    rows = rows_of(row(4, fever.SUPPORTS, "x", evidence))
    with pytest.raises(InputError) as caught:
        fever.joined(fever.claims(rows, (fever.SUPPORTS,)), rows, pages_of(PAGES))
    assert caught.value.problems == [message]


# --- the task files ---


def samples_of(name: str) -> list[dict[str, str]]:
    """Return a task file's examples."""
    return own_task(TASKS / f"{name}.yaml")["fewshot_config"]["samples"]


@pytest.mark.parametrize(("name", "labels"), [("fever", 2), ("fever_3way", 3), ("fever_evidence", 2)])
def test_examples_are_balanced(name, labels):
    """As many of each label, also of the first two or three."""
    found = [one["label"] for one in samples_of(name)]
    assert set(Counter(found).values()) == {6 // labels}
    assert len(set(found[:labels])) == labels


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with a tiny model and a hub with pages."""
    folder = tmp_path_factory.mktemp("fever")
    save_tiny_lm(folder / "lm")
    write_fever(folder / "hub", pages=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield folder


@pytest.fixture(scope="module")
def outcome(root):
    """All five tasks, on the invented claims, two examples each."""
    tasks = [{"name": name, "num_fewshot": 2} for name in OWN_FOLDERS]
    path = root / "suite.yaml"
    path.write_text(suite_text(root / "lm", tasks, limit=None), encoding="utf-8")
    options = RunOptions(results=root / "results", sources=Sources(hub=root / "hub", offline=True))
    return run(load_suite(path).suite, options)


def score_of(outcome, root: Path, task: str) -> Score:
    """Return a cell's score."""
    score = outcome.results[f"lm/{task}"]
    assert isinstance(score, Score), score
    return score


@pytest.mark.parametrize(
    ("task", "n", "labels"),
    [
        ("fever", 5, {"True": 2, "False": 3}),
        ("fever_generate", 5, {"True": 2, "False": 3}),
        ("fever_evidence", 5, {"True": 2, "False": 3}),
        ("fever_3way", 6, {"True": 2, "False": 3, "Unknown": 1}),
        ("fever_3way_generate", 6, {"True": 2, "False": 3, "Unknown": 1}),
    ],
)
def test_every_variant_runs_with_chance_majority_and_balance(outcome, root, task, n, labels):
    """Chance is one of so many labels, majority the share of the commonest, for written answers too."""
    score = score_of(outcome, root, task)
    about = score.provenance["ability"]
    assert (score.n, about["labels"]) == (n, labels)
    assert about["chance"] == pytest.approx(100 / len(labels))
    assert about["majority"] == pytest.approx(100 * 3 / n)
    assert about["task_versions"] == {task: 1.0}
    assert about["gold_nll"] > 0


def test_items_carry_target_answer_and_nats(outcome, root):
    """The binary task in full, recomputed: the answer is the likelier label."""
    items = Store(root / "results").items_of(score_of(outcome, root, "fever")).to_pylist()
    assert [one["target"] for one in items] == ["True", "False", "False", "True", "False"]
    for one in items:
        likelier = ["True", "False"][one["choice_logprobs"][1] > one["choice_logprobs"][0]]
        assert one["answers"] == [likelier]
        assert one["score"] == float(likelier == one["target"])
        assert one["gold_nll"] == pytest.approx(-one["choice_logprobs"][one["target"] == "False"])


def test_written_answers_count_by_the_first_label_in_them(outcome, root):
    """Whatever the tiny model writes: no label in it is an extraction that failed, and counted."""
    items = Store(root / "results").items_of(score_of(outcome, root, "fever_generate")).to_pylist()
    assert [one["target"] for one in items] == ["True", "False", "False", "True", "False"]
    for one in items:
        words = [word for word in ("true", "false") if word in one["answers"][0].lower()]
        assert one["extraction_failed,first-label"] is (not words)
    about = score_of(outcome, root, "fever_generate").provenance["ability"]
    assert about["unextractable"]["first-label"] == sum(one["extraction_failed,first-label"] for one in items) / 5


def test_the_report_names_chance_majority_and_balance(outcome, root):
    """Beside the score, and once in words."""
    text = markdown.render(Report(summary=summarise(outcome.plan, outcome.results)))
    assert "chance 50.00, majority 60.00" in text
    assert "fever_3way: True 2, False 3, Unknown 1" in text


def test_without_pages_the_evidence_variant_is_a_gap_and_the_others_run(root, tmp_path):
    """It is listed before anything runs."""
    hub = write_fever(tmp_path / "hub", pages=False)
    path = tmp_path / "suite.yaml"
    path.write_text(suite_text(root / "lm", ["fever", "fever_evidence"]), encoding="utf-8")
    suite = load_suite(path).suite
    states = [cell.state for cell in make_plan(suite, Sources(hub=hub, offline=True)).cells if cell.model == "lm"]
    assert states == ["to run", "missing"]
    with pytest.raises(EnvironmentGapError, match="has no subset 'wiki_pages'"):
        run(suite, RunOptions(results=tmp_path / "results", sources=Sources(hub=hub, offline=True)))


def test_fetch_wants_the_pages_for_the_evidence_variant_alone(tmp_path):
    """5.4 million pages are not for everyone."""

    def wanted(task: str):
        suite = load_suite(suite_file(tmp_path, f"tasks: {{ability: [{task}]}}\n", task)).suite
        (one,) = needs_of(make_plan(suite, Sources())).repositories
        return one.subsets, tuple(read._replace(known=()) for read in one.reads)

    assert wanted("fever") == (("v1.0",), (Reads(("v1.0",), ("paper_dev",)),))
    assert wanted("fever_evidence") == (
        ("v1.0", "wiki_pages"),
        (Reads(("v1.0",), ("paper_dev",)), Reads(("wiki_pages",), ("wikipedia_pages",))),
    )


def test_more_examples_than_there_are_is_a_mistake_with_its_place(tmp_path):
    """Six were written."""
    body = "tasks: {ability: [{name: fever, num_fewshot: 8}]}\n"
    with pytest.raises(InputError, match="task 'fever' has 6 written examples, num_fewshot 8 asks for more"):
        load_suite(suite_file(tmp_path, body))


# --- the real rows ---


@pytest.fixture(scope="module")
def real() -> datasets.Dataset:
    """The hub's paper_dev."""
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    return datasets.Dataset.from_parquet(str(REAL / "v1.0/paper_dev-00000-of-00001.parquet"))


def test_the_real_file_has_3333_claims_a_label(real):
    """The catalogue's counts are those of the data; the first 300 are not balanced, and that is known."""
    every, two = fever.three_way(real), fever.binary(real)
    assert Counter(every["label"]) == dict.fromkeys(fever.LABELS, 3333)
    assert (len(every), len(two)) == (ITEMS["fever_3way"], ITEMS["fever"])
    assert Counter(two["label"][:300]) == {"REFUTES": 162, "SUPPORTS": 138}


def test_no_example_is_a_claim_of_fever(real):
    """They are ours."""
    claims = {claim.lower().strip(" .") for claim in fever.three_way(real)["claim"]}
    for name in ("fever", "fever_3way", "fever_evidence"):
        assert not {one["claim"].lower().strip(" .") for one in samples_of(name)} & claims


def test_every_real_verdict_names_its_evidence(real):
    """So that the variant with evidence lacks nothing but the pages."""
    verdicts = fever.claims(real, (fever.SUPPORTS, fever.REFUTES))
    with pytest.raises(InputError, match="its evidence names page"):
        fever.joined(verdicts, real, pages_of(PAGES))
    assert json.loads(json.dumps(verdicts[0]))["id"] == verdicts[0]["id"]
