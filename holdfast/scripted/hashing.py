"""Vectors of texts by feature hashing: a plain rule, no model. Texts that share words or parts of words are near."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

HASHING_MODEL = "scripted-feature-hashing"
"""The name says what it is: nobody shall take it for a model that understands."""
PART = 4  # characters of the parts of words that count; they bring the forms of a word together
WORD_WEIGHT = 2.0  # of a whole word; each of its parts weighs less the more it has

_WORD = re.compile(r"\w+|[^\w\s]")  # a sign, an emoji included, is a word of its own


def hashed_vector(text: str, dimensions: int) -> list[float]:
    """The vector of a text, of length 1; each feature adds to, or takes from, the one place that its hash names."""
    vector = [0.0] * dimensions
    for feature, weight in _features(text).items():
        number = int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest())
        vector[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = math.hypot(*vector)
    if not length:  # a blank text, or features that cancel each other out: any direction will do, but zero is none
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def _features(text: str) -> dict[str, float]:
    features: defaultdict[str, float] = defaultdict(float)
    for word, count in Counter(_WORD.findall(_folded(text))).items():
        weight = 1 + math.log(count)  # a word that is said ten times does not say ten times as much
        features[word] += WORD_WEIGHT * weight
        parts = list(_parts(word))
        for part in parts:
            features[f"part {part}"] += weight / math.sqrt(len(parts))
    return features


def _folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in parts if not unicodedata.combining(character))


def _parts(word: str) -> Iterator[str]:
    marked = f"<{word}>"
    return (marked[start : start + PART] for start in range(max(len(marked) - PART + 1, 1)))
