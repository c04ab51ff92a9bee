"""Which rows share a prefix: pure functions over token ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.backends.lm_eval.prefixes import LEAST_SHARED_TOKENS, families, starts_twice

SHOTS = list(range(LEAST_SHARED_TOKENS + 8))
ROWS = st.lists(
    st.tuples(st.integers(0, 60), st.lists(st.integers(0, 3), min_size=1, max_size=6)).map(
        lambda pair: SHOTS[: pair[0]] + pair[1]
    ),
    max_size=12,
)


@given(ROWS)
def test_families_hold_each_row_once_and_a_prefix_all_members_have(rows):
    """Every row is in one family, begins with its prefix, and has a token of its own left."""
    found = families(rows)
    assert sorted(row for family in found for row in family.rows) == list(range(len(rows)))
    for family in found:
        prefix = rows[family.rows[0]][: family.prefix_tokens]
        for row in family.rows:
            assert rows[row][: family.prefix_tokens] == prefix
            assert len(rows[row]) > family.prefix_tokens


def test_questions_behind_the_same_examples_share_them():
    """Two subjects, three questions each: two families with exactly the examples as prefix."""
    other = [99, *SHOTS]
    rows = [[*SHOTS, 7, 1], [*SHOTS, 8, 2], [*SHOTS, 9], [*other, 7], [*other, 8], [*other, 9, 9]]
    found = {frozenset(family.rows): family.prefix_tokens for family in families(rows)}
    assert found == {frozenset({0, 1, 2}): len(SHOTS), frozenset({3, 4, 5}): len(other)}


def test_a_short_common_beginning_is_not_shared():
    """Below the least length a forward pass of its own costs more than it saves."""
    short = SHOTS[: LEAST_SHARED_TOKENS - 1]
    assert [family.prefix_tokens for family in families([[*short, 1], [*short, 2]])] == [0]


def test_two_beginnings_of_text_are_seen():
    """Only two in front count, and only where the tokenizer has such a token."""
    assert starts_twice([5, 5, 1], 5)
    assert not starts_twice([5, 1, 5], 5)
    assert not starts_twice([5], 5)
    assert not starts_twice([5, 5], None)
