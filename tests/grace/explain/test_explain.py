"""`grace explain`: shares that add up, every token shown, nothing of a text that steers a terminal or a page."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from candidates_support import GraceCommand, candidate_directory, chat_model
from rich.console import Console
from suites_support import isolate

from grace.explain.explain import Explanation, Side, Token, explain
from grace.explain.html import to_html
from grace.explain.show import GREENS, REDS, shade, show, visible
from harness.candidates.named import named_candidate
from harness.encoders.loading import load
from harness.errors import EncoderOutputError
from harness.sources.places import Sources

A, B = "the cat sat 🙂 <b>", "a small dog"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny chat model."""
    return chat_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def grace(model: Path, tmp_path: Path, monkeypatch, capsys) -> GraceCommand:
    """Return the command, with candidates `plain` and `writer` in the working directory."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    candidate_directory(tmp_path / "plain", model, kind="mean-pool", adapter=True)
    generation = "{generation: {max_new_tokens: 5, temperature: 1.0}, max_text_tokens: 40}"
    candidate_directory(tmp_path / "writer", model, kind="rationale", encoder=generation)
    return GraceCommand(monkeypatch, capsys)


@pytest.mark.parametrize("candidate", ["plain", "writer"])
def test_shares_add_up_to_the_encoders_cosine(grace: GraceCommand, candidate: str) -> None:
    """Both sides sum to the cosine of the vectors that the harness scores, to 1e-6."""
    said = grace("explain", candidate, A, B, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    vectors = load(named_candidate(candidate, Sources())).encode([A, B])
    expected = float(vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1]))
    assert found["cosine"] == pytest.approx(expected, abs=1e-6)
    for side in (found["a"], found["b"]):
        assert sum(token["share"] for token in side["tokens"]) == pytest.approx(expected, abs=1e-6)
        assert sum(side["shares"].values()) == pytest.approx(expected, abs=1e-6)


def test_rationale_and_its_tokens_are_all_there(grace: GraceCommand) -> None:
    """Pieces of each part join to the text, the header and the rationale as it was written."""
    found = json.loads(grace("explain", "writer", A, B, "--json").out)["a"]
    joined = dict.fromkeys(("text", "header", "rationale"), "")
    for token in found["tokens"]:
        joined[token["part"]] += token["piece"]
    assert joined["text"] == A
    assert joined["header"] == "<|im_end|>\n<|im_start|>assistant\n"
    assert joined["rationale"] == found["rationale"]


def test_cut_text_is_said(grace: GraceCommand) -> None:
    """A text longer than the limit is embedded in part, and the explanation says so."""
    said = grace("explain", "writer", "moon " * 50, B)
    assert said.out.count("the text was cut at the length limit") == 1
    assert [
        json.loads(grace("explain", "writer", "moon " * 50, B, "--json").out)[side]["text_cut"] for side in "ab"
    ] == [
        True,
        False,
    ]
    assert "the text was cut" in grace("explain", "plain", "moon " * 99, B).out


def test_same_text_twice_is_alike(grace: GraceCommand) -> None:
    """A text has cosine 1 with itself, and the same shares on both sides."""
    found = json.loads(grace("explain", "writer", A, A, "--json").out)
    assert found["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert found["a"] == found["b"]


def test_terminal_shows_every_token_and_its_share(grace: GraceCommand) -> None:
    """Without colours the numbers are there, and parts add up in the heading."""
    said = grace("explain", "writer", A, B)
    assert said.code == 0, said.err
    assert "\x1b" not in said.out
    assert "a  " in said.out
    for word in ("text:", "header:", "rationale:", "cat", "🙂", "<|im_start|>"):
        assert word in said.out


def test_page_is_whole_and_escaped(grace: GraceCommand, tmp_path: Path) -> None:
    """The page parses, holds the text as text, and asks for nothing from elsewhere."""
    said = grace("explain", "writer", '<script>alert("x")</script>', B, "--html", "page.html")
    assert said.code == 0, said.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    tags: list[str] = []
    texts: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not {name for name, _ in attrs} & {"src", "href", "onclick"}

        def handle_data(self, data: str) -> None:
            texts.append(data)

    Reader().feed(page)
    assert "script" not in tags
    assert '<script>alert("x")</script>' in "".join(texts)
    assert "http" not in page


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("writer", "a"), 2, "Missing argument 'B'"),
        (("wirter", "a", "b"), 2, "no such directory"),
        (("writer", "a", "b", "--html", "no/such/page.html"), 2, "does not exist"),
        (("{encoder: tf-idf}", "a", "b"), 2, "is fitted to the texts of a task"),
        (("{encoder: mean-pool, model: ./gone/x}", "a", "b"), 4, "no such folder"),
    ],
)
def test_mistakes_have_their_exit_code(grace: GraceCommand, arguments, code: int, words: str) -> None:
    """A user's mistake ends with 2, a lack with 4, both with one message."""
    said = grace("explain", *arguments)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err


