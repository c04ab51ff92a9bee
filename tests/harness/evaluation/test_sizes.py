"""`harness run` over every size of a vector: one encode, and the scores of mteb with sentence-transformers' output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells_support import save_tiny_sentence_transformer
from local_hub import write_hub

from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan import planner
from harness.plan.parts import share_of
from harness.plan.planner import make_plan
from harness.results.outcome import RunOutcome
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite
from harness.suite.size import BITS_VERSION

TASKS = ("BIOSSES", "TwitterSemEval2015", "Banking77Classification", "TwentyNewsgroupsClustering")
RANKED = "SciFact"
SIZES = ("mini", "mini@8", "mini@8-int8", "mini@8-binary")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub and a tiny model; what `datasets` derives stays out of the user's cache."""
    import datasets

    folder = tmp_path_factory.mktemp("sizes")
    write_hub(folder / "hub")
    save_tiny_sentence_transformer(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "derived")
        yield folder


def suite_of(place: Path, *tasks: str, max_texts: int | None = None, **more: Any) -> Suite:
    """Return a suite of the one model in every size."""
    entry = {"name": "mini", "encoder": "sentence-transformers", "model": str(place / "model" / "whole"), **more}
    cut = {"dimensions": 8, "precision": ["float32", "int8", "binary"], "device": "cpu"}
    shards = {"shards": {"max_texts": max_texts}} if max_texts else {}
    names = {"embedding": {"names": list(tasks)}}
    return Suite.model_validate({"version": 1, "name": "s", "models": [cut | entry], "tasks": names, **shards})


def run_in(place: Path, results: Path, suite: Suite, **more: Any) -> RunOutcome:
    """Run a suite over the hub."""
    return run(suite, RunOptions(results=results, sources=Sources(hub=place / "hub", offline=True), **more))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts that went through the model, call by call."""
    seen: list[list[str]] = []
    encode = SentenceTransformerEncoder.encode

    def spied(self: Any, texts: Any, **asked: Any) -> Any:
        seen.append(list(texts))
        return encode(self, texts, **asked)

    monkeypatch.setattr(SentenceTransformerEncoder, "encode", spied)
    return seen


@pytest.fixture(scope="module")
def ran(place: Path, tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    """Every size on tasks of four types."""
    found = run_in(place, tmp_path_factory.mktemp("r"), suite_of(place, *TASKS))
    assert found.exit_code == 0
    return found


def scores_of(ran: RunOutcome) -> dict[str, Score]:
    """Return the scores by cell."""
    return {name: one for name, one in ran.results.items() if isinstance(one, Score)}


class Plain:
    """sentence-transformers' output, spoken straight to mteb: the integers as floats, the bits unpacked.

    Integers that stay int8 overflow where mteb takes distances of pairs, and packed bits are no numbers. Bits of pairs
    are written twice: the root of 16 is a whole number, so that mteb's own cosine of them is exact.
    """

    def __init__(self, folder: Path, *, dimension: int | None, precision: str, of_pairs: bool = False) -> None:
        from mteb.models import ModelMeta
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(folder), device="cpu", truncate_dim=dimension)
        self.precision = "ubinary" if precision == "binary" else precision
        self.is_cut = dimension is not None
        self.times = 2 if of_pairs and precision == "binary" else 1
        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "plain/st", "revision": "1"})

    def encode(self, inputs: Any, **_: Any) -> np.ndarray:
        """Encode all texts of a call at once."""
        how = {"precision": self.precision, "normalize_embeddings": self.is_cut}
        found = self.model.encode(list(inputs.dataset["text"]), **how)
        bits = self.precision == "ubinary"
        numbers = np.unpackbits(found, axis=1) * 2.0 - 1.0 if bits else found
        return np.tile(numbers, self.times).astype(np.float32)

    def similarity(self, left: Any, right: Any) -> Any:
        """Cosine."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        """Cosine."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(left, right)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("name", "dimension", "precision"),
    [
        ("mini", None, "float32"),
        ("mini@8", 8, "float32"),
        ("mini@8-int8", 8, "int8"),
        ("mini@8-binary", 8, "binary"),
    ],
)
def test_scores_are_mtebs_with_the_librarys_own_output(ran, place, task, name, dimension, precision):
    """`truncate_dim` and `precision` of `encode`: rank correlation, pairs, a classifier and k-means."""
    import mteb

    found = mteb.get_task(task)
    data = found.metadata.dataset
    moved = data | {"path": str(place / "hub/datasets" / data["path"])}
    found.metadata = found.metadata.model_copy(update={"dataset": moved})
    of_pairs = found.metadata.type in ("STS", "PairClassification")
    model = Plain(place / "model" / "whole", dimension=dimension, precision=precision, of_pairs=of_pairs)
    result = mteb.evaluate(model, found, cache=None, encode_kwargs={"show_progress_bar": False})
    assert scores_of(ran)[f"{name}/{task}"].score == pytest.approx(result[0].get_score() * 100, abs=1e-3)


