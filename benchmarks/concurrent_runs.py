"""Many concurrent runs: turns per second, and the worker's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.figure import Figure
from benchmarks.rig import Rig

MAX_RATIO = 1.18  # of the turns per second of the bare workflow to ours: at least 0.85 of its pace
MAX_MEMORY_RATIO = 1.3


async def measure(rig: Rig, *, repeats: int, runs: int, turns: int) -> list[Figure]:
    """Plays many concurrent runs on a new worker, alternating with as many of the bare workflow."""
    rig.report(f"{repeats} × {runs} concurrent runs of {turns} turns, ours and bare")
    await rig.restart_worker()
    fresh = rig.worker_memory()

    async def turns_per_second(start: Callable[..., Awaitable[str]]) -> float:
        async def play() -> None:
            await rig.wait(await start(turns=turns))

        started = time.perf_counter()
        await asyncio.gather(*(play() for _ in range(runs)))
        return runs * turns / (time.perf_counter() - started)

    ours, bare, memory = [], [], []
    for _ in range(repeats):
        ours.append(await turns_per_second(rig.start))
        memory.append(rig.worker_memory())
        bare.append(await turns_per_second(rig.start_bare))
    what = f"{runs} concurrent runs × {turns} turns"
    return [
        Figure.of_samples(ours, name="concurrent.ours", title=what, unit="turns/s"),
        Figure.of_samples(bare, name="concurrent.bare", title=f"{what}, bare", unit="turns/s"),
        Figure.of_samples(
            [their / our for our, their in zip(ours, bare, strict=True)],
            name="concurrent.ratio",
            title=f"{what}, bare to ours",
            limit=MAX_RATIO,
        ),
        Figure(
            name="memory.ratio",
            title="memory of the worker, ours to bare",
            value=rig.worker_memory() / rig.bare_memory(),
            limit=MAX_MEMORY_RATIO,
        ),
        Figure(name="memory.fresh", title="memory of a new worker", value=fresh, unit="MB"),
        Figure(
            name="memory.first",
            title="memory after the first concurrent runs",
            value=memory[0],
            unit="MB",
        ),
        Figure(name="memory.last", title="memory after the last concurrent runs", value=memory[-1], unit="MB"),
    ]