def test_vectors_that_are_not_the_states_are_refused(model: Path, monkeypatch) -> None:
    """An explanation of other numbers than the encoder's is an error, not a page."""
    encoder = load(named_candidate("{encoder: mean-pool, model: " + str(model) + "}", Sources()))
    vectors = encoder.encode([A, B])[::-1]
    monkeypatch.setattr(encoder, "encode", lambda *_, **__: vectors)
    with pytest.raises(EncoderOutputError, match="--no-cache"):
        explain(encoder, A, B, kind="mean-pool", fingerprint="f", seed=0, prompt=None)


def explanation(*tokens: Token) -> Explanation:
    """Return an explanation with the same tokens on both sides."""
    side = Side(text="t", tokens=tokens, rationale=None, is_cut=False)
    cosine = sum(token.share for token in tokens)
    return Explanation(
        candidate="c", kind="mean-pool", fingerprint="0" * 64, seed=0, prompt=None, cosine=cosine, a=side, b=side
    )


def token(piece: str, share: float) -> Token:
    """Return a token of the text."""
    return Token(id=1, piece=piece, part="text", share=share)


def test_split_character_has_the_sum_of_its_tokens() -> None:
    """Tokens that hold parts of one character are shown as one, with all their share."""
    found = explanation(token("a", 0.5), token("", 0.25), token("🙂", 0.125), token("", 0.0625))
    assert list(found.a.spans()) == [("a", "text", 0.5), ("🙂", "text", 0.375), ("\ufffd", "text", 0.0625)]


def test_colours_grow_with_the_share_and_tell_its_sign() -> None:
    """The largest share has the strongest colour, none has none, and against is red."""
    assert shade(1.0, 1.0) == GREENS[-1]
    assert shade(-0.5, 1.0) == REDS[2]
    assert shade(0.0, 1.0) == shade(0.0, 0.0) == ""


def test_terminal_has_colours_and_no_color_takes_them_away(monkeypatch) -> None:
    """On a terminal tokens have backgrounds; with NO_COLOR there are none."""
    found = explanation(token("good", 0.9), token(" bad", -0.2))

    def shown(colours: str = "truecolor") -> str:
        file = io.StringIO()
        show(found, Console(file=file, force_terminal=True, color_system=colours, width=80, highlight=False))
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "48;2;46;139;46" in shown()
    assert "30;42mgood" in shown("standard")
    assert "31m bad" in shown("standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "48;2" not in shown()


def test_no_text_steers_a_terminal() -> None:
    """Escape sequences, NUL, bidirectional overrides and lone surrogates are spelt out; emoji joiners stay."""
    assert visible("\x1b[31m\x00\u202e\ud800\n") == "\\x1b[31m\\x00\\u202e\\ud800\\n"
    assert visible("👩‍👧 שלום") == "👩‍👧 שלום"
    page = to_html(explanation(token("\x1b<&>\ud800", 0.5)))
    assert "\\x1b&lt;&amp;&gt;\\ud800" in page
    page.encode("utf-8")