@pytest.mark.parametrize("task", ["BIOSSES", "TwitterSemEval2015"])
def test_bits_with_equal_hamming_distances_are_equally_alike(place, tmp_path, task):
    """At a size whose root is no power of two, where sums of rounded products differ in the last place."""
    from scipy.spatial.distance import hamming
    from scipy.stats import spearmanr
    from sentence_transformers import SentenceTransformer

    found = run_in(place, tmp_path, suite_of(place, task, dimensions=28, precision="binary"))
    score = scores_of(found)[f"mini@28-binary/{task}"]
    items = Store(tmp_path).items_of(score).to_pydict()
    model = SentenceTransformer(str(place / "model" / "whole"), device="cpu", truncate_dim=28)
    left, right = (
        np.unpackbits(model.encode(items[one], precision="ubinary"), axis=1, count=28) for one in ("text_1", "text_2")
    )
    distances = np.array([round(28 * hamming(*both)) for both in zip(left, right, strict=True)])
    assert len(np.unique(items["cosine"])) == len(np.unique(distances)) > 3
    assert np.allclose(items["cosine"], 1 - distances / 14, rtol=0, atol=1e-12)
    if task == "BIOSSES":
        assert score.score == pytest.approx(100 * spearmanr(-distances, items["gold"]).statistic, abs=1e-9)
    else:
        assert len(np.unique(items["similarity"])) == len(np.unique(distances))


def test_bits_that_are_compared_otherwise_now_have_another_key(place):
    """Where bits are compared pair by pair; documents were ranked exactly before."""
    plan = make_plan(suite_of(place, "BIOSSES", RANKED), Sources(hub=place / "hub", offline=True))
    parts = {str(cell): cell for cell in plan.cells}
    assert BITS_VERSION > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "BITS_VERSION", BITS_VERSION + 1)
        again = make_plan(suite_of(place, "BIOSSES", RANKED), Sources(hub=place / "hub", offline=True))
    moved = [str(cell) for cell in again.cells if cell.key != parts[str(cell)].key]
    assert moved == ["mini@8-binary/BIOSSES"]
    assert {cell.made_as for cell in again.cells} == {cell.made_as for cell in plan.cells}


def test_all_sizes_are_cut_from_one_encode(place, tmp_path, calls):
    """An empty results folder: each call goes through the model once, and each cell has its counts."""
    found = run_in(place, tmp_path, suite_of(place, "BIOSSES", RANKED))
    assert [len(call) for call in calls] == [40, 40, 15, 60]
    scores = scores_of(found)
    assert sorted({one.partition("/")[0] for one in scores}) == sorted(SIZES)
    for task in ("BIOSSES", RANKED):
        tokens = {scores[f"{name}/{task}"].provenance["counts"]["tokens"] for name in SIZES}
        assert len(tokens) == 1
        assert min(tokens) > 0
    assert scores["mini/BIOSSES"].provenance["size"]["calls"] == {"made": 2, "found": 0}
    assert scores["mini@8-int8/BIOSSES"].provenance["size"]["calls"] == {"made": 0, "found": 2}
    before = len(calls)
    run_in(place, tmp_path, suite_of(place, "BIOSSES", RANKED, dimensions=[8, 16]))
    assert len(calls) == before  # a size that comes later finds them too


def test_cells_that_are_cut_into_shards_share_them(place, tmp_path, calls):
    """Shards are of whole vectors, whichever size comes first; scores are those of cells in one piece."""
    suite = suite_of(place, RANKED, max_texts=16)
    found = run_in(place, tmp_path, suite, models=["mini@8-int8"])
    assert scores_of(found)[f"mini@8-int8/{RANKED}"].provenance["shards"]["count"] > 2
    made = len(calls)
    rest = run_in(place, tmp_path, suite)
    assert len(calls) == made
    in_one = run_in(place, tmp_path / "one", suite_of(place, RANKED))
    for name, one in scores_of(in_one).items():
        assert scores_of(rest)[name].score == pytest.approx(one.score, abs=1e-3)


def test_a_precision_ranks_as_search_precision_does(place, tmp_path):
    """Of documents: the same integers, of steps calibrated on them; another key, since the name says another thing."""
    both = run_in(place, tmp_path, suite_of(place, RANKED, dimensions=[], precision="int8"))
    searched = suite_of(place, RANKED, dimensions=[], precision=[], search_precision="int8")
    other = run_in(place, tmp_path / "searched", searched)
    assert scores_of(both)[f"mini@int8/{RANKED}"].score == scores_of(other)[f"mini/{RANKED}"].score
    assert scores_of(both)[f"mini/{RANKED}"].score != scores_of(other)[f"mini/{RANKED}"].score


def test_the_whole_vector_has_the_key_of_the_model_without_sizes(place, tmp_path):
    """And every size a key of its own."""
    plain = run_in(place, tmp_path, suite_of(place, "BIOSSES", dimensions=[], precision=[]))
    sized = run_in(place, tmp_path, suite_of(place, "BIOSSES"))
    keys = {cell.model: cell.key for cell in sized.plan.cells}
    assert keys["mini"] == plain.plan.cells[0].key
    assert len(set(keys.values())) == len(SIZES)
    assert sized.plan.cells[0].encoder == "mini"
    assert {cell.made_as for cell in sized.plan.cells} == {keys["mini"]}


def test_all_sizes_of_a_cell_go_to_one_part_of_a_run(place):
    """Where machines share nothing, each would encode the texts again."""
    plan = make_plan(suite_of(place, *TASKS), Sources(hub=place / "hub", offline=True))
    parts = [share_of(plan, number, 3) for number in (1, 2, 3)]
    for task in TASKS:
        cells = [cell for cell in plan.cells if cell.task.name == task]
        assert len({number for number, part in enumerate(parts) for cell in cells if part(cell, None)}) == 1
