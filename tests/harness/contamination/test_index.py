"""Which texts of a test stand in training texts, against a join by sets of words that shares no code with ours."""

from __future__ import annotations

import random
import re
import unicodedata

import numpy as np
import pytest

from harness.contamination import index as module
from harness.contamination.index import Index
from harness.contamination.words import GRAM, Hasher, words_of

TWELVE = "one two three four five six seven eight nine ten eleven twelve"
THIRTEEN = f"{TWELVE} thirteen"


def found(test: list[str], training: list[str]) -> list[str]:
    """Return `whole`, `part` or `clean` of every text."""
    index = Index()
    for text in test:
        index.add(text)
    matches = index.matches(training)
    assert matches.training == len(training)
    pairs = zip(matches.whole, matches.part, strict=True)
    return ["whole" if whole else "part" if part else "clean" for whole, part in pairs]


@pytest.mark.parametrize(
    ("text", "training", "said"),
    [
        ("The cat sat.", "The cat sat.", "whole"),
        ("The cat sat.", "the  CAT,\tsat!", "whole"),
        ("Cafe\u0301 \uff11\uff12", "CAF\u00c9 12", "whole"),
        ("Stra\u00dfe", "STRASSE", "whole"),
        ("The cat sat.", "The cat sat down.", "clean"),
        (f"{TWELVE} and more words", f"before {TWELVE} after", "clean"),
        (TWELVE, f"before {TWELVE} after", "clean"),
        (TWELVE, TWELVE.upper(), "whole"),
        (f"my {THIRTEEN} end", f"Before -- {THIRTEEN.title()}; after", "part"),
        (THIRTEEN, f"before {THIRTEEN} after", "part"),
        (f"before {THIRTEEN} after", THIRTEEN, "part"),
        (" ".join(reversed(THIRTEEN.split())), THIRTEEN, "clean"),
        ("...", "!!!", "clean"),
        ("", "", "clean"),
    ],
)
def test_a_text_is_found_whole_in_part_or_not(text: str, training: str, said: str) -> None:
    """Case, punctuation, white space and Unicode's forms apart; 12 words of a longer text are not enough."""
    assert found([text], [training]) == [said]


def brute(test: list[str], training: list[str]) -> list[str]:
    """Return the same by comparing tuples of words, window by window."""

    def words(text: str) -> tuple[str, ...]:
        plain = unicodedata.normalize("NFKC", text).casefold()
        return tuple(re.split(r"[^0-9a-z_]+", plain.strip(" .,;!?")))

    whole = {words(text) for text in training}
    windows = {one[k : k + 13] for one in whole for k in range(len(one) - 12)}
    return [
        "whole"
        if words(text) in whole
        else "part"
        if any(words(text)[k : k + 13] in windows for k in range(len(words(text)) - 12))
        else "clean"
        for text in test
    ]


def test_many_texts_are_found_as_by_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few different words, so that windows recur, with copies in other spellings; looked up in small batches."""
    draws = random.Random(5)

    def text(length: int) -> str:
        return " ".join(draws.choice(("a", "b")) for _ in range(length))

    test = [text(draws.randint(1, 30)) for _ in range(300)]
    training = [text(draws.randint(1, 22)) for _ in range(150)]
    training += [f"{one.upper()}, {text(3)}." for one in test[:20]] + [f" {one.title()} !" for one in test[20:40]]
    truth = brute(test, training)
    assert {*truth} == {"whole", "part", "clean"}
    assert found(test, training) == truth
    monkeypatch.setattr(module, "AT_ONCE", 20)
    assert found(test, training) == truth


def test_hashes_of_windows_are_those_of_their_words() -> None:
    """The formula, spelt out with whole numbers; words that were forgotten have the same hashes again."""
    hasher, words = Hasher(), words_of(f"{THIRTEEN} fourteen")
    made = hasher.grams(words)
    each = [hasher._word(word) for word in words]
    factor = 6364136223846793005
    for place in range(2):
        wanted = sum(each[place + k] * pow(factor, k, 2**64) for k in range(GRAM)) % 2**64
        assert int(made[place]) == wanted
    hasher._known.clear()
    assert np.array_equal(hasher.grams(words), made)
    assert len(hasher.grams(words_of(TWELVE))) == 0
