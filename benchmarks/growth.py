"""Growth of the cost of a turn with the length of a run, in history, time and storage."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from benchmarks.figure import Figure
from benchmarks.history import RunHistory
from benchmarks.rig import Rig

MAX_BYTES = 8 * 1024  # of history a turn, with tool results of 2 KB
MAX_EVENTS = 13  # of history a turn
FLAT = 1.1  # maximum ratio between what turns of different runs write: the largest value to the smallest
SLOWER = {200: 1.2, 1000: 1.2}
"""Turns of a run -> maximum ratio of the time of its last ten turns to that of its first ten."""
EDGE = 10  # turns at the beginning and at the end of a run that are compared

Runs = dict[int, list[RunHistory]]
"""Turns of a run -> runs of that length."""


async def measure(rig: Rig, lengths: Mapping[int, int], bare_lengths: Mapping[int, int]) -> list[Figure]:
    """Plays runs of several lengths.

    Args:
        rig: plays the runs.
        lengths: turns of a run -> number of runs.
        bare_lengths: the same for the bare workflow.
    """
    store_before = rig.store_size()
    ours: Runs = {}
    for turns, count in lengths.items():
        rig.report(f"{count} × {turns} turns")
        ours[turns] = [await rig.play(turns=turns) for _ in range(count)]
    written = rig.store_size() - store_before
    turns_played = sum(turns * count for turns, count in lengths.items())
    memory = rig.worker_memory()
    bare: Runs = {}
    for turns, count in bare_lengths.items():
        rig.report(f"{count} × {turns} turns, bare")
        bare[turns] = [await rig.play_bare(turns=turns) for _ in range(count)]
    return [
        *_footprints(ours),
        *_footprints(bare, "bare"),
        *_paces(ours),
        *_paces(bare, "bare"),
        Figure(
            name="memory.grown", title=f"memory of the worker after {turns_played:,} turns", value=memory, unit="MB"
        ),
        Figure(name="store.bytes", title="store on disk, a turn", value=written / turns_played, unit="B"),
    ]


def _footprints(runs: Runs, whose: str = "") -> list[Figure]:
    is_ours, suffix = not whose, f", {whose}" if whose else ""
    sizes, counts, wholes = [], [], []
    for turns, played in runs.items():
        name, title = _label("history", whose, turns), f"history of a turn, of {turns}{suffix}"
        sizes.append(
            Figure.of_samples(
                [run.bytes_per_turn for run in played],
                name=f"{name}.bytes",
                title=title,
                unit="B",
                limit=MAX_BYTES if is_ours else None,
            )
        )
        counts.append(
            Figure.of_samples(
                [run.events_per_turn for run in played],
                name=f"{name}.events",
                title=title,
                unit="events",
                limit=MAX_EVENTS if is_ours else None,
            )
        )
        wholes.append(
            Figure.of_samples(
                [run.size / run.turns for run in played],
                name=f"{name}.whole_bytes",
                title=f"{title}, start and end too",
                unit="B",
            )
        )
    figures = [*sizes, *counts, *wholes]
    if is_ours:
        figures.append(_flatness("history.flat.bytes", "bytes of history a turn, most to least", sizes))
        figures.append(_flatness("history.flat.events", "events of history a turn, most to least", counts))
    return figures


def _flatness(name: str, title: str, figures: list[Figure]) -> Figure:
    values = [figure.value for figure in figures]
    return Figure(name=name, title=title, value=max(values) / min(values), limit=FLAT)


def _paces(runs: Runs, whose: str = "") -> list[Figure]:
    figures = []
    for turns, played in runs.items():
        if turns <= 2 * EDGE:
            continue
        name, of = _label("pace", whose, turns), f"of {turns} turns" + (f", {whose}" if whose else "")
        first = [1000 * median(run.turn_seconds[:EDGE]) for run in played]
        last = [1000 * median(run.turn_seconds[-EDGE:]) for run in played]
        figures += [
            Figure.of_samples(first, name=f"{name}.first", title=f"first ten {of}, a turn", unit="ms"),
            Figure.of_samples(last, name=f"{name}.last", title=f"last ten {of}, a turn", unit="ms"),
            Figure.of_samples(
                [late / early for early, late in zip(first, last, strict=True)],
                name=f"{name}.ratio",
                title=f"last ten to first ten {of}",
                limit=None if whose else SLOWER.get(turns),
            ),
        ]
    return figures


def _label(what: str, whose: str, turns: int) -> str:
    return f"{what}.{whose}.{turns}" if whose else f"{what}.{turns}"
