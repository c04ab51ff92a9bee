"""Records of cells: what goes into JSON comes out of it, and nothing else is taken for a record."""

from __future__ import annotations

import json
import math

import pytest
from cells_support import make_failure, make_score
from hypothesis import given
from hypothesis import strategies as st

from harness.results.records import RECORD_VERSION, Failure, Metric, from_json, to_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def same(left: object, right: object) -> bool:
    """Equality in which NaN equals NaN, types count and zero has a sign."""
    return repr(left) == repr(right)


@given(provenance=st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_any_provenance_survives_the_round_trip(provenance: dict[str, object]) -> None:
    """Nested provenance with NaN, infinities, text and None comes back as it was."""
    score = make_score(provenance={"outer": provenance, "more": [provenance]})
    assert same(from_json(to_json(score)), score)


def test_nan_and_infinity_survive_at_the_top_and_nested() -> None:
    """Numbers that are not finite come back as themselves in the score, the metrics and the provenance."""
    score = make_score(
        score=math.nan,
        stderr=math.inf,
        ci_low=-math.inf,
        metrics=(Metric(name="spread", value=math.nan, split="test", subset="default"),),
        provenance={"list": [1.0, [math.inf, {"deep": -math.inf}]]},
    )
    back = from_json(to_json(score))
    assert math.isnan(back.score)
    assert back.stderr == math.inf
    assert back.ci_low == -math.inf
    assert math.isnan(back.metrics[0].value)
    assert back.provenance == {"list": [1.0, [math.inf, {"deep": -math.inf}]]}


def test_a_mapping_with_the_key_float_is_kept() -> None:
    """A setting that happens to be called float is no number in disguise and does not make the record unreadable."""
    provenance = {"options": {"float": "16"}, "more": {"float": 3}}
    assert from_json(to_json(make_score(provenance=provenance))).provenance == provenance


def test_the_json_is_strict_json_without_nan_tokens() -> None:
    """A parser that refuses NaN and Infinity reads the record, and NaN is neither null nor 0 in it."""

    def refuse(token: str) -> None:
        raise AssertionError(token)

    record = json.loads(to_json(make_score(score=math.nan)), parse_constant=refuse)
    assert record["score"] == {"float": "nan"}
    assert record["record_version"] == RECORD_VERSION


def test_a_failure_comes_back_as_a_failure_with_its_traceback() -> None:
    """A Failure keeps type, message and traceback, line breaks included."""
    failure = make_failure(traceback="Traceback:\n  line\nValueError: x\n")
    back = from_json(to_json(failure))
    assert isinstance(back, Failure)
    assert back == failure


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record_version": RECORD_VERSION + 1}, "version"),
        ({"record_version": None}, "version"),
        ({"status": "maybe"}, "status or fields"),
        ({"surplus": 1}, "status or fields"),
    ],
)
def test_a_foreign_record_is_refused(change: dict[str, object], message: str) -> None:
    """Another version, an unknown status and an unknown field raise ValueError and say what differs."""
    record = json.loads(to_json(make_score())) | change
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(record))


def test_a_missing_field_is_refused() -> None:
    """A record without one of its fields is no record, not one with a default."""
    record = json.loads(to_json(make_score()))
    del record["ci_high"]
    with pytest.raises(ValueError, match="fields differ"):
        from_json(json.dumps(record))


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null", '"text"'])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    """A list, number, null or string raises ValueError, not an AttributeError."""
    with pytest.raises(ValueError, match="not a result record"):
        from_json(text)


@pytest.mark.parametrize("keep", [0, 1, 40, 200])
def test_a_torn_record_is_refused(keep: int) -> None:
    """The beginning of a record, as a crash of another program may leave it, raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        from_json(to_json(make_score())[:keep])
