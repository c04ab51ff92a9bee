"""What a `wheel:` reference says: one path of one wheel, or parts in several; and how a wrong one is refused."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.sources.wheel_reference import EXAMPLE, WheelParts, WheelReference, parse, without_sha256


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("wheel:a==1/b", ("a", "1", "b")),
        ("wheel:gt-all.mini_lm==0.1.0rc1+cpu/x/y/", ("gt-all.mini_lm", "0.1.0rc1+cpu", "x/y")),
        ("wheel:a==1!2/b c/d.gguf", ("a", "1!2", "b c/d.gguf")),
    ],
)
def test_a_reference_has_three_parts(reference, parts):
    """Distribution, version, path inside."""
    found = parse(reference)
    assert (found.name, found.version, found.inner) == parts
    assert found.requirement == f"{parts[0]}=={parts[1]}"


@pytest.mark.parametrize(
    "reference", ["wheel:a", "wheel:a==1", "wheel:a==1/", "wheel:a>=1/b", "wheel:==1/b", "wheel:a==1/../b", "a==1/b"]
)
def test_a_reference_of_another_form_is_a_problem(reference):
    """The message shows the form; `..` never leaves the wheel."""
    with pytest.raises(InputError) as caught:
        parse(reference)
    assert caught.value.problems == [
        f"model {reference!r}: expected wheel:<distribution>==<version>/<path inside the wheel>"
    ]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        (
            "wheel:a-part{1..3}==1/a_part{1..3}/p0{1..3}.bin",
            [
                ("a-part1", "1", "a_part1/p01.bin"),
                ("a-part2", "1", "a_part2/p02.bin"),
                ("a-part3", "1", "a_part3/p03.bin"),
            ],
        ),
        ("wheel:a{9..10}==1/p{009..010}", [("a9", "1", "p009"), ("a10", "1", "p010")]),
        ("wheel:a==0.2.{0..1}/{5..6}.bin", [("a", "0.2.0", "5.bin"), ("a", "0.2.1", "6.bin")]),
        ("wheel:a==1/p{0..1}", [("a", "1", "p0"), ("a", "1", "p1")]),
        ("wheel:a{00..01}==1/p", [("a00", "1", "p"), ("a01", "1", "p")]),
        ("wheel:a==1/p{7..7}", [("a", "1", "p7")]),
    ],
)
def test_ranges_count_in_step(reference, parts):
    """Whatever they begin with; zeros in front are kept, and so is the order of numbers (9 before 10)."""
    found = parse(reference)
    assert isinstance(found, WheelParts)
    assert [(one.name, one.version, one.inner) for one in found.parts] == parts
    assert found.requirement == reference.removeprefix("wheel:").split("/")[0]
    assert found.identity("0" * 64) == {"joined_sha256": "0" * 64}


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("wheel:a{1..6}==1/p{1..5}", "in step: {1..6} is of 6, {1..5} is of 5"),
        ("wheel:a{6..1}==1/p", "{6..1} counts down: write {1..6}"),
        ("wheel:a{1..65}==1/p", "{1..65} is of 65 parts, and at most 64 are joined"),
        ("wheel:a{1..999999}==1/p", "is of 999999 parts"),
        ("wheel:a{1..9999999999}==1/p", "{1..9999999999} is no range {first..last}"),
        ("wheel:a{1-6}==1/p", "{1-6} is no range {first..last}"),
        ("wheel:a{1,2}==1/p", "{1,2} is no range"),
        ("wheel:a{1..}==1/p", "{1..} is no range"),
        ("wheel:a{a..f}==1/p", "{a..f} is no range"),
        ("wheel:a{1..3..2}==1/p", "{1..3..2} is no range"),
        ("wheel:a{\u0661..\u0663}==1/p", "is no range"),
        ("wheel:a{01..6}==1/p", "as many digits: {01..06}"),
        ("wheel:a{1..06}==1/p", "as many digits: {01..06}"),
        ("wheel:a{1..6==1/p", "a brace without its fellow"),
        ("wheel:a{{1..6}}==1/p", "a brace without its fellow"),
        ("wheel:a1..6}==1/p", "a brace without its fellow"),
        ("wheel:a{1..6}/p", "expected"),
        ("wheel:a{1..6}==1/../p{1..6}", "expected"),
    ],
)
def test_ranges_of_another_form_are_problems_that_show_the_right_one(reference, said):
    """One that counts down, one of another length, more than 64 parts, braces that are no range."""
    with pytest.raises(InputError) as caught:
        parse(reference)
    assert all(one.startswith(f"model {reference!r}: ") and one.endswith(EXAMPLE) for one in caught.value.problems)
    assert said in caught.value.problems[0]


def test_every_wrong_range_is_named_at_once():
    """Two of them, and a brace that stands alone."""
    with pytest.raises(InputError) as caught:
        parse("wheel:a{6..1}==1/p{x}/}")
    assert len(caught.value.problems) == 3


def test_parts_need_the_sum_of_the_whole():
    """A single wheel does not."""
    parts, one = "wheel:a{1..2}==1/p", "wheel:a==1/p"
    assert "sha256` must be given" in str(without_sha256(parts, parse(parts), None))
    assert without_sha256(parts, parse(parts), "0" * 64) is None
    assert without_sha256(one, WheelReference("a", "1", "p"), None) is None
