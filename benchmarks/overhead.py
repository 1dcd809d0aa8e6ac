"""The time of a turn beyond the model's latency, compared with the bare workflow."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.figure import Figure
from benchmarks.rig import Pair, Rig

MAX_RATIO = 1.15  # of a turn with a model that answers at once, to the bare workflow's
MAX_WHOLE_RATIO = 1.05  # of a turn with a model that takes its time


async def measure(rig: Rig, pairs: Mapping[float, tuple[int, int]]) -> list[Figure]:
    """Plays runs in pairs and compares the median turns of each pair.

    Args:
        rig: plays the runs.
        pairs: model latency in seconds -> pairs of runs, turns of each.
    """
    figures = []
    for latency, (count, turns) in pairs.items():
        figures += await _compared(rig, latency=latency, turns=turns, pairs=count)
    return figures


async def _compared(rig: Rig, *, latency: float, turns: int, pairs: int) -> list[Figure]:
    rig.report(f"model latency of {1000 * latency:.0f} ms: {pairs} × {turns} turns, ours and bare")
    played = await rig.pairs(pairs, turns=turns, latency=latency)
    name, title = f"overhead.{1000 * latency:.0f}ms", f"turn beyond {1000 * latency:.0f} ms of model"
    ours = [pair.ours.history.typical_turn - latency for pair in played]
    bare = [pair.bare.history.typical_turn - latency for pair in played]
    figures = [
        Figure.of_samples([1000 * seconds for seconds in ours], name=f"{name}.ours", title=title, unit="ms"),
        Figure.of_samples([1000 * seconds for seconds in bare], name=f"{name}.bare", title=f"{title}, bare", unit="ms"),
        Figure.of_samples(
            [our / their for our, their in zip(ours, bare, strict=True)],
            name=f"{name}.ratio",
            title=f"{title}, ours to bare",
            limit=None if latency else MAX_RATIO,
        ),
    ]
    return [*figures, *(_whole_turn(name, played) if latency else _processor(name, played))]


def _whole_turn(name: str, played: list[Pair]) -> list[Figure]:
    ratios = [pair.ours.history.typical_turn / pair.bare.history.typical_turn for pair in played]
    return [
        Figure.of_samples(ratios, name=f"{name}.whole_ratio", title="whole turn, ours to bare", limit=MAX_WHOLE_RATIO)
    ]


def _processor(name: str, played: list[Pair]) -> list[Figure]:
    """Returns figures that other load on the machine hardly affects, for use on a busy one."""
    ours = [1000 * pair.ours.processor_seconds / pair.ours.history.turns for pair in played]
    bare = [1000 * pair.bare.processor_seconds / pair.bare.history.turns for pair in played]
    title = "processor time of a turn"
    return [
        Figure.of_samples(ours, name=f"{name}.processor.ours", title=title, unit="ms"),
        Figure.of_samples(bare, name=f"{name}.processor.bare", title=f"{title}, bare", unit="ms"),
        Figure.of_samples(
            [our / their for our, their in zip(ours, bare, strict=True)],
            name=f"{name}.processor.ratio",
            title=f"{title}, ours to bare",
        ),
    ]
