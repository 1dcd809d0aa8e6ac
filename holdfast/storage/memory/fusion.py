"""Fusion of several rankings of the same items into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TypeVar

Key = TypeVar("Key", str, tuple[str, str])

RANK_OFFSET = 60  # the usual value: an item with two middling ranks beats one with a single good rank


def fuse(
    rankings: Sequence[Sequence[Key]], k: int = RANK_OFFSET, *, unrankable: Collection[Key] = ()
) -> list[tuple[Key, float]]:
    """Fuses rankings by reciprocal rank: the item at rank n of a ranking scores 1 / (k + n) there.

    Unlike scores of different kinds, ranks can be compared.

    Args:
        rankings: each best first; of a key that occurs twice in a ranking, the first rank counts.
        k: the larger it is, the less the first ranks weigh.
        unrankable: keys that only the first ranking could rank; their rank there counts for every ranking.

    Returns:
        Every key with its score, best first; equal scores are in the order of the rankings.
    """
    scores: defaultdict[Key, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(dict.fromkeys(ranking), start=1):
            scores[key] += (len(rankings) if key in unrankable else 1) / (k + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
