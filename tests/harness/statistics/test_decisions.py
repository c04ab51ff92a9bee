"""Decisions behind a score: what counts as one, and how many differ between two runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.decisions import Decisions, as_stored, decisions_of, flips, plain, read

PLACE = {"part": ["whole"] * 4, "split": ["test"] * 4, "subset": ["default"] * 4}


def answers(*groups: str) -> Decisions:
    """Return decisions of a letter each."""
    return Decisions(kind="answers", groups=tuple(tuple(group) for group in groups))


def partition(*groups: str) -> Decisions:
    """Return clusters, a letter each."""
    return Decisions(kind="partition", groups=tuple(tuple(group) for group in groups))


def test_every_training_sample_of_a_classifier_decides_each_text():
    """Ten samples and 120 texts are 1,200 decisions; a right label that becomes another right or wrong one is one."""
    columns = PLACE | {"label": [0, 0, 1, 1], "prediction_0": [0, 1, 1, 1], "prediction_1": [0, 0, 0, 1]}
    made = decisions_of(columns)
    assert made == Decisions(kind="answers", groups=(("0", "1", "1", "1"), ("0", "0", "0", "1")))
    other = decisions_of(columns | {"prediction_1": [0, 0, 1, 0]})
    assert flips(made, other) == 2


def test_an_extracted_answer_is_a_decision_and_so_is_a_chosen_option():
    """Not the text around it; a task's parts are groups of their own."""
    free = PLACE | {"answers": [["so 3"], ["so 4"], ["5!"], ["?"]], "filtered,number": ["3", "4", "5", "[invalid]"]}
    assert decisions_of(free).groups == (("3", "4", "5", "[invalid]"),)
    chosen = PLACE | {"part": ["a", "a", "b", "b"], "answers": [["red"], ["blue"], ["one"], ["two"]]}
    assert decisions_of(chosen).groups == (("red", "blue"), ("one", "two"))


def test_clusters_are_counted_after_matching_since_their_numbers_mean_nothing():
    """Renamed clusters are no flip; one text that moved is one, in whichever set."""
    columns = PLACE | {"set": [0, 0, 1, 1], "cluster": [0, 1, 1, 1]}
    assert decisions_of(columns) == partition("01", "11")
    assert flips(partition("aabbcc"), partition("bbccaa")) == 0
    assert flips(partition("aabbcc"), partition("bbccca")) == 1
    assert flips(partition("aab", "ab"), partition("aab", "aa")) == 1
    assert flips(partition("aaaa"), partition("abcd")) == 3


def test_what_is_no_decision_has_none():
    """A correlation and a ranking's gain are made of numbers."""
    assert decisions_of(PLACE | {"gold": [1.0] * 4, "cosine": [0.5] * 4}) is None
    assert decisions_of(PLACE | {"query": list("abcd"), "score": [1.0] * 4}) is None


def test_decisions_about_other_items_are_not_compared():
    """Nor those of another kind."""
    assert flips(answers("abc"), answers("ab")) is None
    assert flips(answers("ab", "c"), answers("a", "bc")) is None
    assert flips(answers("ab"), partition("ab")) is None


@given(st.lists(st.lists(st.text(max_size=4), min_size=1, max_size=6), min_size=1, max_size=4), st.data())
def test_a_file_keeps_which_decisions_are_alike(groups, data):
    """What is read back differs from any other run in as many decisions as before it was written."""
    own = Decisions(kind="answers", groups=tuple(tuple(group) for group in groups))
    other = Decisions(
        kind="answers",
        groups=tuple(tuple(data.draw(st.sampled_from([one, one + "!"])) for one in group) for group in groups),
    )
    assert flips(read(plain(as_stored(own))), as_stored(other)) == flips(own, other)


@pytest.mark.parametrize("seed", range(5))
def test_matching_agrees_with_every_permutation_tried(seed):
    """The assignment problem's answer is that of brute force over all ways to rename four clusters."""
    from itertools import permutations

    numbers = np.random.default_rng(seed)
    own, other = (numbers.integers(0, 4, 12) for _ in range(2))
    best = max(int((np.array(names)[own] == other).sum()) for names in permutations(range(4)))
    one, two = (Decisions(kind="partition", groups=(tuple(map(str, values)),)) for values in (own, other))
    assert flips(one, two) == 12 - best
