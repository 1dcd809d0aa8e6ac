"""Three tool calls in one turn, compared with three turns of one call."""

from __future__ import annotations

from benchmarks.agents import NAP
from benchmarks.figure import Figure
from benchmarks.rig import Rig

CALLS = 3
MAX_ABOVE_BARE = 10.0  # ms


async def measure(rig: Rig, *, pairs: int, turns: int) -> list[Figure]:
    """Plays runs with all calls in each turn, alternating with runs with one call."""
    rig.report(f"{CALLS} tools of {NAP:g} s, concurrent and sequential: {pairs} pairs")
    together, apart, bare = [], [], []
    for _ in range(pairs):
        at_once = await rig.play(turns=turns, tool="nap", calls=CALLS)
        one_by_one = await rig.play(turns=turns, tool="nap")
        bare.append((await rig.play_bare(turns=turns, tool="nap", calls=CALLS)).typical_turn)
        together.append(at_once.typical_turn)
        apart.append(CALLS * one_by_one.typical_turn)
    what = f"{CALLS} tools of {NAP:g} s"
    return [
        Figure.of_samples(
            [1000 * (our - their) for our, their in zip(together, bare, strict=True)],
            name="tools.above_bare",
            title=f"{what} in one turn, above bare",
            unit="ms",
            limit=MAX_ABOVE_BARE,
        ),
        Figure.of_samples([1000 * s for s in together], name="tools.together", title=f"{what} in one turn", unit="ms"),
        Figure.of_samples([1000 * s for s in apart], name="tools.apart", title=f"{what} in three turns", unit="ms"),
        Figure.of_samples(
            [joint / single for joint, single in zip(together, apart, strict=True)],
            name="tools.ratio",
            title=f"{what}, one turn to three",
        ),
    ]
