"""A text as the words that are compared, and the hashes of its 13 words in a row: pure.

Normalised are Unicode's forms (NFKC), case, punctuation and white space: what is left are runs of letters, digits and
underscores with the marks on them, which are the vowels of many scripts. What shows nothing (joiners, soft hyphens,
directions, variation selectors) cuts no word and is no difference, as in Unicode's NFKC_Casefold; only a zero width
space ends a word. An apostrophe ends one too, whichever of its characters it is. Thirteen words in a row are what GPT-3
and its successors count as an overlap (Brown et al. 2020, appendix C); a text of fewer words is compared as a whole
alone. Hashes have 64 bits: of ten million windows on either side one pair in some hundred thousand runs agrees by
chance.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
GRAM = 13
"""Words in a row."""
MOST_WORDS = 500_000
"""Whose hashes are remembered."""
_PLAIN = re.compile(r"\w+")
"""A word of ASCII alone."""
_APOSTROPHES = re.compile("[\u02bb\u02bc]")
"""Those that Unicode has among its letters."""
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]"
)
"""What shows nothing: Unicode's default ignorables, of those that texts have."""
_FACTORS = np.array([pow(6364136223846793005, power, 2**64) for power in range(GRAM)], dtype=np.uint64)


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    if text.isascii():
        return _PLAIN.findall(text.lower())
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    return _word().findall(_APOSTROPHES.sub("'", unicodedata.normalize("NFKC", seen)))


@cache
def _word() -> re.Pattern[str]:
    """Return what a word is; `re` has no class of marks, and finding them all takes a tenth of a second."""
    is_mark = [unicodedata.category(chr(code)) in ("Mn", "Mc") for code in range(sys.maxunicode + 1)] + [False]
    firsts = [code for code, here in enumerate(is_mark) if here and not is_mark[code - 1]]
    marks = "".join(f"{chr(first)}-{chr(is_mark.index(False, first) - 1)}" for first in firsts)
    return re.compile(rf"\w+(?:[{marks}]+\w*)*")


class Hasher:
    """Hashes texts; remembers the hashes of words."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._known: dict[str, int] = {}

    def whole(self, words: Sequence[str]) -> int:
        """Return the hash of all words together."""
        return _hash(" ".join(words))

    def grams(self, words: Sequence[str]) -> Hashes:
        """Return the (n - 12,) hashes of every 13 words in a row; none of a text with fewer.

        Formula: sum over j of hash(word i + j) * a^j, modulo 2^64.
        """
        count = len(words) - GRAM + 1
        if count <= 0:
            return np.empty(0, dtype=np.uint64)
        each = np.array([self._word(word) for word in words], dtype=np.uint64)
        found = np.zeros(count, dtype=np.uint64)
        for place, factor in enumerate(_FACTORS):
            found += each[place : place + count] * factor
        return found

    def _word(self, word: str) -> int:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= MOST_WORDS:
                self._known.clear()
            found = self._known[word] = _hash(word)
        return found


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
