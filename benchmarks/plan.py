"""How much is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.rig import CROWD


@dataclass(frozen=True)
class Plan:
    """How often, and how long."""

    pairs: Mapping[float, tuple[int, int]]
    """Model latency in seconds -> pairs of runs, turns of each."""
    lengths: Mapping[int, int]
    """Turns of a run -> how many runs."""
    bare_lengths: Mapping[int, int]
    fan_outs: int
    """Pairs of runs with tools at once and one after the other."""
    kills: int
    crowds: int
    """Times that many runs are started at once."""
    crowd: int = CROWD
    """How many."""
    warm_up: int = 20
    """Turns that count for nothing: first imports, first pages of the databases."""
    fan_out_turns: int = 6
    kill_latency: float = 1.0
    """Seconds of model latency, into which the kill falls."""
    turns_after_kill: int = 10


FULL = Plan(
    pairs={0.0: (7, 30), 0.5: (5, 10)},
    lengths={10: 5, 100: 3, 200: 3, 1000: 1},
    bare_lengths={10: 3, 100: 1, 200: 3, 1000: 1},
    fan_outs=5,
    kills=5,
    crowds=3,
)
QUICK = Plan(
    pairs={0.0: (3, 15), 0.5: (2, 5)},
    lengths={10: 1, 100: 1},
    bare_lengths={10: 1},
    fan_outs=1,
    kills=1,
    crowds=1,
    kill_latency=0.5,
    turns_after_kill=5,
)
"""Shows in a minute whether everything works; too few samples to judge by."""
