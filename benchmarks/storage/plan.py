"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How often, and how long."""

    tasks: tuple[int, ...] = (1, 8, 32)
    """That append, and read, at the same time."""
    repeats: int = 3
    """Of each measurement that is repeated."""
    appends: int = 480
    """Of all tasks together."""
    reads: int = 960
    """Of all tasks together."""
    crowds: tuple[int, ...] = (1, 20, 200)
    """Runs at once, whose mirror lag is measured."""
    crowd_turns: int = 5
    long_turns: int = 1000
    """Of the run whose size on disk and rebuild are measured."""
    verified: int = 20
    """Runs that are verified."""
    vectors: int = 10_000
    large_vectors: int = 100_000
    """Of the second part; 0: none."""
    queries: int = 100
    texts: int = 5_000
    """Of text memory."""
    searches: int = 30
    """Of each length."""
    payloads: tuple[int, ...] = (3, 16)
    """Megabytes."""
    events: int = 200
    """That are published, of each kind."""


FULL = Plan()
QUICK = Plan(
    tasks=(1, 8),
    repeats=1,
    appends=64,
    reads=128,
    crowds=(1, 20),
    crowd_turns=3,
    long_turns=100,
    verified=3,
    vectors=1_000,
    large_vectors=0,
    queries=20,
    texts=300,
    searches=5,
    payloads=(3,),
    events=20,
)
"""Shows in a minute whether everything works; too few samples to judge by."""
