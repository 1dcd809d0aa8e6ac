"""Puts several rankings of the same things into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key", str, tuple[str, str])

RANK_OFFSET = 60  # the usual one: first places count, but two middling ranks beat one good one


def fuse(rankings: Iterable[Sequence[Key]], k: int = RANK_OFFSET) -> list[tuple[Key, float]]:
    """Fuses rankings by reciprocal rank: what stands at place n of one is worth 1 / (k + n) there.

    Scores of different kinds cannot be compared, ranks can.

    Args:
        rankings: each best first; a key that one ranking has twice counts where it stands first.
        k: the larger, the less the first places count.

    Returns:
        Every key with its score, best first; of equal scores that of the earlier ranking first.
    """
    scores: defaultdict[Key, float] = defaultdict(float)
    for ranking in rankings:
        for place, key in enumerate(dict.fromkeys(ranking), start=1):
            scores[key] += 1 / (k + place)
    return sorted(scores.items(), key=lambda item: -item[1])
