"""Plans: how much is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.rig import CONCURRENT_RUNS


@dataclass(frozen=True)
class Plan:
    """Numbers and lengths of the measurements."""

    pairs: Mapping[float, tuple[int, int]]
    """Model latency in seconds -> pairs of runs, turns of each."""
    lengths: Mapping[int, int]
    """Turns of a run -> number of runs."""
    bare_lengths: Mapping[int, int]
    fan_outs: int
    """Pairs of runs with concurrent and with sequential tools."""
    kills: int
    concurrent_repeats: int
    """Number of measurements with concurrent runs."""
    concurrent_runs: int = CONCURRENT_RUNS
    warm_up: int = 20
    """Turns before the measurements, for first imports and first pages of the databases."""
    fan_out_turns: int = 6
    kill_latency: float = 1.0
    """Seconds of model latency, during which the worker is killed."""
    turns_after_kill: int = 10
    waiting_runs: int = 1000
    wake_ups: int = 20
    endless_turns: int = 10_000
    """Turns of the run of the part `endless`."""
    own_pairs: int = 5
    own_turns: int = 20
    own_starts: int = 3


FULL = Plan(
    pairs={0.0: (7, 30), 0.5: (5, 10)},
    lengths={10: 5, 100: 3, 200: 3, 1000: 1},
    bare_lengths={10: 3, 100: 1, 200: 3, 1000: 1},
    fan_outs=5,
    kills=5,
    concurrent_repeats=3,
)
QUICK = Plan(
    pairs={0.0: (3, 15), 0.5: (2, 5)},
    lengths={10: 1, 100: 1},
    bare_lengths={10: 1},
    fan_outs=1,
    kills=1,
    concurrent_repeats=1,
    kill_latency=0.5,
    turns_after_kill=5,
    waiting_runs=50,
    wake_ups=5,
    endless_turns=1000,
    own_pairs=1,
    own_turns=5,
    own_starts=1,
)
"""Checks within a minute that everything works; it has too few samples for conclusions."""
