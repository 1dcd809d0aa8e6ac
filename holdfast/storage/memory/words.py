"""Words of queries, and stems for the full-text index in memory.

`stems` matches the analyzer of a SurrealDB server: it ignores case, accents, and German and English word endings. Both
stemmers run on every word, German first, so the forms of a word are reduced to one stem without knowing its language.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

MAX_QUERY_WORDS = 16  # each costs an index read; the longest words are the most specific

_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"[^\W\d_]+|\d+")  # like the analyzer, splits between letters and digits
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
MAX_STEMMED_CHARS = 40  # longer strings are not words of a language, and are slow to stem
CACHED_STEMS = 50_000  # some 5 MB; stemming a word takes 50 microseconds
_STEMMING = threading.Lock()  # stemmers are not thread-safe


def query_words(query: str) -> list[str]:
    """Returns the distinct words of a query without stop words, unless all are stop words."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(query))
    telling = [word for word in words if word not in _STOP_WORDS] or list(words)
    if len(telling) <= MAX_QUERY_WORDS:
        return telling
    return sorted(telling, key=lambda word: (-len(word), word))[:MAX_QUERY_WORDS]


def stems(text: str) -> Iterator[str]:
    """Returns the stem of every word of a text, in order."""
    return map(_stem, _RUN.findall(text.lower()))


@lru_cache(CACHED_STEMS)
def _stem(word: str) -> str:
    folded = _folded(word)
    if len(folded) > MAX_STEMMED_CHARS or not folded.isalpha():
        return folded
    with _STEMMING:
        for stemmer in _stemmers():
            folded = str(stemmer.stemWord(folded))
        return folded


@lru_cache(1)
def _stemmers() -> list[Any]:
    import snowballstemmer  # type: ignore[import-untyped]  # noqa: PLC0415 - 60 ms, which most commands do without

    return [snowballstemmer.stemmer(language) for language in ("german", "english")]


def _folded(word: str) -> str:
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFKD", word.translate(_SPELLINGS))
    return "".join(character for character in parts if character.isalnum())
