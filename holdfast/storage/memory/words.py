"""Words: of queries, and for the index that this process keeps by itself.

`stems` does by rules of thumb what the database's analyzer does with real stemmers: upper case, accents and the usual
endings of German and English make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_QUERY_WORDS = 16  # each is a read of the index; the longest say most

_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"[^\W\d_]+|\d+")  # letters and digits are words of their own, as the analyzer has it
_STOP_TEXT = """
    a about after all also am an and any are as at be because been before but by can could did do does for from had has
    have he her him his how i if in into is it its just me my no nor not of off on or our out over own she so some such
    than that the their them then there these they this those through to too under until up us was we were what when
    where which while who whom why will with would you your
    aber alle als also am an auch auf aus bei bin bis bist da damit dann das dass dein dem den der des die dies doch
    dort du durch ein eine einem einen einer eines er es euch für haben hat hatte hier ich ihm ihn ihr ihre im in ist
    ja kann kein mein mich mir mit nach nicht noch nun nur ob oder ohne sein sich sie sind so über um und uns unser
    unter vom von vor war was weil wenn wer wie wir wird wo zu zum zur
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_SPELLINGS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"})
_ENDINGS = (
    *("ungen", "ments", "ement", "ingen", "heiten", "keiten"),
    *("ment", "ung", "ing", "ies", "ied", "ern", "ers", "est", "ed", "em", "en", "er", "es", "ly", "e", "n", "s", "y"),
)
MIN_STEM = 3  # characters; shorter stems have little to do with their words


def query_words(query: str) -> list[str]:
    """The words of a query that are worth looking for, each once; common words only where there are no others."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(query))
    telling = [word for word in words if word not in _STOP_WORDS] or list(words)
    if len(telling) <= MAX_QUERY_WORDS:
        return telling
    return sorted(telling, key=lambda word: (-len(word), word))[:MAX_QUERY_WORDS]


def stems(text: str) -> Iterator[str]:
    """Every word of a text, in order, reduced to what its forms have in common."""
    for word in _RUN.findall(text.lower()):
        yield _stem(_folded(word))


def _folded(word: str) -> str:
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFKD", word.translate(_SPELLINGS))
    return "".join(character for character in parts if not unicodedata.combining(character))


def _stem(word: str) -> str:
    """Takes endings off until none is left, so that `hauser` and `haus` meet at the same stem."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM:
            stem = word.removesuffix(ending)
            return _stem(stem[:-1] if stem[-1] == stem[-2] and len(stem) > MIN_STEM else stem)
    return word
