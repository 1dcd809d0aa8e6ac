"""Plans: how much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Numbers and sizes of the measurements."""

    tasks: tuple[int, ...] = (1, 8, 32)
    """Numbers of tasks that append and read at the same time."""
    repeats: int = 3
    """Number of repetitions."""
    appends: int = 480
    """Total of all tasks."""
    reads: int = 960
    """Total of all tasks."""
    concurrent_runs: tuple[int, ...] = (1, 20, 200)
    """Numbers of concurrent runs for the mirror lag."""
    concurrent_turns: int = 5
    long_turns: int = 1000
    """Turns of the run whose size on disk and rebuild are measured."""
    verified: int = 20
    """Number of runs to verify."""
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
    concurrent_runs=(1, 20),
    concurrent_turns=3,
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
"""Checks within a minute that everything works; it has too few samples for conclusions."""
