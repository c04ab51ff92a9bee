"""Kept bootstrap values: made once, the difference of two is the paired bootstrap, damage is made good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cells_support import make_score
from scipy.stats import spearmanr

from harness.comparison.pair import Differences, difference
from harness.results import resampled
from harness.results.records import Score, SeededScore
from harness.results.resampled import values_of
from harness.results.seeds import mean_over_seeds
from harness.results.store import Store
from harness.results.stored_items import OpenItems
from harness.statistics.resampling import resamples

N = 40


def items(seed: int, parts: tuple[str, ...] = ("whole",)) -> Any:
    """A table of pairs in every part: the same gold scores for all seeds, cosines of the seed's own."""
    tables = []
    for place, part in enumerate(parts):
        gold = np.random.default_rng(place).integers(0, 6, N + place).astype(float)
        cosine = gold + np.random.default_rng([seed, place]).normal(0, 2, N + place)
        same = {
            name: pa.array([value] * len(gold)) for name, value in (("part", part), ("split", "test"), ("subset", "x"))
        }
        same = {name: values.dictionary_encode() for name, values in same.items()}
        tables.append(pa.table({**same, "item": np.arange(len(gold)), "gold": gold, "cosine": cosine}))
    return pa.concat_tables(tables)


def put(store: Store, seed: int, parts: tuple[str, ...] = ("whole",)) -> Score:
    """Store a cell of the seed."""
    return store.put_score(
        make_score(key=f"{seed:020d}", model=f"model-{seed}", score=10.0 * seed), items(seed, parts), "pair"
    )


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty results folder."""
    return Store(tmp_path / "results")


def forbidden(*_: Any, **__: Any) -> Any:
    """Stands where nothing may be drawn."""
    raise AssertionError("drawn again")


def test_a_difference_is_the_paired_bootstrap_of_the_repeated_items(store, monkeypatch):
    """Every sample repeats the items of both models alike; correlations are scipy's."""
    samples = 500
    monkeypatch.setattr(resampled, "BOOTSTRAP_SAMPLES", samples)
    found = difference(store, put(store, 1), put(store, 2))
    (one, other) = (items(seed).to_pandas() for seed in (1, 2))
    differences = []
    for counts in np.asarray(resamples(N, np.random.default_rng(0), samples)):
        rows = np.repeat(np.arange(N), counts.astype(int))
        each = [spearmanr(frame["gold"][rows], frame["cosine"][rows]).statistic for frame in (one, other)]
        differences.append(each[0] - each[1])
    assert found.stderr == pytest.approx(100 * np.std(differences, ddof=1), abs=1e-9)
    least = min((np.array(differences) <= 0).sum(), (np.array(differences) >= 0).sum())
    assert found.p_value == pytest.approx(min(1.0, 2 * (least + 1) / (samples + 1)))
    place = int(0.025 * (samples + 1))
    assert (found.low, found.high) == pytest.approx(tuple(100 * np.sort(differences)[[place - 1, -place]]), abs=1e-9)


def test_the_other_way_round_is_the_mirror_and_nothing_is_drawn_for_it(store, monkeypatch):
    """One file a pair; value, limits, wins and losses are turned, the rest is the same."""
    a, b = put(store, 1), put(store, 2)
    found = difference(store, a, b)
    monkeypatch.setattr(resampled, "values_of_parts", forbidden)
    turned = difference(store, b, a)
    assert (turned.value, turned.low, turned.high) == (-found.value, -found.high, -found.low)
    assert (turned.wins, turned.losses, turned.ties) == (found.losses, found.wins, found.ties)
    assert (turned.stderr, turned.p_value, turned.n, turned.method) == (
        found.stderr, found.p_value, found.n, found.method
    )  # fmt: skip
    assert len(list((store.root / "comparisons").iterdir())) == 1


