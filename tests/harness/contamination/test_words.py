"""What a word is: in scripts that write vowels as marks, with joiners inside words, and with apostrophes."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from harness.contamination.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("वह पानी पीता है।", ["वह", "पानी", "पीता", "है"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("مَدْرَسَة", ["مَدْرَسَة"]),
        ("x\u0304 y", ["x\u0304", "y"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("ไปที่น้ำ ดี", ["ไปที\u0e48น\u0e49\u0e4d\u0e32", "ดี"]),
        ("can't stop", ["can", "t", "stop"]),
        ("snake_case, 12%", ["snake_case", "12"]),
        ("... \u0301 !", []),
    ],
)
def test_a_word_holds_its_letters_with_their_marks(text: str, words: list[str]) -> None:
    """Devanagari, Tamil, pointed Hebrew and Arabic, Thai, Latin; a mark without a letter is none."""
    assert words_of(text) == [unicodedata.normalize("NFC", word) for word in words]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("वह पीता है", "वह पाता है"),
        ("שָׁלוֹם", "שלום"),
        ("வாழ்", "வழி"),
        ("résumé", "resume"),
    ],
)
def test_words_with_other_vowels_are_other_words(one: str, other: str) -> None:
    """They were the same once marks were dropped."""
    assert words_of(one) != words_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("می\u200cخواهم", "میخواهم"),
        ("क्\u200dष", "क्ष"),
        ("ශ්\u200dරී ලංකා", "ශ්රී ලංකා"),
        ("co\u00adoperate", "cooperate"),
        ("e\u200d\u0301", "é"),
        ("\ufeffabc\u2060def", "abcdef"),
        ("葛\U000e0100城", "葛城"),
        ("1\ufe0f\u20e3", "1"),
        ("ไทย\u200bดี", "ไทย ดี"),
        ("don't", "don’t"),
        ("м\u02bcята", "м'ята"),
        ("\u02bbokina", "‘okina"),
    ],
)
def test_what_nobody_sees_and_which_apostrophe_it_is_are_no_difference(one: str, other: str) -> None:
    """Joiners, soft hyphens and variation selectors cut no word in two; a zero width space is white space."""
    assert words_of(one) == words_of(other)


def test_every_letter_and_mark_is_in_a_word_with_what_is_before_it() -> None:
    """Over all of Unicode: what is no mark that shows and no letter, digit or underscore is in none."""
    lost = []
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if unicodedata.category(char) in ("Mn", "Mc") and unicodedata.normalize("NFKC", char) == char:
            (word,) = words_of(f"a{char}b")
            if len(unicodedata.normalize("NFD", word)) < 3:
                lost.append(code)
    # joiners of graphemes, vowels that are never written, and selectors of a glyph show nothing
    assert {f"{code:04X}"[:3] for code in lost} <= {"034", "17B", "180", "FE0", "E01"}, lost
