"""Who cannot write for whom: every mistake of a suite at once, at its place, before anything is loaded."""

from __future__ import annotations

import pytest
from suites_support import suite_file

from harness.errors import InputError
from harness.suite.load import load_suite

THINKING = "encoder: rationale, model: a/b"
TUNED = f"{THINKING}, adapter: a/c"


def problems(tmp_path, *entries):
    with pytest.raises(InputError) as caught:
        load_suite(suite_file(tmp_path, "models:\n" + "".join(f"  - {{{one}}}\n" for one in entries)))
    return [one.removeprefix(f"{tmp_path}/") for one in caught.value.problems]


@pytest.mark.parametrize(
    ("writer", "said"),
    [
        ("nobdy", "no such model here; valid: self, base, or of nobody, m; did you mean 'nobody'?"),
        ("m", "a circle, in which nobody writes: m -> m; say `writer: self` for one of them"),
    ],
)
def test_a_writer_is_a_model_beside(tmp_path, writer, said):
    found = problems(tmp_path, f"name: nobody, {THINKING}", f"name: m, {THINKING}, writer: {writer}")
    assert [one.partition(f"writer: {writer}: ")[2] for one in found] == [said]
    assert found[0].startswith("mine.yaml:5:")


@pytest.mark.parametrize(
    ("writer", "said"),
    [
        ("encoder: tf-idf", "(tf-idf) is no language model"),
        ("encoder: sentence-transformers, model: a/b", "(sentence-transformers) is no language model"),
        ("encoder: mean-pool, model: a/b", "(mean-pool) writes no rationales"),
        ("candidate: runs/x, kind: mean-pool", "(mean-pool) writes no rationales"),
        (f"{THINKING}, ablation: text-only", "writes no rationales (ablation: text-only)"),
        (f"{TUNED}, writer: base", "reads the rationales of 'base' and writes none"),
    ],
)
def test_a_writer_is_a_model_that_writes(tmp_path, writer, said):
    (found,) = problems(tmp_path, f"name: w, {writer}", f"name: m, {THINKING}, writer: w")
    assert found.startswith("mine.yaml:5:")
    assert f"writer: w: 'w' {said}" in found


def test_circles_are_named_on_every_side(tmp_path):
    """Of two and of three; who reads from a circle and is none of it is told of its writer alone."""
    entries = [f"name: {own}, {THINKING}, writer: {other}" for own, other in ("ab", "bc", "ca", "db")]
    said = [one.partition(": writer: ")[2] for one in problems(tmp_path, *entries)]
    assert said == [
        "b: a circle, in which nobody writes: a -> b -> c -> a; say `writer: self` for one of them",
        "c: a circle, in which nobody writes: b -> c -> a -> b; say `writer: self` for one of them",
        "a: a circle, in which nobody writes: c -> a -> b -> c; say `writer: self` for one of them",
        "b: 'b' reads the rationales of 'c' and writes none; name that one",
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("encoder: tf-idf, writer: w", "unknown key 'writer'"),
        ("encoder: mean-pool, model: a/b, writer: w", "unknown key 'writer'"),
        ("candidate: runs/x, kind: mean-pool, writer: w", "an entry of kind mean-pool reads no rationale"),
        (f"{THINKING}, writer: base", "there is no adapter, so that no base stands beside it"),
        (
            f"{THINKING}, writer: w, generation: {{max_new_tokens: 4}}",
            "generation: nothing is written here: 'w' writes",
        ),
        (f"{THINKING}, writer: w, seeds: 2", "seeds: temperature 0 decodes greedily"),
        (f"{THINKING}, writer: 3", "expected text, got 3"),
    ],
)
def test_a_reader_reads_rationales_and_writes_none(tmp_path, entry, said):
    found = problems(tmp_path, f"name: w, {THINKING}", f"name: m, {entry}")
    assert any(one.startswith("mine.yaml:5:") and said in one for one in found), found


def test_what_can_be_is_let_through(tmp_path):
    """Two readers of one writer that draws, with seeds of their own; a candidate of which nobody knows yet."""
    body = "\n".join(
        f"  - {{{one}}}"
        for one in (
            f"name: w, {THINKING}, generation: {{temperature: 1}}",
            f"name: self, {TUNED}",
            f"name: base, {TUNED}, writer: base",
            f"name: m, {THINKING}, writer: w, seeds: 2",
            "name: c, candidate: runs/x, writer: w",
            "name: d, candidate: runs/x, writer: c2",
            "name: c2, candidate: runs/y",
        )
    )
    models = load_suite(suite_file(tmp_path, f"models:\n{body}\n")).suite.models
    assert [one.writer for one in models] == ["self", "self", "base", "w", "w", "c2", None]