def test_all_pairs_of_a_task_read_and_draw_each_cell_once(store, monkeypatch):
    """Four cells: four reads, one draw for all; the differences are those of two cells alone."""
    cells = [put(store, seed) for seed in range(4)]
    apart = difference(Store(store.root.parent / "other"), *_copied(store, cells[:2]))
    read, drawn = [], []
    items_of, values_of_parts = store.items_of, resampled.values_of_parts
    monkeypatch.setattr(store, "items_of", lambda *asked: read.append(asked[0].model) or items_of(*asked))
    monkeypatch.setattr(
        resampled,
        "values_of_parts",
        lambda sizes, given, **how: drawn.append(len(given)) or values_of_parts(sizes, given, **how),
    )
    found = Differences(store)
    found.prepare(cells)
    assert (sorted(read), drawn) == ([one.model for one in cells], [4])
    assert found(cells[0], cells[1]) == apart
    assert (len(read), drawn) == (4, [4])
    assert Differences(store)(cells[2], cells[3]) == found(cells[2], cells[3])
    assert len(read) == 4


def _copied(store: Store, cells: list[Score]) -> list[Score]:
    other = Store(store.root.parent / "other")
    return [other.put_score(replace(one, items=None), store.items_of(one), "pair") for one in cells]


def test_parts_pair_by_name_whatever_the_order_they_were_scored_in(store):
    """Two cells that hold their parts in other orders draw the same items of each part."""
    one = put(store, 1, ("a", "b"))
    straight, crossed = put(store, 2, ("a", "b")), items(2, ("a", "b"))
    backwards = pa.concat_tables([crossed.slice(N), crossed.slice(0, N)])
    other = store.put_score(make_score(key="f" * 20, score=20.0), backwards, "pair")
    assert difference(store, one, other) == difference(store, one, straight)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", "cut", "flipped", "of another shape"])
def test_damaged_values_are_made_again(store, damage):
    """Whatever stands in the file, the values are those of the items, and the file is mended."""
    score = put(store, 1)
    (values,) = values_of([score], OpenItems(store))
    (path,) = (store.root / "resampled").iterdir()
    whole = path.read_bytes()
    if damage == "of another shape":
        np.savez(path.with_suffix(""), values=np.zeros((1, 3)), items=np.array("x"))
    else:
        middle = len(whole) // 2
        bent = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes({"cut": whole[:-200], "flipped": bent}.get(damage, damage))
    np.testing.assert_array_equal(values_of([score], OpenItems(store))[0], values)
    assert path.read_bytes() == whole


def test_a_damaged_comparison_is_made_again(store):
    """A kept difference that is no JSON, or of other fields, is computed from the items."""
    a, b = put(store, 1), put(store, 2)
    found = difference(store, a, b)
    (path,) = (store.root / "comparisons").iterdir()
    for damage in ('{"value": 1', '{"value": 1, "of": 2}', ""):
        path.write_text(damage, encoding="utf-8")
        assert difference(store, a, b) == found


def test_results_that_cannot_be_written_are_compared_all_the_same(store):
    """A file stands where the folders would be: nothing is kept, nothing is lost, nothing is left behind."""
    a, b = put(store, 1), put(store, 2)
    for name in ("resampled", "comparisons"):
        Path(store.root / name).write_text("no folder", encoding="utf-8")
    found = difference(store, a, b)
    assert found.low is not None
    assert sorted(one.name for one in store.root.iterdir()) == ["cells", "comparisons", "resampled"]


def test_a_mean_over_seeds_draws_once_and_never_again(store, monkeypatch):
    """The values are the mean of the seeds' values; at the next report nothing is read and nothing drawn."""
    seeds = [put(store, seed) for seed in (1, 2)]
    mean = mean_over_seeds("model", seeds, store)
    assert isinstance(mean, SeededScore)
    own, *each = values_of([mean, *seeds], OpenItems(store))
    np.testing.assert_array_equal(own, np.mean(each, axis=0))
    assert (mean.ci_low, mean.ci_high) == pytest.approx(tuple(100 * np.quantile(own, [0.025, 0.975])))
    monkeypatch.setattr(resampled, "values_of_parts", forbidden)
    monkeypatch.setattr(store, "items_of", forbidden)
    assert mean_over_seeds("model", seeds, store) == mean


def test_seeds_over_other_items_have_no_interval(store):
    """A mean over seeds is resampled only where all seeds were scored on the same items."""
    mean = mean_over_seeds("model", [put(store, 1), put(store, 2, ("a", "b"))], store)
    assert (mean.stderr, mean.ci_low) == (None, None)
