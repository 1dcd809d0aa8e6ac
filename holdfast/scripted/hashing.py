"""Vectors of texts by feature hashing, without a model: texts that share words or parts of words are similar."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

HASHING_MODEL = "scripted-feature-hashing"
"""Named after its method, so that it is not mistaken for a real embedding model."""
PART = 4  # characters of the parts of words that count; different forms of a word share parts
WORD_WEIGHT = 2.0  # of a whole word; the weight of its parts decreases with their number

_WORD = re.compile(r"\w+|[^\w\s]")  # each symbol, including emoji, is a word of its own


def hashed_vector(text: str, dimensions: int) -> list[float]:
    """Returns the unit vector of a text; the hash of each feature selects a dimension and the sign of its weight."""
    vector = [0.0] * dimensions
    for feature, weight in _features(text).items():
        number = int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest())
        vector[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = math.hypot(*vector)
    if not length:  # a blank text, or features that cancel each other out: any direction is acceptable, but zero is not
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def _features(text: str) -> dict[str, float]:
    features: defaultdict[str, float] = defaultdict(float)
    for word, count in Counter(_WORD.findall(_folded(text))).items():
        weight = 1 + math.log(count)  # a word that occurs ten times is not ten times as relevant
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
